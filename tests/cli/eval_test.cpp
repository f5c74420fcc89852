// `lastrow eval`: what it measures by eye, the table of all caches, and the texts that it takes and refuses.
#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "cache/make_cache.h"
#include "cli/lastrow_program.h"
#include "cli/model_file.h"
#include "registry/registry.h"
#include "session/evaluation.h"

using namespace lastrow;
using namespace lastrow::testing;
using nlohmann::json;

namespace {

constexpr const char* kEvaluated = "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=32,context=16";

LastrowOutcome evaluated(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "eval");
  LastrowOutcome o = lastrow_program(arguments);
  CAPTURE(o.err);
  CHECK(o.exit_code == 0);
  return o;
}

json as_json(std::vector<std::string> arguments) {
  arguments.push_back("--json");
  return evaluated(std::move(arguments)).json();
}

/// A file of its own, as long as the object lives.
struct TextFile {
  explicit TextFile(const std::string& text) : name(folder.file("story.txt")) { write_text(name, text); }
  Folder folder;
  std::string name;
};

/// Whether this build can make the cache. Those that it refuses are in the table too, with the reason.
bool is_known(const std::string& cache) {
  try {
    cache_spec(cache_options(cache), {.n_layers = 2, .n_kv_heads = 2, .head_dim = 8, .max_seq_len = 16});
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

TEST_CASE("two texts of the built-in ones: 510 predictions, and every byte of the cache is counted") {
  const json j = as_json({"--texts", "2", "--kv-dtype", "int8"});
  CHECK(j["model"] == "fable-mha");
  CHECK(j["text"] == nullptr);
  CHECK(j["texts"] == 2);
  CHECK(j["tokens"] == 2 * 255);
  const int64_t rows = 4 * 2 * 8;  // layers · (K and V) · K/V heads
  CHECK(j["reference"]["bytes"] == rows * 256 * 16 * 4);
  REQUIRE(j["rows"].size() == 1);
  const json& row = j["rows"][0];
  CHECK(row["cache"] == "contiguous");
  CHECK(row["kv_dtype"] == "int8");
  CHECK(row["bytes"] == rows * 256 * (16 + 4));  // a scale of 4 bytes for 16 elements
  CHECK(row["bytes_per_token"] == rows * (16 + 4));
  CHECK(row["bytes_of_reference"] == (16 + 4) / 64.0);
  CHECK(row["rows_held_at_most"] == 255);
  CHECK(row["kl_mean"] > 0);
  CHECK(row["kl_max"] > row["kl_mean"]);
  // The model knows the grammar: e^1.11 = 3.03 is the floor, the vocabulary has 219 tokens.
  CHECK(j["reference"]["perplexity"] < 4);
  CHECK(j["reference"]["perplexity"].get<double>() ==
        doctest::Approx(std::exp(j["reference"]["nats_per_token"].get<double>())));
  CHECK(std::abs(row["perplexity_change"].get<double>()) < 0.02);
  CHECK(row["perplexity_change"].get<double>() ==
        doctest::Approx(row["perplexity"].get<double>() / j["reference"]["perplexity"].get<double>() - 1));
  CHECK(row["perplexity_change_error"] > 0);
}

TEST_CASE("f32 and blocks of f32 are the reference: nothing diverges") {
  for (const char* cache : {"contiguous", "paged:block=3"}) {
    CAPTURE(cache);
    const json row = as_json({"--model", kEvaluated, "--cache", cache, "--texts", "3"})["rows"][0];
    CHECK(row["cache"] == cache);
    for (const char* zero : {"kl_mean", "kl_max", "flips", "perplexity_change", "perplexity_change_error"})
      CHECK(row[zero] == 0);
  }
}

TEST_CASE("the program and the library measure the same numbers") {
  const TextFile file("t1 t2 t3 t4\n\nt9 t8\nt7\n");
  const json j = as_json({"--model", kEvaluated, "--text", file.name, "--kv-dtype", "k=int8,v=f32"});
  const Texts texts = {{1, 2, 3, 4}, {9, 8, 7}};
  const auto model = load_model(kEvaluated);
  DecodeSession whole(model, make_backend("eigen"), {});
  const Reference reference = run_reference(whole, texts);
  DecodeSession tested(model, make_backend("eigen"), {.cache = cache_options("contiguous", "k=int8,v=f32")});
  const Quality quality = evaluate(tested, texts, reference);
  CHECK(j["tokens"] == 5);
  CHECK(j["text"] == file.name);
  CHECK(j["reference"]["nats_per_token"] == reference.prediction.nats_per_token());
  CHECK(j["rows"][0]["bytes_per_token"] == 2 * 2 * ((8 + 4) + 8 * 4));  // layers · K/V heads · (K + V)
  CHECK(j["rows"][0]["kl_mean"] == quality.kl_mean);
  CHECK(j["rows"][0]["kl_max"] == quality.kl_max);
  CHECK(j["rows"][0]["kl_max_text"] == quality.kl_max_text);
  CHECK(j["rows"][0]["kl_max_token"] == quality.kl_max_token);
  CHECK(j["rows"][0]["perplexity_change"] == perplexity_change(reference, quality).relative);
}

TEST_CASE(
    "int8-channel: a token has its codes, V, and its share of the scales; the open blocks count in the "
    "whole") {
  const json j = as_json({"--texts", "1", "--cache", "paged:block=8", "--kv-dtype", "k=int8-channel,v=f16"});
  const int64_t heads = 4 * 8, blocks = 256 / 8;  // heads of all layers, blocks of 8 rows of 16 elements
  const json& row = j["rows"][0];
  CHECK(row["kv_dtype"] == "k=int8-channel,v=f16");
  CHECK(row["bytes_per_token"] == heads * (16 + 16 * 4 / 8 + 16 * 2));
  CHECK(row["bytes"] ==
        heads * (blocks * (8 * (16 + 16 * 2) + 16 * 4) + 2 * 8 * 16 * 4));  // steps of one token
  CHECK(row["kl_mean"] > 0);
  CHECK(std::abs(row["perplexity_change"].get<double>()) < 0.02);
  check_refused({"eval", "--kv-dtype", "int8-channel"}, "use a paged cache");
  // What is refused says nothing of the texts, only why.
  check_refused({"eval", "--model", kEvaluated, "--kv-dtype", "int8-channel"}, "use a paged cache");
}

TEST_CASE("--all: each type, then each cache; what this build refuses says why") {
  const json j = as_json({"--model", kEvaluated, "--texts", "2", "--all"});
  std::set<std::string> dtypes, caches;
  int n_measured = 0;
  for (const json& row : j["rows"]) {
    CAPTURE(row.dump());
    dtypes.insert(row["kv_dtype"]);
    caches.insert(row["cache"]);
    const bool measured = row["refused"].is_null();
    n_measured += measured ? 1 : 0;
    CHECK(measured == is_known(row["cache"]));
    if (row["kv_dtype"] == "int8-channel") CHECK(row["cache"] == "paged");
    CHECK(measured == row.contains("perplexity"));
  }
  for (const char* dtype : {"f32", "f16", "bf16", "int8", "fp8", "int4", "fp4", "k=int8,v=f32",
                            "k=f32,v=int8", "k=int4,v=f32", "k=f32,v=int4", "int8-channel"})
    CHECK(dtypes.contains(dtype));
  for (const char* cache :
       {"contiguous", "paged", "window:w=4", "window:w=2,sinks=2", "window:w=2,sinks=2,positions=new",
        "budget:rows=4,policy=oldest", "budget:rows=4,policy=sinks,sinks=2", "budget:rows=4,policy=heavy",
        "budget:rows=4,policy=random", "window:w=2", "window:w=1,sinks=1", "budget:rows=2,policy=oldest"})
    CHECK(caches.contains(cache));
  CHECK(n_measured >= 12);
  CHECK(j["rows"][0]["kl_max"] == 0);
}

TEST_CASE("--all says why a cache that does not fit the context is not measured") {
  const char* small = "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=32,context=12";
  const json j = as_json({"--model", small, "--texts", "2", "--all"});
  int n_refused = 0;
  for (const json& row : j["rows"])
    if (!row["refused"].is_null()) {
      ++n_refused;
      CHECK(row["refused"].get<std::string>().find("blocks of 16 rows in a cache for 12 tokens") == 0);
    }
  CHECK(n_refused >= 3);  // paged and the windows, whose blocks have 16 rows
  CHECK(evaluated({"--model", small, "--texts", "2", "--all"}).out.find("not measured: blocks of 16 rows") !=
        std::string::npos);
}

TEST_CASE("--all prints a line for each row, and compares int8 with what is claimed of it") {
  const LastrowOutcome o = evaluated({"--model", "fable-mqa", "--texts", "2", "--all"});
  CHECK(o.out.find("fable-mqa on eigen: 510 predicted tokens of 2 texts that training never saw") == 0);
  for (const char* text :
       {"\n  k=int8,v=f32 ", "\n  paged ", "\n  budget:rows=64,policy=heavy ", "\n  window:w=28,sinks=4 ",
        "\n  window:w=28,sinks=4,positions=new ",
        "\nClaimed of int8: half the bytes of f16, and less than 0.5 % more perplexity. Measured: 62.5 % "
        "of "})
    CHECK(o.out.find(text) != std::string::npos);
}

TEST_CASE("one cache as text: the reference beside it, and where the largest divergence is") {
  const LastrowOutcome o = evaluated({"--model", "fable-gqa", "--texts", "1", "--kv-dtype", "int4"});
  for (const char* text :
       {"255 predicted tokens of 1 text that", "bytes of the cache", "KL divergence in nats, largest",
        "tokens flipped", "\nThe largest divergence is at token "})
    CHECK(o.out.find(text) != std::string::npos);
  const LastrowOutcome same = evaluated({"--model", kEvaluated, "--texts", "1"});
  CHECK(same.out.find("The largest divergence") == std::string::npos);
}

TEST_CASE("naive-f64 stores f64 where f32 is asked for, and says so") {
  const json j = as_json({"--model", kEvaluated, "--texts", "1", "--backend", "naive-f64"});
  CHECK(j["rows"][0]["kv_dtype"] == "f64");
  CHECK(j["reference"]["bytes"] == 2 * 2 * 2 * 16 * 8 * 8);
  CHECK(j["rows"][0]["bytes_per_token"] == 2 * 2 * 2 * 8 * 8);
}

TEST_CASE("a text that is longer than the context is split, and one token predicts nothing: notes say so") {
  std::string longer;
  for (int i = 0; i < 33; ++i) longer += "t" + std::to_string(i % 32) + " ";
  const TextFile file("t1 t2 t3\n\n\nt5\n \n" + longer + "\r\n");
  const LastrowOutcome o = evaluated({"--model", kEvaluated, "--text", file.name, "--json"});
  CHECK(o.json()["texts"] == 1 + 2);
  CHECK(o.json()["tokens"] == 2 + 15 + 15);
  CHECK(
      o.err.find("note: 1 of 3 texts is longer than the context of 16 tokens, and split into 2 windows; each "
                 "starts with an empty cache\n") != std::string::npos);
  CHECK(o.err.find("note: 2 texts are of one token left out") != std::string::npos);
  CHECK(o.err.find("note: the model has random weights") != std::string::npos);
  CHECK(o.out.find("note") == std::string::npos);
}

TEST_CASE("words that the model does not know are spelt, and a note counts them") {
  const TextFile file("The fox eats pizza.\n");
  const LastrowOutcome o = evaluated({"--text", file.name, "--json"});
  CHECK(o.json()["tokens"] == 3 + 5 + 1 - 1);
  CHECK(o.err.find("note: 1 of 4 words is not in the model's vocabulary: each letter of it is a token\n") !=
        std::string::npos);
  const TextFile known("The fox eats bread.\n");
  CHECK(evaluated({"--text", known.name, "--json"}).err.empty());
}

TEST_CASE("the file - is standard input") {
  const TextFile file("t1 t2\nt3\n\nt4 t5");
  const Outcome piped =
      shell(file.folder, std::string(LASTROW_BIN_DIR "/lastrow eval --json --text - --model ") + kEvaluated +
                             " < '" + file.name + "'");
  CHECK(piped.exit_code == 0);
  json a = json::parse(piped.out), b = as_json({"--model", kEvaluated, "--text", file.name});
  CHECK(a["tokens"] == 3);
  CHECK(a["rows"] == b["rows"]);
}

TEST_CASE("texts and options that are refused, with what to do") {
  const Folder folder;
  const auto refused = [&](const std::string& text, const std::string& expected) {
    write_text(folder.file("t"), text);
    check_refused({"eval", "--text", folder.file("t")}, expected);
  };
  refused("", "has no text: write some words into it");
  refused("\n  \n", "has no text");
  refused("fox\n\nfox\n", "has no text of two tokens");
  refused("the fox\nthe caf\xc3\xa9\n", "line 2: 'é' in column 8 is not in this model's alphabet");
  refused("the fox\nt\xff\n", "line 2: byte 2 is not UTF-8");
  check_refused({"eval", "--text", folder.file("none")}, "cannot be opened");
  check_refused({"eval", "--text", folder.string()}, "is a folder");
  check_refused({"eval", "--texts", "0"}, "--texts 0: at least 1");
  check_refused({"eval", "--all", "--cache", "paged"}, "--all has its own list");
  check_refused({"eval", "--all", "--kv-dtype", "f16"}, "leave out --cache and --kv-dtype");
  check_refused({"eval", "--cache", "heap"}, "unknown cache 'heap'");
  check_refused({"eval", "--kv-dtype", "int3"}, "int3");
  check_refused({"eval", "--model", "fable-xl"}, "unknown model 'fable-xl'");
  check_refused({"eval", "--backend", "abacus"}, "abacus");
  check_refused({"eval", "--simt-report", "--backend", "cuda-emulated"}, "--simt-report");
  const std::string file = folder.file("large.safetensors");
  write_model(file, {.first_norm = 3e38f});
  write_text(folder.file("t"), "the quick brown fox");
  check_refused({"eval", "--model", file, "--text", folder.file("t")},
                "token 1 of text 1 gave logits that are NaN or infinite");
}
