// `lastrow generate` prints what the model did, and the cost of each step equals the formulas.
#include <doctest/doctest.h>

#include "cache/kv_codec.h"
#include "cli/lastrow_program.h"
#include "cli/model_file.h"
#include "cost/op_cost.h"
#include "trace/trace_file.h"

using namespace lastrow;
using namespace lastrow::testing;
using nlohmann::json;

namespace {

constexpr const char* kTiny = "random:layers=1,q_heads=1,kv_heads=1,head_dim=2,vocab=8,context=16";

json generated(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "generate");
  arguments.push_back("--json");
  const LastrowOutcome o = lastrow_program(arguments);
  CAPTURE(o.err);
  REQUIRE(o.exit_code == 0);
  return o.json();
}

}  // namespace

TEST_CASE("three words in, four tokens out: a prefill of three rows, then one row a step") {
  const json j = generated({"--model", kTiny, "--prompt", "t1 t2 t3", "--tokens", "4"});
  CHECK(j["model"] == kTiny);
  CHECK(j["backend"] == "eigen");
  CHECK(j["prompt_tokens"] == json{1, 2, 3});
  CHECK(j["context_full"] == false);
  CHECK(j["tokens_equal"].is_null());
  CHECK(j["max_abs_logit_diff"].is_null());
  CHECK(j["modes"].size() == 1);
  const json& run = j["modes"]["cached"];
  CHECK(run["text"].get<std::string>().starts_with("t1 t2 t3 t"));
  CHECK(run["tokens"].size() == 4);
  REQUIRE(run["steps"].size() == 4);
  const json &first = run["steps"][0], &second = run["steps"][1];
  CHECK(first["phase"] == "prefill");
  CHECK(first["position"] == 2);
  CHECK(first["q_len"] == 3);
  CHECK(first["kv_len"] == 3);
  CHECK(first["score_cells"] == 1 + 2 + 3);
  CHECK(first["cache_bytes_written"] == 3 * 2 * 2 * 4);  // rows · (K and V) · head_dim · bytes
  CHECK(second["phase"] == "decode");
  CHECK(second["position"] == 3);
  CHECK(second["q_len"] == 1);
  CHECK(second["kv_len"] == 4);
  CHECK(second["q_rows"] == 1);
  CHECK(second["kv_rows_projected"] == 1);
  CHECK(second["score_cells"] == 4);
  CHECK(second["cache_bytes_read"] == 4 * 2 * 2 * 4);
  CHECK(second["kv_scratch_bytes"] == 0);
  CHECK(second["flop"].get<int64_t>() > 0);
  CHECK(second["wall_us"].get<double>() > 0);
}

TEST_CASE("each step's numbers are those of the formulas, in both modes") {
  constexpr int64_t kLayers = 3, kQHeads = 4, kKvHeads = 2, kHeadDim = 6, kPrompt = 5;
  const json j =
      generated({"--model", "random:layers=3,q_heads=4,kv_heads=2,head_dim=6,vocab=32,context=32", "--prompt",
                 "a b c d e", "--tokens", "9", "--mode", "both", "--backend", "naive"});
  for (const char* mode : {"cached", "recompute"}) {
    const bool cached = mode == std::string("cached");
    const json& steps = j["modes"][mode]["steps"];
    REQUIRE(steps.size() == 9);
    for (int64_t i = 0; i < 9; ++i) {
      CAPTURE(mode);
      CAPTURE(i);
      const json& step = steps[static_cast<size_t>(i)];
      const int64_t kv_len = kPrompt + i, q_len = cached && i > 0 ? 1 : kv_len;
      const int64_t row_bytes = 2 * kKvHeads * kHeadDim * 4;  // K and V of one token in one layer
      const int64_t read = kLayers * kv_len * row_bytes, written = kLayers * q_len * row_bytes;
      CHECK(step["position"] == kv_len - 1);
      CHECK(step["phase"] == (i == 0 ? "prefill" : "decode"));
      CHECK(step["q_len"] == q_len);
      CHECK(step["kv_len"] == kv_len);
      CHECK(step["q_rows"] == kLayers * q_len);
      CHECK(step["kv_rows_projected"] == kLayers * q_len);
      CHECK(step["score_cells"] == kLayers * kQHeads * cost::visible_cells(q_len, kv_len, true));
      CHECK(step["cache_bytes_read"] == (cached ? read : 0));
      CHECK(step["cache_bytes_written"] == (cached ? written : 0));
      CHECK(step["kv_scratch_bytes"] == (cached ? 0 : read + written));
    }
  }
}

TEST_CASE("bytes are those of the type that kv_dtype names, on every backend") {
  const std::vector<std::tuple<std::string, std::string, std::string, int64_t>> cases = {
      {"eigen", "f32", "f32", 4},
      {"naive", "f32", "f32", 4},
      {"naive-f64", "f32", "f64", 8},  // it stores f64 instead of f32
      {"naive-f64", "f16", "f16", 2},
      {"cuda-emulated", "f32", "f32", 4}};
  for (const auto& [backend, asked, stored, elem_bytes] : cases) {
    CAPTURE(backend);
    CAPTURE(asked);
    const json j = generated({"--model", kTiny, "--prompt", "t1 t2 t3", "--tokens", "1", "--backend", backend,
                              "--kv-dtype", asked});
    CHECK(j["kv_dtype"] == stored);
    CHECK(j["modes"]["cached"]["steps"][0]["cache_bytes_written"] == 3 * 2 * 2 * elem_bytes);
  }
}

TEST_CASE("on naive both modes agree to the last bit") {
  const json j = generated(
      {"--model", kTiny, "--prompt", "t1 t2 t3", "--tokens", "12", "--mode", "both", "--backend", "naive"});
  CHECK(j["tokens_equal"] == true);
  CHECK(j["max_abs_logit_diff"] == 0.0);
  CHECK(j["modes"]["cached"]["text"] == j["modes"]["recompute"]["text"]);
  CHECK(j["modes"]["cached"]["tokens"] == j["modes"]["recompute"]["tokens"]);
}

TEST_CASE("the built-in models continue a sentence, equally in both modes") {
  if (builtin_model_names().empty()) MESSAGE("skipped: this build has no built-in models");
  for (const std::string& name : builtin_model_names()) {
    CAPTURE(name);
    const json j =
        generated({"--model", name, "--prompt", "the quick brown fox", "--tokens", "30", "--mode", "both"});
    CHECK(j["tokens_equal"] == true);
    CHECK(j["max_abs_logit_diff"].get<double>() < 1e-3);
    CHECK(j["modes"]["cached"]["text"].get<std::string>().starts_with("the quick brown fox "));
  }
}

TEST_CASE("a model file runs like any other") {
  const Folder folder;
  write_model(folder.file("small.safetensors"));
  const json j = generated({"--model", folder.file("small.safetensors"), "--prompt", "The quick  fox",
                            "--tokens", "6", "--mode", "both"});
  CHECK(j["prompt_tokens"].size() == 3);
  CHECK(j["tokens_equal"] == true);
  CHECK(j["modes"]["cached"]["text"].get<std::string>().starts_with("the quick fox"));
}

TEST_CASE("a full context ends the generation, and its text is kept") {
  const Folder folder;
  write_model(folder.file("small.safetensors"));  // context 12
  const LastrowOutcome o =
      lastrow_program({"generate", "--model", folder.file("small.safetensors"), "--prompt", "the fox",
                       "--tokens", "50", "--mode", "both", "--json"});
  CHECK(o.exit_code == 0);
  CHECK(o.err.find("the context of 12 tokens is full after 11 of 50") != std::string::npos);
  const json j = o.json();
  CHECK(j["context_full"] == true);
  for (const char* mode : {"cached", "recompute"}) {
    CHECK(j["modes"][mode]["tokens"].size() == 11);  // the steps see 2 … 12 tokens, and each chooses one
    CHECK(j["modes"][mode]["steps"][10]["kv_len"] == 12);
  }
}

TEST_CASE("a prompt that just fits gives one token") {
  const json j =
      generated({"--model", "random:layers=1,q_heads=1,head_dim=2,context=3", "--prompt", "a b c"});
  CHECK(j["modes"]["cached"]["tokens"].size() == 1);
  CHECK(j["context_full"] == true);
}

TEST_CASE("random choices depend only on the seed, in both modes") {
  const auto with_seed = [](const std::string& seed) {
    return generated({"--model", kTiny, "--prompt", "t1", "--tokens", "12", "--temperature", "2", "--top-k",
                      "5", "--seed", seed, "--mode", "both", "--backend", "naive"});
  };
  const json one = with_seed("1"), again = with_seed("1"), other = with_seed("2");
  CHECK(one["tokens_equal"] == true);
  CHECK(one["modes"]["cached"]["tokens"] == again["modes"]["cached"]["tokens"]);
  CHECK(one["modes"]["cached"]["tokens"] != other["modes"]["cached"]["tokens"]);
}

TEST_CASE("without --json: the text token by token, then a table, for one mode and for both") {
  const json j = generated({"--model", kTiny, "--prompt", "t1 t2", "--tokens", "5"});
  for (const char* mode : {"cached", "recompute", "both"}) {
    const LastrowOutcome o =
        lastrow_program({"generate", "--model", kTiny, "--prompt", "t1 t2", "--tokens", "5", "--mode", mode});
    CAPTURE(o.out);
    CHECK(o.exit_code == 0);
    CHECK(o.first_line() == j["modes"]["cached"]["text"].get<std::string>());
    CHECK(o.out.find("rows of Q projected") != std::string::npos);
    CHECK((o.out.find("All 5 tokens are equal") != std::string::npos) == (mode == std::string("both")));
  }
}

TEST_CASE("with a narrow cache, the scratch of recompute stays f32, and the text says what is rounded") {
  const std::string model = "random:layers=2,q_heads=4,kv_heads=2,head_dim=16,vocab=32,context=16";
  const auto with = [&](const std::string& dtype) {
    return generated({"--model", model, "--prompt", "t1 t2 t3", "--tokens", "4", "--mode", "both",
                      "--kv-dtype", dtype, "--backend", "naive"});
  };
  const json wide = with("f32");
  CHECK(wide["kv_dtype"] == "f32");
  CHECK(wide["max_abs_logit_diff"] == 0);  // equal to the bit on naive
  for (const char* dtype : {"f16", "bf16", "int8", "fp8"}) {
    CAPTURE(dtype);
    const json narrow = with(dtype);
    CHECK(narrow["modes"]["recompute"]["tokens"] == wide["modes"]["recompute"]["tokens"]);
    CHECK(narrow["modes"]["recompute"]["steps"][3]["kv_scratch_bytes"] ==
          wide["modes"]["recompute"]["steps"][3]["kv_scratch_bytes"]);
    CHECK(narrow["modes"]["cached"]["steps"][3]["cache_bytes_read"] <
          wide["modes"]["cached"]["steps"][3]["cache_bytes_read"]);
    CHECK(narrow["max_abs_logit_diff"] > 0);
    CHECK(narrow["max_abs_logit_diff"] < 1);
    const LastrowOutcome text = lastrow_program(
        {"generate", "--model", model, "--prompt", "t1 t2 t3", "--tokens", "4", "--kv-dtype", dtype});
    CHECK(text.out.find(std::string("stores K and V in ") + dtype) != std::string::npos);
  }
}

TEST_CASE("a trace of a narrow cache holds the decoded rows, and can be opened") {
  const Folder folder;
  generated({"--model", kTiny, "--prompt", "t1 t2 t3", "--tokens", "4", "--kv-dtype", "int8", "--trace",
             folder.file("run.safetensors")});
  const TraceFile trace = TraceFile::open(folder.file("run.safetensors"));
  CHECK(trace.recorder.cache_spec().dtypes() == KvDtypes(DType::i8));
  const StepTensors step = trace.recorder.tensors(3);
  CHECK(step.layers[0].k.dtype() == DType::f32);
  const float* row = step.layers[0].k.data<float>();  // [kv_len, n_kv_heads, head_dim]: the first of them
  const auto head_dim = static_cast<int32_t>(step.layers[0].k.dim(2));
  std::vector<int8_t> codes(static_cast<size_t>(head_dim));
  const float scale = encode_row(row, head_dim, codes.data());
  for (int32_t d = 0; d < head_dim; ++d) CHECK(decode(codes[d], scale) == row[d]);
}

TEST_CASE("each mode gets its own trace, which can be opened") {
  const Folder folder;
  const json j = generated({"--model", kTiny, "--prompt", "t1 t2 t3", "--tokens", "4", "--mode", "both",
                            "--trace", folder.file("run.safetensors")});
  CHECK(folder.listing() == "run.recompute.safetensors run.safetensors ");
  for (const char* mode : {"cached", "recompute"}) {
    const bool cached = mode == std::string("cached");
    const TraceFile trace =
        TraceFile::open(folder.file(cached ? "run.safetensors" : "run.recompute.safetensors"));
    std::vector<int32_t> tokens = {1, 2, 3};
    for (const json& token : j["modes"][mode]["tokens"]) tokens.push_back(token.get<int32_t>());
    CHECK(trace.info.tokens == tokens);
    CHECK(trace.recorder.steps().size() == 4);
    CHECK(trace.recorder.plan(3).tokens.size() == (cached ? 1 : 6));
  }
}
