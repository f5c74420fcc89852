// `lastrow generate --prompts`: a file of prompts, several in each step, with a shared prefix, and the contrast of
// a left-padded batch.
#include <doctest/doctest.h>

#include <algorithm>

#include "cli/lastrow_program.h"
#include "cli/model_file.h"
#include "trace/trace_file.h"

using namespace lastrow;
using namespace lastrow::testing;
using nlohmann::json;

namespace {

constexpr const char* kPrompted = "random:layers=2,q_heads=4,kv_heads=2,head_dim=6,vocab=64,context=80";
constexpr int64_t kRowBytes = 2 * 2 * 2 * 6 * 4;  // layers · (K and V) · K/V heads · head_dim · bytes

struct Prompts {
  Folder folder;
  std::string file = folder.file("prompts.txt");

  explicit Prompts(const std::string& text) { write_text(file, text); }

  json generated(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"generate", "--model", kPrompted, "--prompts", file, "--json"});
    if (std::ranges::find(arguments, "--backend") == arguments.end())
      arguments.insert(arguments.end(), {"--backend", "naive"});
    const LastrowOutcome o = lastrow_program(arguments);
    CAPTURE(o.err);
    REQUIRE(o.exit_code == 0);
    return o.json();
  }
};

/// The tokens that a prompt gets when it runs alone.
json alone(const std::string& prompt, const std::string& n_tokens) {
  return lastrow_program({"generate", "--model", kPrompted, "--prompt", prompt, "--tokens", n_tokens,
                          "--backend", "naive", "--json"})
      .json()["modes"]["cached"]["tokens"];
}

/// 20 tokens.
std::string system_prompt() {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "t" + std::to_string(i + 30) + " ";
  return text;
}

}  // namespace

TEST_CASE("prompts over rings get the tokens that they get alone, and the ring has room for the longest") {
  const Prompts prompts("t1 t2\nt3 t4 t5 t6 t7 t8 t9\nt6\n");
  const json j =
      prompts.generated({"--tokens", "12", "--batch", "2", "--cache", "window:w=4,sinks=1,block=2"});
  REQUIRE(j["prompts"].size() == 3);
  const char* texts[] = {"t1 t2", "t3 t4 t5 t6 t7 t8 t9", "t6"};
  for (size_t i = 0; i < 3; ++i) {
    const json one =
        lastrow_program({"generate", "--model", kPrompted, "--prompt", texts[i], "--tokens", "12",
                         "--backend", "naive", "--cache", "window:w=4,sinks=1,block=2", "--json"})
            .json();
    CHECK(j["prompts"][i]["tokens"] == one["modes"]["cached"]["tokens"]);
  }
}

TEST_CASE("prompts with new positions get the tokens that they get alone, behind the context of 80 too") {
  const Prompts prompts("t1 t2\nt3 t4 t5 t6 t7 t8 t9\nt6\n");
  const std::string cache = "window:w=4,sinks=1,positions=new,block=2";
  const json j = prompts.generated({"--tokens", "100", "--batch", "2", "--cache", cache});
  const char* texts[] = {"t1 t2", "t3 t4 t5 t6 t7 t8 t9", "t6"};
  for (size_t i = 0; i < 3; ++i) {
    const json one = lastrow_program({"generate", "--model", kPrompted, "--prompt", texts[i], "--tokens",
                                      "100", "--backend", "naive", "--cache", cache, "--json"})
                         .json();
    const json& prompt = j["prompts"][i];
    CHECK(prompt["tokens"] == one["modes"]["cached"]["tokens"]);
    CHECK(prompt["tokens"].size() == 100);
    CHECK(prompt["context_full"] == false);
  }
  CHECK(j["prompts"][1]["first_step"] == 0);
  CHECK(j["prompts"][1]["last_step"] == 7 + 100 - 2);
  CHECK(j["prompts"][2]["first_step"] == 2 + 100 - 1);
  for (const json& step : j["steps"]) {
    CHECK(step["q_len"] == step["prompts"].size());
    CHECK(step["kv_len"] <= 2 * 5);
  }
  check_refused({"generate", "--model", kPrompted, "--prompts", prompts.file, "--cache",
                 "window:w=78,sinks=3,positions=new"},
                "so that window + sinks is at most 80");
}

TEST_CASE("three prompts, two at a time: the third joins when the first ends, and each is as if alone") {
  const Prompts prompts("t1 t2\n\nt3 t4 t5\r\n  \nt6\n");
  const json j = prompts.generated({"--tokens", "3", "--batch", "2"});
  CHECK(j["batch"] == 2);
  CHECK(j["share_prefix"].is_null());
  CHECK(j["pad_left"].is_null());
  REQUIRE(j["prompts"].size() == 3);
  const char* texts[] = {"t1 t2", "t3 t4 t5", "t6"};
  const int lines[] = {1, 3, 5}, first_step[] = {0, 0, 3}, last_step[] = {2, 2, 5};
  for (size_t i = 0; i < 3; ++i) {
    CAPTURE(i);
    const json& prompt = j["prompts"][i];
    CHECK(prompt["line"] == lines[i]);
    CHECK(prompt["prompt"] == texts[i]);
    CHECK(prompt["tokens"] == alone(texts[i], "3"));
    CHECK(prompt["text"].get<std::string>().starts_with(texts[i]));
    CHECK(prompt["first_step"] == first_step[i]);
    CHECK(prompt["last_step"] == last_step[i]);
    CHECK(prompt["tokens_found"] == 0);
    CHECK(prompt["context_full"] == false);
    CHECK(prompt["first_token_us"].get<double>() > 0);
  }
  REQUIRE(j["steps"].size() == 6);
  CHECK(j["steps"][0]["q_len"] == 2 + 3);
  CHECK(j["steps"][0]["rows_held"] == 2 + 3);
  CHECK(j["steps"][1]["q_len"] == 2);
  CHECK(j["steps"][1]["prompts"] == json{0, 1});
  CHECK(j["steps"][3]["prompts"] == json{2});
}

TEST_CASE("any batch and any cache give the same tokens") {
  const Prompts prompts("t1 t2\nt3 t4 t5\nt6\nt7 t8 t9 t10 t11\nt1 t2 t3\n");
  const json one = prompts.generated({"--tokens", "7"});
  for (const char* batch : {"2", "5", "9"})
    for (const char* cache : {"contiguous", "paged:block=1", "paged:block=3"}) {
      CAPTURE(batch);
      CAPTURE(cache);
      const json j = prompts.generated({"--tokens", "7", "--batch", batch, "--cache", cache});
      for (size_t i = 0; i < 5; ++i) CHECK(j["prompts"][i]["tokens"] == one["prompts"][i]["tokens"]);
    }
}

TEST_CASE("ten prompts with one system prompt run its prefill once, and the numbers show it") {
  std::string text;
  for (int i = 0; i < 10; ++i) text += system_prompt() + "t" + std::to_string(i) + "\n";
  const Prompts prompts(text);
  for (const char* batch : {"1", "4"}) {
    CAPTURE(batch);
    const json j =
        prompts.generated({"--tokens", "2", "--batch", batch, "--cache", "paged:block=4", "--share-prefix"});
    const json &without = j["share_prefix"]["without"], &with = j["share_prefix"]["with"];
    CHECK(j["share_prefix"]["lines_that_differ"] == json::array());
    CHECK(without["prompt_tokens"] == 210);
    CHECK(without["prompt_tokens_fed"] == 210);
    CHECK(without["prompt_tokens_found"] == 0);
    CHECK(with["prompt_tokens_fed"] == 20 + 10);
    CHECK(with["prompt_tokens_found"] == 9 * 20);
    CHECK(with["prompts_that_hit"] == 9);
    CHECK(with["bytes_saved"] == 9 * 20 * kRowBytes);
    CHECK(with["first_token_us_mean"].get<double>() > 0);
    int64_t fed = 0;  // the steps agree: prompts, and the second token of each
    for (const json& step : j["steps"]) fed += step["q_len"].get<int64_t>();
    CHECK(fed == 20 + 10 + 10);
    for (size_t i = 0; i < 10; ++i) CHECK(j["prompts"][i]["tokens_found"] == (i == 0 ? 0 : 20));
    if (batch == std::string("4"))
      CHECK(with["bytes_held_at_most"].get<int64_t>() < without["bytes_held_at_most"].get<int64_t>());
  }
}

TEST_CASE("the time to first token includes the step that a prompt waits for a shared block") {
  std::string text;
  for (int i = 0; i < 3; ++i) text += system_prompt() + "t" + std::to_string(i) + "\n";
  const json j = Prompts(text).generated(
      {"--tokens", "2", "--batch", "3", "--cache", "paged:block=4", "--share-prefix"});
  const json& prompts = j["prompts"];
  CHECK(prompts[0]["first_step"] == 0);
  for (const size_t i : {1u, 2u}) {
    CHECK(prompts[i]["first_step"] == 1);
    CHECK(prompts[i]["queued_us"] == prompts[1]["queued_us"]);  // one step, one start
    CHECK(prompts[i]["queued_us"].get<double>() >= j["steps"][0]["wall_us"].get<double>());
  }
  for (const json& prompt : prompts)
    CHECK(prompt["first_token_us"].get<double>() > prompt["queued_us"].get<double>());
  const json& shared = j["share_prefix"];
  CHECK(shared["runs_each_way"].get<int>() % 2 == 1);
  for (const char* way : {"without", "with"})
    CHECK(shared[way]["first_token_us_mean"].get<double>() > shared[way]["queued_us_mean"].get<double>());
  // Without sharing all three join at once, so none waits for a whole step.
  CHECK(shared["with"]["queued_us_mean"].get<double>() > shared["without"]["queued_us_mean"].get<double>());
}

TEST_CASE("without a common prefix nothing is found, and both ways feed the same tokens") {
  const json j =
      Prompts("t1 t2 t3\nt4 t5 t6\n")
          .generated({"--tokens", "2", "--batch", "2", "--cache", "paged:block=2", "--share-prefix"});
  const json &without = j["share_prefix"]["without"], &with = j["share_prefix"]["with"];
  CHECK(with["prompt_tokens_found"] == 0);
  CHECK(with["bytes_saved"] == 0);
  for (const char* field : {"prompt_tokens_fed", "bytes_held_at_most", "blocks_evicted"})
    CHECK(with[field] == without[field]);
}

TEST_CASE("naive-f64 with a shared prefix: the bytes are those of f64") {
  const Prompts prompts(system_prompt() + "t1\n" + system_prompt() + "t2\n");
  const json j = prompts.generated(
      {"--tokens", "1", "--cache", "paged:block=4", "--share-prefix", "--backend", "naive-f64"});
  const json& with = j["share_prefix"]["with"];
  CHECK(with["bytes_saved"] == 20 * 2 * kRowBytes);
  CHECK(with["bytes_held_at_most"] == 6 * 4 * 2 * kRowBytes);  // 21 rows are six blocks of four
}

TEST_CASE("the file - is standard input") {
  const Prompts prompts("t1 t2\nt3\n");
  const Folder folder;
  const std::string in = folder.file("in");
  const auto run = [&](const std::string& text, const std::string& more) {
    write_text(in, text);
    return shell(folder, std::string(LASTROW_BIN_DIR "/lastrow generate --model ") + kPrompted +
                             " --backend naive --tokens 3 --json --prompts - " + more + " < '" + in + "'");
  };
  const Outcome piped = run("t1 t2\nt3\n", "");
  CHECK(piped.exit_code == 0);
  CHECK(json::parse(piped.out)["prompts"][1]["tokens"] ==
        prompts.generated({"--tokens", "3"})["prompts"][1]["tokens"]);
  CHECK(run("", "").err == "lastrow: standard input has no prompt: write one prompt on each line\n");
  CHECK(run("t1\nt\xff\n", "").err.find("standard input, line 2: byte 2 is not UTF-8") != std::string::npos);
  CHECK(run("t1\n", "--trace '" + in + "'").err.find("same file") != std::string::npos);
}

TEST_CASE("without --json: a line for each prompt, then the tables") {
  const Prompts prompts("t1 t2\nt3 t4 t5\nt6\n");
  const auto shown = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {"generate", "--model", kPrompted, "--prompts", prompts.file, "--tokens", "3"});
    const LastrowOutcome o = lastrow_program(arguments);
    CAPTURE(o.err);
    CHECK(o.exit_code == 0);
    return o.out;
  };
  const std::string plain = shown({"--batch", "2"});
  CHECK(plain.starts_with("   1  t1 t2 t"));
  CHECK(plain.find("\n   3  t6 t") != std::string::npos);
  CHECK(plain.find("generated tokens/s") != std::string::npos);
  CHECK(plain.find("without sharing") == std::string::npos);
  const std::string shared = shown({"--cache", "paged:block=2", "--share-prefix"});
  CHECK(shared.find("time to first token, mean") != std::string::npos);
  CHECK(shared.find("All 3 texts are equal.") != std::string::npos);
  const std::string padded = shown({"--batch", "3", "--pad-left"});
  CHECK(padded.find("line 2       0 padded tokens   right: it needs no padding") != std::string::npos);
  CHECK(padded.find("line 3       2 padded tokens   wrong") != std::string::npos);
  CHECK(padded.find("3 of 9 prompt tokens would be padding (33 %)") != std::string::npos);
}

TEST_CASE("a left-padded batch: shorter prompts go wrong from their second token on, the longest is right") {
  std::string longest;
  for (int i = 0; i < 40; ++i) longest += "t" + std::to_string(i) + " ";
  const Prompts prompts("t1 t2\n" + longest + "\nt3 t4 t5\nt6 t7\n");
  const json j = prompts.generated({"--tokens", "12", "--batch", "3", "--pad-left"});
  const json& padded = j["pad_left"];
  CHECK(padded["padded_tokens"] == 38 + 37);  // the fourth prompt is a batch of its own
  CHECK(padded["prompt_tokens"] == 2 + 40 + 3 + 2);
  const int64_t expected[] = {38, 0, 37, 0};
  int n_wrong = 0;
  for (size_t i = 0; i < 4; ++i) {
    CAPTURE(i);
    const json& prompt = padded["prompts"][i];
    CHECK(prompt["padded_tokens"] == expected[i]);
    CHECK(prompt["tokens"][0] == j["prompts"][i]["tokens"][0]);  // the prefill is right
    if (expected[i] == 0) CHECK(prompt["tokens"] == j["prompts"][i]["tokens"]);
    if (!prompt["first_wrong_token"].is_null()) {
      CHECK(prompt["first_wrong_token"].get<int>() >= 1);
      ++n_wrong;
    }
  }
  CHECK(n_wrong >= 1);
}

TEST_CASE("a prompt whose context fills up keeps its text, and the others go on") {
  const Folder folder;
  write_model(folder.file("small.safetensors"));  // context 12
  write_text(folder.file("prompts.txt"), "the quick brown fox\nthe\n");
  const LastrowOutcome o =
      lastrow_program({"generate", "--model", folder.file("small.safetensors"), "--prompts",
                       folder.file("prompts.txt"), "--tokens", "11", "--batch", "2", "--json"});
  CHECK(o.exit_code == 0);
  CHECK(o.err.find("line 1: the context of 12 tokens is full after 9 of 11 new tokens") != std::string::npos);
  const json j = o.json();
  CHECK(j["prompts"][0]["context_full"] == true);
  CHECK(j["prompts"][0]["tokens"].size() == 9);
  CHECK(j["prompts"][1]["context_full"] == false);
  CHECK(j["prompts"][1]["tokens"].size() == 11);
}

TEST_CASE("a trace of a batch can be opened: its steps hold several sequences") {
  const Prompts prompts("t1 t2\nt3 t4 t5\nt6\n");
  const std::string file = prompts.folder.file("t.safetensors");
  const json j =
      prompts.generated({"--tokens", "3", "--batch", "2", "--cache", "paged:block=2", "--trace", file});
  const TraceFile trace = TraceFile::open(file);
  CHECK(trace.recorder.steps().size() == j["steps"].size());
  CHECK(trace.recorder.plan(0).n_seqs() == 2);
  CHECK(trace.recorder.plan(3).n_seqs() == 1);
}

TEST_CASE("errors name the file and the line") {
  const Prompts prompts("t1\n\nt3\n");
  const auto refused = [&](const std::string& text, const std::string& expected,
                           std::vector<std::string> more = {}) {
    write_text(prompts.file, text);
    std::vector<std::string> arguments = {"generate", "--model", kPrompted, "--prompts", prompts.file};
    arguments.insert(arguments.end(), more.begin(), more.end());
    check_refused(arguments, expected);
  };
  refused("", "prompts.txt has no prompt");
  refused(" \n\r\n\t\n", "prompts.txt has no prompt");
  refused(std::string("t1\nt\0 t2\n", 9), "prompts.txt, line 2: byte 2 is NUL");
  refused("t1\n\nt\xff\n", "prompts.txt, line 3: byte 2 is not UTF-8");
  std::string long_prompt;
  for (int i = 0; i < 81; ++i) long_prompt += "a ";
  refused("t1\n" + long_prompt + "\n", "prompts.txt, line 2: the prompt has 81 tokens");
  refused("t1 t2\nt3", "do not fit in the context of 80", {"--tokens", "80", "--batch", "2", "--pad-left"});
  refused("t1", "use only one of them", {"--prompt", "a"});
  refused("t1", "leave out --mode both", {"--mode", "both"});
  refused("t1", "--chunk works on one text", {"--chunk", "2"});
  refused("t1", "--then works on one text", {"--then", "a"});
  refused("t1", "--save-cache works on one text", {"--save-cache", "x"});
  refused("t1", "--cache-from works on one text", {"--cache-from", "x"});
  refused("t1", "add --cache paged", {"--share-prefix"});
  refused("t1", "add --batch 2 or more", {"--pad-left"});
  refused("t1", "use only one of them", {"--pad-left", "--share-prefix", "--batch", "2", "--cache", "paged"});
  refused("t1", "--batch 0: at least 1", {"--batch", "0"});
  refused("t1", "same file", {"--trace", prompts.file});
  check_refused({"generate", "--model", kPrompted, "--prompts", "/no/such/file"}, "/no/such/file");
  const Folder folder;
  write_model(folder.file("small.safetensors"));
  write_text(folder.file("p.txt"), "the fox\nthe f\xc3\xb6x\n");
  check_refused({"generate", "--model", folder.file("small.safetensors"), "--prompts", folder.file("p.txt")},
                "p.txt, line 2");
}

TEST_CASE("a file with a byte order mark, and without a line break at its end") {
  const Prompts prompts("\xEF\xBB\xBFt1 t2\nt3");
  const json j = prompts.generated({"--tokens", "1"});
  CHECK(j["prompts"][0]["prompt"] == "t1 t2");
  CHECK(j["prompts"][0]["prompt_tokens"] == json{1, 2});
  CHECK(j["prompts"][1]["prompt_tokens"] == json{3});
}
