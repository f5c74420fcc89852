#include <doctest/doctest.h>

#include <set>
#include <string>

#include "core/error.h"
#include "cost/presets.h"

using namespace lastrow;

TEST_CASE("parameters by formula are those that the releases publish, exactly") {
  for (const ModelShape& m : presets()) {
    INFO(m.name);
    CHECK_NOTHROW(validate(m));
    CHECK_FALSE(m.source.empty());
    // Falcon's files contain the tied table twice.
    const bool stored_twice = m.name.starts_with("falcon");
    CHECK(n_params(m) + (stored_twice ? m.vocab_size * m.model_dim : 0) == m.published_params);
  }
  CHECK(n_params(find_preset("gpt-2")) == 124'439'808);
  CHECK(n_params(find_preset("llama-2-7b")) == 6'738'415'616);
}

TEST_CASE("who shares K/V heads: claim 15's examples") {
  const auto group = [](const char* name) {
    const ModelShape& m = find_preset(name);
    return m.n_q_heads / m.n_kv_heads;
  };
  CHECK(group("gpt-2") == 1);        // MHA
  CHECK(group("llama-3-70b") == 8);  // GQA
  CHECK(group("mistral-7b") == 4);   // GQA
  CHECK(group("falcon-7b") == 71);   // MQA
  CHECK(group("falcon-40b") == 16);  // GQA
  CHECK(group("gemma-2b") == 8);     // MQA: one K/V head
  CHECK(group("gemma-7b") == 1);     // MHA
  CHECK(group("gemma-2-9b") == 2);   // GQA
  CHECK(find_preset("gemma-2b").n_kv_heads == 1);
  CHECK(find_preset("falcon-7b").n_kv_heads == 1);
}

TEST_CASE("windows: Mistral in every layer, Gemma 2 in every other") {
  const ModelShape &mistral = find_preset("mistral-7b"), &gemma = find_preset("gemma-2-9b");
  CHECK(mistral.n_window_layers() == 32);
  CHECK(gemma.n_window_layers() == 21);
  CHECK(gemma.layer_window(0) == 4096);
  CHECK(gemma.layer_window(1) == 0);
  CHECK(find_preset("llama-3-8b").n_window_layers() == 0);
}

TEST_CASE("names may differ in case, punctuation and owner") {
  for (const char* name : {"llama-3-70b", "Llama 3 70B", "LLAMA3-70b", "meta-llama/Meta-Llama-3-70B"})
    CHECK(find_preset(name).name == "llama-3-70b");
  CHECK(find_preset("meta-llama/Llama-2-7b-hf").name == "llama-2-7b");
  CHECK(find_preset("gpt2").name == "gpt-2");
  CHECK(find_preset("GPT-2 small").name == "gpt-2");
  CHECK(find_preset("Mistral-7B-v0.1").name == "mistral-7b");
  CHECK(find_preset("Qwen2.5 7B").name == "qwen2.5-7b");
  CHECK(find_preset("HuggingFaceTB/SmolLM2-135M").name == "smollm2-135m");
  for (const ModelShape& m : presets()) CHECK(find_preset(m.name).name == m.name);
}

TEST_CASE("the error for an unknown name has the nearest name and the list") {
  CHECK(preset_or_null("llama-3.1-8b") == nullptr);
  CHECK_THROWS_WITH_AS((void)find_preset("llama-3.1-8b"), doctest::Contains("did you mean \"llama-3-8b\"?"),
                       UsageError);
  CHECK_THROWS_WITH_AS((void)find_preset("gema-2b"), doctest::Contains("did you mean \"gemma-2b\"?"),
                       UsageError);
  CHECK_THROWS_WITH_AS((void)find_preset("meta-llama/Llama-3.1-8B"),
                       doctest::Contains("did you mean \"llama-3-8b\"?"), UsageError);
  CHECK_THROWS_WITH_AS((void)find_preset("llama-2-8b"),
                       doctest::Contains("did you mean \"llama-2-7b\" or \"llama-3-8b\"?"), UsageError);
  for (const char* name : {"", "///", "x", "fable-gqa", "the quick brown fox"}) {
    try {
      (void)find_preset(name);
      FAIL("found ", name);
    } catch (const UsageError& e) {
      const std::string what = e.what();
      CHECK(what.find("did you mean") == std::string::npos);
      CHECK(what.find("gpt-2, gpt-2-xl") != std::string::npos);
    }
  }
  CHECK_THROWS_AS((void)find_preset(std::string(1'000'000, 'a')), UsageError);
}
