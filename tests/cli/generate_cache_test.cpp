// `lastrow generate` with every kind of cache: in blocks, in chunks, in several turns, saved and loaded. The text
// is always the one that a contiguous cache gives.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdlib>

#include "cli/lastrow_program.h"
#include "cli/model_file.h"
#include "io/checked.h"
#include "io/safetensors.h"
#include "trace/trace_file.h"

using namespace lastrow;
using namespace lastrow::testing;
using nlohmann::json;

namespace {

constexpr const char* kModel = "random:layers=2,q_heads=4,kv_heads=2,head_dim=6,vocab=32,context=40";

json generated_by_model(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"generate", "--model", kModel});
  arguments.push_back("--json");
  const LastrowOutcome o = lastrow_program(arguments);
  CAPTURE(o.err);
  REQUIRE(o.exit_code == 0);
  return o.json();
}

const json& cached(const json& j) { return j["modes"]["cached"]; }

}  // namespace

TEST_CASE(
    "int8-channel: a prompt in chunks of a block, a bounded error, and one clear line where it does not "
    "work") {
  const std::vector<std::string> run = {
      "generate", "--model", kModel, "--prompt", "t1 t2 t3 t4 t5 t6 t7", "--kv-dtype", "int8-channel"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), run.begin(), run.end());
    return more;
  };
  const LastrowOutcome o =
      lastrow_program(with({"--tokens", "30", "--mode", "both", "--cache", "paged:block=3", "--json"}));
  REQUIRE(o.exit_code == 0);
  const json j = o.json();
  CHECK(j["kv_dtype"] == "int8-channel");
  CHECK(cached(j)["steps"].size() == 3 + 29);  // chunks of 3, 3 and 1 tokens
  CHECK(cached(j)["steps"][0]["cache_bytes_written"] ==
        3 * 2 * 2 * (6 * 4 + (6 + 4)));  // K in f32, V in int8
  CHECK(j["max_abs_logit_diff"] > 0);
  CHECK(j["max_abs_logit_diff"] < 0.1);
  const std::string text = lastrow_program(with({"--tokens", "3", "--cache", "paged:block=3"})).out;
  CHECK(text.find("bytes of the blocks and f32 rows") != std::string::npos);
  CHECK(text.find("rounded, except the newest rows of K") != std::string::npos);
  check_refused(with({}), "use a paged cache");
  check_refused(with({"--cache", "window:w=8"}), "use a paged cache");
  check_refused(with({"--cache", "paged:block=3", "--save-cache", "x"}), "use int8");
  check_refused(with({"--cache", "paged:block=3", "--cache-from", "x"}), "use int8");
  const Folder folder;
  write_text(folder.file("prompts"), "t1 t2\nt3\n");
  const std::vector<std::string> many = {
      "generate", "--model",       kModel,       "--prompts",    folder.file("prompts"),
      "--cache",  "paged:block=3", "--kv-dtype", "int8-channel", "--json"};
  CHECK(lastrow_program(many).json()["kv_dtype"] == "int8-channel");
  std::vector<std::string> sharing = many;
  sharing.push_back("--share-prefix");
  std::vector<std::string> padded = many;
  padded.insert(padded.end(), {"--pad-left", "--batch", "2"});
  check_refused(padded, "use --kv-dtype int8");
  check_refused(sharing, "blocks are sealed for one sequence: use int8");
}

TEST_CASE("five tokens in blocks of two: three blocks, and one slot of them is empty") {
  const json j = generated_by_model({"--prompt", "t1 t2 t3", "--tokens", "3", "--cache", "paged:block=2"});
  CHECK(j["cache"] == "paged:block=2");
  const int64_t row_bytes = 2 * 2 * 2 * 6 * 4;  // layers · (K and V) · K/V heads · head_dim · bytes
  const json& steps = cached(j)["steps"];
  REQUIRE(steps.size() == 3);
  const int64_t rows[] = {3, 4, 5}, blocks[] = {2, 2, 3};
  for (size_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    CHECK(steps[i]["rows_held"] == rows[i]);
    CHECK(steps[i]["blocks_used"] == blocks[i]);
    CHECK(steps[i]["blocks_shared"] == 0);
    CHECK(steps[i]["rows_evicted"] == 0);
    CHECK(steps[i]["bytes_held"] == blocks[i] * 2 * row_bytes);
  }
}

TEST_CASE("a ring gives the text of the same mask over all rows, and of recompute, from fewer bytes") {
  const std::vector<std::string> run = {"--prompt", "a b c d e f g", "--tokens", "9",
                                        "--mode",   "both",          "--then",   "h i j k l m n"};
  for (const char* backend : {"naive", "eigen", "cuda-emulated"}) {
    CAPTURE(backend);
    const auto with = [&](const char* cache) {
      std::vector<std::string> arguments = run;
      arguments.insert(arguments.end(), {"--backend", backend, "--cache", cache});
      return generated_by_model(arguments);
    };
    const json ring = with("window:w=5,sinks=2,block=2"), masked = with("contiguous:window=5,sinks=2");
    CHECK(ring["tokens_equal"] == true);
    CHECK(masked["tokens_equal"] == true);
    CHECK(cached(ring)["tokens"] == cached(masked)["tokens"]);
    const json &last = cached(ring)["steps"].back(), &all = cached(masked)["steps"].back();
    CHECK(last["rows_held"] == 2 + 4);
    CHECK(last["rows_evicted"] == 1);
    CHECK(last["blocks_used"] == 1 + 5);  // 5 + 5 − 1 rows in blocks of 2
    CHECK(all["rows_held"] == all["kv_len"]);
    CHECK(last["cache_bytes_read"] == all["cache_bytes_read"]);
    CHECK(last["bytes_held"] < all["bytes_held"]);
  }
}

TEST_CASE("naive-f64 holds rows of f64: twice the bytes, in one block and in blocks of four") {
  const int64_t row_bytes = 2 * 2 * 2 * 6 * 8;  // layers · (K and V) · K/V heads · head_dim · bytes
  const std::vector<std::string> run = {"--prompt", "t1 t2 t3", "--tokens", "3", "--backend", "naive-f64"};
  std::vector<std::string> in_blocks = run;
  in_blocks.insert(in_blocks.end(), {"--cache", "paged:block=4"});
  const json one = generated_by_model(run), paged = generated_by_model(in_blocks);
  CHECK(cached(one)["steps"][2]["bytes_held"] == 40 * row_bytes);  // one block of the whole context
  CHECK(cached(paged)["steps"][2]["bytes_held"] == 2 * 4 * row_bytes);
  CHECK(cached(paged)["steps"][2]["cache_bytes_written"] == row_bytes);
}

TEST_CASE("blocks of any length give the tokens and the traffic of one contiguous block") {
  const std::vector<std::string> run = {"--prompt", "a b c d e", "--tokens", "9"};
  for (const char* backend : {"naive", "eigen", "cuda-emulated"}) {
    std::vector<std::string> with = run;
    with.insert(with.end(), {"--backend", backend});
    const json one = generated_by_model(with);
    for (const char* cache : {"paged", "paged:block=1", "paged:block=7", "paged:block=40,blocks=1"}) {
      CAPTURE(backend);
      CAPTURE(cache);
      std::vector<std::string> paged = with;
      paged.insert(paged.end(), {"--cache", cache});
      const json j = generated_by_model(paged);
      CHECK(j["cache"] == cache);
      CHECK(cached(j)["tokens"] == cached(one)["tokens"]);
      for (const char* field : {"kv_len", "cache_bytes_read", "cache_bytes_written", "flop"})
        CHECK(cached(j)["steps"][8][field] == cached(one)["steps"][8][field]);
    }
  }
}

TEST_CASE("K and V may be named in any order, and the output has one spelling") {
  const json j = generated_by_model({"--prompt", "t1", "--tokens", "1", "--kv-dtype", "v=int8,k=f16"});
  CHECK(j["kv_dtype"] == "k=f16,v=int8");
}

TEST_CASE("recompute agrees with a paged cache, also in chunks and over several turns") {
  const json j = generated_by_model({"--prompt", "a b c d e", "--tokens", "4", "--mode", "both", "--backend",
                                     "naive", "--cache", "paged:block=3", "--chunk", "2", "--then", "f g h"});
  CHECK(j["tokens_equal"] == true);
  CHECK(j["max_abs_logit_diff"] == 0);
}

TEST_CASE("a prompt in chunks: as many steps as chunks, and only the last one chooses a token") {
  const std::vector<std::string> run = {"--prompt", "a b c d e", "--tokens", "3", "--backend", "naive"};
  std::vector<std::string> in_chunks = run;
  in_chunks.insert(in_chunks.end(), {"--chunk", "2"});
  const json whole = generated_by_model(run), j = generated_by_model(in_chunks);
  CHECK(cached(j)["tokens"] == cached(whole)["tokens"]);
  const json& steps = cached(j)["steps"];
  REQUIRE(steps.size() == 5);
  const int64_t fed[] = {2, 2, 1, 1, 1};
  for (size_t i = 0; i < 5; ++i) {
    CAPTURE(i);
    CHECK(steps[i]["q_len"] == fed[i]);
    CHECK(steps[i]["phase"] == (i < 3 ? "prefill" : "decode"));
    CHECK(steps[i]["chosen"] == (i < 2 ? json(nullptr) : cached(j)["tokens"][i - 2]));
  }
}

TEST_CASE("the second turn feeds only its own tokens, and the last one of the first turn") {
  const json j = generated_by_model(
      {"--prompt", "t1 t2 t3", "--tokens", "4", "--then", "t5 t6", "--then", "t7", "--backend", "naive"});
  const json& run = cached(j);
  REQUIRE(run["turns"].size() == 3);
  CHECK(run["turns"][1]["prompt_tokens"] == json{5, 6});
  CHECK(run["turns"][2]["prompt_tokens"] == json{7});
  CHECK(run["tokens"].size() == 12);
  const json& second = run["steps"][4];
  CHECK(second["phase"] == "prefill");
  CHECK(second["q_len"] == 3);
  CHECK(second["kv_len"] == 3 + 4 + 2);
  // The same tokens as one prompt give the same next token.
  std::string all = "t1 t2 t3";
  for (const json& token : run["turns"][0]["tokens"]) all += " t" + std::to_string(token.get<int>());
  const json alone = generated_by_model({"--prompt", all + " t5 t6", "--tokens", "4", "--backend", "naive"});
  CHECK(cached(alone)["tokens"] == run["turns"][1]["tokens"]);
}

TEST_CASE("saved and loaded rows equal kept ones, in another kind of cache too") {
  const Folder folder;
  const std::string file = folder.file("rows.safetensors");
  for (const char* dtype : {"f32", "int8", "k=int8,v=f16"}) {
    CAPTURE(dtype);
    const std::vector<std::string> common = {"--tokens", "4", "--backend", "naive", "--kv-dtype", dtype};
    const auto with = [&](std::vector<std::string> more) {
      more.insert(more.end(), common.begin(), common.end());
      return generated_by_model(more);
    };
    const json kept = with({"--prompt", "t1 t2 t3", "--then", "t5 t6"});
    const json saved = with({"--prompt", "t1 t2 t3", "--save-cache", file});
    CHECK(cached(saved)["tokens"] == cached(kept)["turns"][0]["tokens"]);
    CHECK(cached(saved)["steps"].size() == 4);  // the step that completes the file is not among them
    const json loaded = with({"--prompt", "t5 t6", "--cache-from", file, "--cache", "paged:block=3"});
    CHECK(loaded["tokens_loaded"] == 7);
    CHECK(loaded["prompt_tokens"].size() == 9);
    CHECK(cached(loaded)["tokens"] == cached(kept)["turns"][1]["tokens"]);
    CHECK(cached(loaded)["steps"][0]["q_len"] == 2);
  }
}

TEST_CASE("a loaded text goes on without a prompt, and recompute agrees") {
  const Folder folder;
  const std::string file = folder.file("rows.safetensors");
  const json longer = generated_by_model({"--prompt", "t1 t2 t3", "--tokens", "9", "--backend", "naive"});
  generated_by_model({"--prompt", "t1 t2 t3", "--tokens", "4", "--backend", "naive", "--save-cache", file});
  const json j =
      generated_by_model({"--tokens", "5", "--cache-from", file, "--mode", "both", "--backend", "naive"});
  CHECK(j["tokens_equal"] == true);
  CHECK(j["max_abs_logit_diff"] == 0);
  json all = cached(longer)["tokens"];
  all.erase(all.begin(), all.begin() + 4);
  CHECK(cached(j)["tokens"] == all);
}

TEST_CASE("a loaded text and a prompt that do not fit are counted apart, and a full turn is named") {
  const Folder folder;
  const std::string file = folder.file("rows.safetensors");
  generated_by_model({"--prompt", "t1 t2 t3", "--tokens", "30", "--save-cache", file});
  check_refused({"generate", "--model", kModel, "--cache-from", file, "--prompt", "a b c d e f g h"},
                "33 loaded tokens + 8 new ones = 41, but the context has room for 40");
  const LastrowOutcome o = lastrow_program(
      {"generate", "--model", kModel, "--prompt", "t1 t2", "--tokens", "18", "--then", "t3 t4 t5", "--json"});
  CHECK(o.exit_code == 0);
  CHECK(o.err.find("is full after 18 of 18") == std::string::npos);
  const LastrowOutcome full = lastrow_program({"generate", "--model", kModel, "--prompt", "t1 t2", "--tokens",
                                               "18", "--then", "t3 t4 t5 t6 t7", "--json"});
  CHECK(full.err.find("of 18 new tokens of turn 2;") != std::string::npos);
}

TEST_CASE("a cache of another model or type is refused with the reason, and nothing is written") {
  const Folder folder;
  const std::string file = folder.file("rows.safetensors"), kept = folder.file("kept");
  generated_by_model({"--prompt", "t1 t2 t3", "--tokens", "2", "--save-cache", file});
  const auto refused = [&](std::vector<std::string> arguments, const std::string& expected) {
    arguments.insert(arguments.begin(), "generate");
    arguments.insert(arguments.end(), {"--cache-from", file});
    check_refused(arguments, expected);
  };
  write_text(kept, "precious");
  refused({"--model", std::string(kModel) + ",seed=2", "--save-cache", kept}, file + " is of another model");
  refused({"--model", "random:layers=3,q_heads=4,kv_heads=2,head_dim=6,vocab=32,context=40"}, "layers");
  refused({"--model", kModel, "--kv-dtype", "f16"}, file + " stores K and V as f32");
  refused({"--model", kModel, "--save-cache", file}, "same file");
  check_refused({"generate", "--model", kModel, "--cache-from", folder.file("none")}, "none");
  check_refused({"generate", "--model", kModel, "--cache-from", kept}, kept);
  CHECK(read_text(kept) == "precious");
}

TEST_CASE("rows that are NaN, or too large for the model: the error names their file") {
  const Folder folder;
  const std::string sound = folder.file("sound"), changed = folder.file("changed");
  generated_by_model({"--prompt", "t1 t2 t3", "--tokens", "2", "--save-cache", sound});
  const SafetensorsFile file = SafetensorsFile::open(sound);
  for (const auto& [x, expected] :
       {std::pair{NAN, changed + ": not a saved cache: k.0[0, 0, 0] is nan"},
        {3e38f, "or the rows of " + changed + ", are damaged or far too large"}}) {
    const ConstTensorView k = file.tensor("k.0");
    Tensor rows = Tensor::host(DType::f32, k.shape());
    std::fill_n(rows.data<float>(), rows.size(), x);
    SafetensorsWriter writer;
    for (const std::string& name : file.names())
      writer.add(name, name == "k.0" ? rows.view() : file.tensor(name));
    for (const auto& [key, value] : file.metadata()) writer.metadata(key, value);
    writer.write(changed);
    for (const char* backend : {"naive", "eigen"})
      check_refused({"generate", "--model", kModel, "--cache-from", changed, "--json", "--backend", backend},
                    expected);
  }
}

TEST_CASE("numpy opens a saved cache") {
  const Folder folder;
  const char* const named = std::getenv("LASTROW_PYTHON");
  const std::string python = named == nullptr ? "python3" : named;
  const auto runs = [&](const std::string& script) {
    write_text(folder.file("script.py"), script);
    return exit_code_of(
               std::system(("cd '" + folder.string() + "' && '" + python + "' script.py").c_str())) == 0;
  };
  if (std::system(("'" + python + "' -c 'import numpy, safetensors.numpy' 2>/dev/null").c_str()) != 0) {
    MESSAGE("skipped: this needs Python with the packages numpy and safetensors");
    return;
  }
  generated_by_model({"--prompt", "t1 t2 t3", "--tokens", "2", "--kv-dtype", "k=int8,v=f16", "--cache",
                      "paged:block=2", "--save-cache", folder.file("rows.safetensors")});
  CHECK(
      runs("import numpy as np\n"
           "from safetensors.numpy import load_file\n"
           "rows = load_file('rows.safetensors')\n"
           "assert rows['k.0'].shape == rows['v.1'].shape == (5, 2, 6)\n"
           "assert rows['k.0'].dtype == np.float32 and rows['v.0'].dtype == np.float16\n"
           "assert list(rows['tokens'][:3]) == [1, 2, 3]\n"
           "assert list(rows['positions']) == [0, 1, 2, 3, 4]\n"
           "assert np.abs(rows['k.1']).max() > 0\n"));
}

TEST_CASE("a trace of a paged run in chunks can be opened, and names the cache") {
  const Folder folder;
  const json j = generated_by_model({"--prompt", "a b c d e", "--tokens", "3", "--chunk", "2", "--then", "f",
                                     "--cache", "paged:block=2", "--kv-dtype", "k=f16,v=fp8", "--trace",
                                     folder.file("t.safetensors")});
  const TraceFile trace = TraceFile::open(folder.file("t.safetensors"));
  CHECK(trace.recorder.steps().size() == cached(j)["steps"].size());
  CHECK(trace.recorder.cache_spec().block_len == 2);
  CHECK(trace.info.cache == "paged:block=2");
  CHECK(trace.info.kv_dtype == "k=f16,v=fp8");
  CHECK(trace.info.tokens.size() == 5 + 3 + 1 + 3);
}

TEST_CASE("options that do not go together, and numbers that do not fit") {
  const auto refused = [&](std::vector<std::string> arguments, const std::string& expected) {
    arguments.insert(arguments.begin(), {"generate", "--model", kModel});
    check_refused(arguments, expected);
  };
  refused({"--prompt", "a", "--cache", "heap"}, "use contiguous, paged, window:w=W or budget:rows=N");
  for (const char* cache : {"paged:", "paged:block=0", "paged:block=x", "paged:rows=3"})
    refused({"--prompt", "a", "--cache", cache}, "use paged[:block=B][,blocks=N]");
  refused({"--prompt", "a", "--cache", "contiguous:block=2"}, "use contiguous[:window=W][,sinks=N]");
  refused({"--prompt", "a", "--cache", "window:w=0"},
          "w is '0', but it must be a whole number of at least 1");
  for (const std::string start : {"", "paged:", "paged:block=", "contiguous:"}) {
    std::string cache = start;
    for (int i = 0; i < 50'000; ++i) cache += "ä";
    const LastrowOutcome o =
        lastrow_program({"generate", "--model", kModel, "--prompt", "a", "--cache", cache});
    CHECK(o.exit_code == 2);
    CHECK(o.err.size() < 800);
    CHECK(valid_utf8(o.err) == o.err.size());
  }
  refused({"--prompt", "a", "--cache", "paged:block=41"}, "block=1 to block=40");
  refused({"--prompt", "a", "--cache", "paged:block=10,blocks=3"}, "blocks=4 or more");
  for (const char* dtype : {"int3", "k=int8", "k=int8,v=", "v=int8,v=f16"})
    refused({"--prompt", "a", "--kv-dtype", dtype}, "f32 f16 bf16 fp8 int8");
  refused({"--prompt", "a", "--cache", "window"}, "has no window of its own: choose one, window:w=W");
  refused({"--prompt", "a", "--cache", "window:w=4,sinks=40,block=4"}, "choose sinks=0 to 39");
  refused({"--prompt", "a b", "--cache", "window:w=4,positions=new,block=4", "--chunk", "2"},
          "takes one token in a step: leave out the chunk");
  refused({"--prompt", "a", "--cache", "window:w=4,block=4", "--save-cache", "x"}, "cannot be saved");
  refused({"--prompt", "a", "--chunk", "0"}, "at least 1 token");
  refused({"--prompt", "a", "--then", ""}, "--then: the value is empty");
  refused({"--prompt", "a b", "--tokens", "20", "--then", "c d", "--then", "e"},
          "with turn 3 the text has 45 tokens, but the context has room for 40");
  refused({"--prompt", "a", "--mode", "recompute", "--cache", "paged"}, "--mode recompute has no cache");
  refused({"--prompt", "a", "--mode", "recompute", "--save-cache", "x"}, "no rows to save");
  refused({"--prompt", "a", "--batch", "2"}, "--batch needs several prompts");
  refused({"--prompt", "a", "--share-prefix"}, "--share-prefix needs several prompts");
  refused({"--prompt", "a", "--pad-left"}, "--pad-left needs several prompts");
  refused({}, "--prompt is missing");
}

TEST_CASE("with new positions a text is longer than the context of 40, and the cache does not grow") {
  const std::string cache = "window:w=6,sinks=2,positions=new,block=4";
  const json j = generated_by_model({"--prompt", "t1 t2 t3", "--tokens", "100", "--cache", cache});
  CHECK(j["context_full"] == false);
  CHECK(cached(j)["tokens"].size() == 100);
  const json& steps = cached(j)["steps"];
  REQUIRE(steps.size() == 102);
  CHECK(steps.back()["position"] == 101);
  CHECK(steps.back()["kv_len"] == 8);
  CHECK(steps.back()["rows_held"] == 7);
  for (const char* field : {"bytes_held", "cache_bytes_read", "kv_scratch_bytes", "flop"})
    CHECK(steps.back()[field] == steps[39][field]);
  // A prompt and a turn behind the context; both modes; every backend of this machine's CPU.
  for (const char* backend : {"naive", "eigen"}) {
    const json both = generated_by_model({"--prompt", "t1 t2 t3", "--tokens", "30", "--then", "t4 t5",
                                          "--mode", "both", "--cache", cache, "--backend", backend});
    CHECK(both["tokens_equal"] == true);
    CHECK(both["modes"]["recompute"]["steps"].back()["q_len"] == 64);
    CHECK(both["modes"]["recompute"]["steps"].back()["position"] == 63);
  }
  const LastrowOutcome slow = lastrow_program({"generate", "--model", kModel, "--prompt", "t1 t2 t3",
                                               "--tokens", "198", "--mode", "both", "--cache", cache});
  CHECK(slow.err.find("one token at a time: 20,100 forwards in all") != std::string::npos);
  std::string prompt;
  for (int i = 0; i < 50; ++i) prompt += " t" + std::to_string(i % 32);
  CHECK(cached(generated_by_model({"--prompt", prompt, "--tokens", "5", "--cache", cache}))["steps"].size() ==
        54);
  // A text within the context is what it was.
  CHECK(generated_by_model({"--prompt", "t1 t2 t3", "--tokens", "100", "--cache",
                            "window:w=6,sinks=2,block=4"})["context_full"] == true);
  check_refused(
      {"generate", "--model", kModel, "--prompt", "a", "--cache", "window:w=36,sinks=5,positions=new"},
      "so that window + sinks is at most 40");
  check_refused({"generate", "--model", kModel, "--prompt", "a", "--tokens", "2147483647", "--cache", cache},
                "is too long to count its positions: use fewer --tokens");
}

TEST_CASE("a trace of a text behind the context has its last step, its new positions and its eviction") {
  const Folder folder;
  const std::string path = folder.file("run.safetensors");
  generated_by_model({"--prompt", "t1 t2 t3", "--tokens", "60", "--cache",
                      "window:w=6,sinks=2,positions=new,block=4", "--trace", path});
  const TraceFile trace = TraceFile::open(path);
  const int32_t last = trace.recorder.steps().back();
  CHECK(trace.recorder.plan(last).positions == std::vector<int32_t>{61});
  CHECK(trace.recorder.plan(last).new_positions == std::vector<int32_t>{7});
  REQUIRE(trace.recorder.evicted(last).size() == 1);
  CHECK(trace.recorder.evicted(last)[0].position == 56);
}

TEST_CASE("a budget holds its rows, and its price is the difference to recomputing with every token") {
  const auto within = [](const char* cache) {
    return lastrow_program({"generate", "--prompt", "the quick brown fox", "--tokens", "40", "--mode", "both",
                            "--cache", cache});
  };
  const LastrowOutcome small = within("budget:rows=4"), large = within("budget:rows=100,policy=heavy");
  CHECK(small.exit_code == 0);
  CHECK(small.out.find("rows forgotten by a layer") != std::string::npos);
  CHECK(small.out.find("What differs is what the budget costs") != std::string::npos);
  CHECK(large.exit_code == 0);
  CHECK(large.out.find("All 40 tokens are equal") != std::string::npos);
}
