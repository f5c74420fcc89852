// Errors of `lastrow`: one helpful line, exit status 2, and existing files stay unchanged.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "cli/lastrow_program.h"
#include "cli/model_file.h"

using namespace lastrow::testing;

TEST_CASE("the error for an unknown command, option or value lists the known ones") {
  check_refused({}, "use generate, attend, eval, memory or info");
  check_refused({"frobnicate"}, "unknown command 'frobnicate'");
  check_refused({"generate"}, "--prompt is missing: give a text to continue");
  check_refused({"generate", "--prompt", "a", "--colour"}, "--colour; see `lastrow generate --help`");
  check_refused({"generate", "--prompt", "a", "--tokens", "many"}, "--tokens");
  check_refused({"generate", "--prompt", "a", "--tokens", "99999999999999"}, "--tokens");
  check_refused({"generate", "--prompt", "a", "--tokens", "0"}, "at least 1");
  check_refused({"generate", "--prompt", "a", "--mode", "fast"}, "use cached, recompute or both");
  check_refused({"generate", "--prompt", "a", "--backend", "abacus"}, "use one of eigen");
  check_refused({"generate", "--prompt", "a", "--kv-dtype", "int3"},
                "use one of f32 f16 bf16 fp8 int8 int4 fp4");
  for (const char* seed : {"-1", "18446744073709551616", "1e3", "0x10", "1 "})
    check_refused({"generate", "--prompt", "a", "--seed", seed},
                  "is not a whole number from 0 to 1844674407");
  for (const char* option :
       {"--model", "--prompt", "--mode", "--backend", "--kernel", "--kv-dtype", "--cache", "--then",
        "--prompts", "--save-cache", "--cache-from", "--trace", "--chrome-trace", "--tokens"})
    check_refused({"generate", "--prompt", "a", option, ""}, std::string(option) + ": the value is empty");
  check_refused({"attend", "--in", "", "--out", "x"}, "--in: the value is empty");
  check_refused({"attend", "--in", "x", "--out", ""}, "--out: the value is empty");
  check_refused({"memory", "--model", ""}, "--model: the value is empty");
  check_refused({"memory", "--model", "gpt-2", "--kv-dtype", ""}, "--kv-dtype: the value is empty");
  check_refused({"generate", "--prompt", "a", "--force"}, "--force is only for cuda-emulated");
  check_refused({"generate", "--prompt", "a", "--backend", "naive", "--force"},
                "--force is only for cuda-emulated");
  const std::string tiny = "random:layers=1,q_heads=1,head_dim=2";
  check_refused({"generate", "--model", tiny, "--prompt", "a", "--temperature", "nan"}, "temperature");
  check_refused({"generate", "--model", tiny, "--prompt", "a", "--temperature", "-1"}, "temperature");
  check_refused({"generate", "--model", tiny, "--prompt", "a", "--top-k", "-1"}, "top-k");
  check_refused({"memory"}, "--list");
  check_refused({"memory", "--model", "llama-9-9b"}, "lastrow memory --list");
  for (const char* name : {"meta-llama/Llama-3.1-8B", "Llama-3.1-8B-Instruct", "lama-3-8b"})
    check_refused({"memory", "--model", name}, "did you mean \"llama-3-8b\"? `lastrow memory --list`");
  check_refused({"memory", "--model", "no/such/file.safetensors"}, "no/such/file.safetensors: cannot be");
  check_refused({"memory", "--model", "gpt-2", "--dtype", "q8"}, "int8");
  check_refused({"memory", "--model", "gpt-2", "--context", "0"}, "context 0");
  check_refused({"memory", "--model", "gpt-2", "--batch", "-3"}, "batch -3");
  check_refused({"memory", "--model", "gpt-2", "--context", "2147483648"}, "context 2147483648");
}

TEST_CASE("numbers are decimal, and hexadecimal ones are refused") {
  const std::vector<std::string> run = {
      "generate", "--model", "random:layers=1,q_heads=1,head_dim=2,context=032",
      "--prompt", "t1",      "--temperature",
      "1",        "--json"};
  const auto tokens = [&](const std::string& option, const std::string& value) {
    std::vector<std::string> arguments = run;
    arguments.insert(arguments.end(), {option, value});
    return lastrow_program(arguments).json()["modes"]["cached"]["tokens"];
  };
  CHECK(tokens("--tokens", "010").size() == 10);
  CHECK(tokens("--tokens", "08").size() == 8);
  CHECK(tokens("--tokens", "031").size() == 31);  // the context is 32, not 26
  CHECK(tokens("--seed", "010") == tokens("--seed", "10"));
  CHECK(tokens("--top-k", "010") == tokens("--top-k", "10"));
  const auto memory =
      lastrow_program({"memory", "--model", "gpt-2", "--context", "010", "--batch", "0012", "--json"}).json();
  CHECK(memory["context"] == 10);
  CHECK(memory["batch"] == 12);
  for (const char* number : {"0x10", "+3", "1'000", " 7"}) {
    check_refused({"generate", "--prompt", "a", "--tokens", number},
                  "is not a whole number in decimal digits");
    check_refused({"memory", "--model", "gpt-2", "--context", number},
                  "is not a whole number in decimal digits");
  }
}

TEST_CASE("models that are unknown, missing, damaged or contradict themselves") {
  const Folder folder;
  const std::string file = folder.file("model.safetensors");
  const auto refused = [&](const std::string& model, const std::string& expected) {
    check_refused({"generate", "--model", model, "--prompt", "the fox"}, expected);
  };
  refused("fable-none", "unknown model 'fable-none'");
  refused(file, file);
  refused("/tmp", "is a folder");
  refused("random:layers", "KEY=NUMBER");
  refused("random:wings=2", "no key of a random model");
  refused("random:layers=2,seed=1,layers=3", "'layers' occurs twice");
  refused("random:q_heads=3,kv_heads=2", "3 query heads cannot share 2 K/V heads");
  refused("random:head_dim=7", "odd");
  refused("random:layers=100,q_heads=256,head_dim=64", "GB are available: use fewer or narrower layers");
  refused("random:layers=2,q_heads=64,head_dim=128,model_dim=8,ffn=8,context=16777216",
          "context of 16777216 tokens needs");

  write_text(file, "this is no model");
  refused(file, file);
  write_model(file);
  const std::string good = read_text(file);
  for (const size_t n : {size_t{0}, size_t{7}, size_t{8}, size_t{100}, good.size() / 2, good.size() - 1}) {
    write_text(file, good.substr(0, n));
    refused(file, file);
  }
  write_text(file, good + "x");
  refused(file, file);

  write_model(file, {.first_weight = NAN});
  refused(file, "NaN or infinity at element 0");
  write_model(file, {.first_norm = 3e38f});
  check_refused({"generate", "--model", file, "--prompt", "the fox", "--json"},
                "logits that are NaN or infinite");
  write_model(file, {.from_config = "\"n_q_heads\":4", .into_config = "\"n_q_heads\":3"});
  refused(file, "3 query heads cannot share 2 K/V heads");
  write_model(file, {.from_config = "\"n_layers\":2", .into_config = "\"n_layers\":3"});
  refused(file, "model.layers.2");
}

TEST_CASE("text from a model file is escaped wherever it is printed") {
  const Folder folder;
  const std::string file = folder.file("model.safetensors");
  const std::string evil = R"(\u001b[31m\n\u007f\u009b2J\u202e)";  // as it is in the JSON of the file
  const auto harmless = [](const std::string& text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return c == '\n' || static_cast<unsigned char>(c) >= ' '; }) &&
           text.find('\x7f') == text.npos && text.find("\u009b") == text.npos &&
           text.find("\u202e") == text.npos;
  };
  write_model(file, {.from_config = "\"small\"", .into_config = '"' + evil + '"'});
  const LastrowOutcome memory = lastrow_program({"memory", "--model", file});
  CHECK(memory.exit_code == 0);
  CHECK(harmless(memory.out));
  CHECK(memory.out.starts_with(R"(\u001b[31m\n\u007f\u009b2J\u202e: K/V cache of)"));

  write_model(file, {.from_config = "\"halves\"", .into_config = '"' + evil + '"'});
  const LastrowOutcome pairing = lastrow_program({"generate", "--model", file, "--prompt", "the"});
  CHECK(harmless(pairing.err));
  CHECK(pairing.err.find(R"(rope_pairing is "\u001b[31m\n\u007f\u009b2J\u202e")") != std::string::npos);
  write_model(file, {.from_config = "\"n_layers\":2", .into_config = "\"n_layers\":\"" + evil + '"'});
  const LastrowOutcome type = lastrow_program({"generate", "--model", file, "--prompt", "the"});
  CHECK(harmless(type.err));
  CHECK(type.err.find("has the wrong type") != std::string::npos);

  write_model(file, {.word = "fox\x1b[31m\n"});
  const LastrowOutcome word = lastrow_program({"generate", "--model", file, "--prompt", "the"});
  CHECK(harmless(word.err));
  CHECK(word.err.find(R"(the word "fox\u001b[31m\n" has a character outside)") != std::string::npos);
}

TEST_CASE("prompts that are empty, have unknown characters or are too long") {
  const Folder folder;
  const std::string file = folder.file("small.safetensors");
  write_model(file);  // context 12
  const auto refused = [&](const std::string& prompt, const std::string& expected) {
    check_refused({"generate", "--model", file, "--prompt", prompt}, expected);
  };
  refused("", "empty");
  refused(" \t ", "empty");
  refused("the fox & the dog", "&");
  refused("the f\xc3\xb6x", "column 6");
  refused("the \xff fox", "column 5");
  refused("the the the the the the the the the the the the the",
          "13 tokens, but the context has room for 12");
}

TEST_CASE("outputs are checked before the work, and stay unchanged on any error") {
  const Folder folder;
  const std::string tiny = "random:layers=1,q_heads=1,head_dim=2,context=8";
  for (const char* option : {"--trace", "--chrome-trace"}) {
    const auto refused = [&](const std::string& path, const std::string& prompt,
                             const std::string& expected) {
      check_refused({"generate", "--model", tiny, "--prompt", prompt, option, path}, expected);
    };
    refused(folder.file("no/folder/t"), "a", "create the folder");
    refused(folder.file(""), "a", "is a folder");
    const std::string kept = folder.file("kept");
    write_text(kept, "precious");
    refused(kept, "", "empty");
    refused(kept, "a b c d e f g h i", "9 tokens, but the context has room for 8");
    CHECK(read_text(kept) == "precious");
  }
  check_refused({"generate", "--model", tiny, "--prompt", "a", "--trace", folder.file("t"), "--chrome-trace",
                 folder.file("t")},
                "same file");
  check_refused({"generate", "--model", tiny, "--prompt", "a", "--mode", "both", "--trace", "/dev/null"},
                "writes two traces");
  check_refused({"generate", "--model", tiny, "--prompt", "a", "--mode", "both", "--trace",
                 folder.file("t.safetensors"), "--chrome-trace", folder.file("./t.recompute.safetensors")},
                "same file");
  CHECK(folder.listing() == "kept ");
  // Neither file exists yet, and the two names are different paths to the same file.
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder.file(""));
  check_refused({"generate", "--model", tiny, "--prompt", "a", "--trace", "t.st", "--chrome-trace", "./t.st"},
                "same file");
  std::filesystem::current_path(here);
}
