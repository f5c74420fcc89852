// The texts that the library carries for `lastrow eval`: where they are from, and that no training saw them.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "io/safetensors.h"
#include "model/builtin.h"
#include "model/model.h"
#include "train/evaluate.h"
#include "train/grammar.h"

using namespace lastrow;
using namespace lastrow::train;

namespace {

nlohmann::json origin_of(const BuiltinFile& file) {
  const SafetensorsFile model = SafetensorsFile::from_bytes(file.bytes, std::string(file.name));
  return nlohmann::json::parse(model.metadata().at("lastrow.origin"));
}

/// Every run of `n` tokens in the text.
void add_runs(const std::vector<int32_t>& tokens, size_t n, std::set<std::vector<int32_t>>& runs) {
  for (size_t i = 0; i + n <= tokens.size(); ++i)
    runs.emplace(tokens.begin() + static_cast<std::ptrdiff_t>(i),
                 tokens.begin() + static_cast<std::ptrdiff_t>(i + n));
}

}  // namespace

TEST_CASE("the carried texts are those that the grammar writes from the held-out seed") {
  // If this fails on purpose: train_fable --held-out > src/model/builtin/held-out.txt
  CHECK(held_out_text() == held_out_file());
}

TEST_CASE("the built-in models read exactly the tokens that the grammar wrote, and they are grammatical") {
  std::string_view rest = held_out_text();
  for (int i = 0; i < kCarriedTexts; ++i) {
    const size_t end = rest.find("\n\n");
    const std::vector<int32_t> tokens = load_model("fable-gqa")->tokenizer().encode(rest.substr(0, end));
    CHECK(tokens == carried_text(i));
    CHECK(tokens.size() == 256);
    CHECK(first_offence(tokens) == -1);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
  }
  CHECK(rest.empty());
}

TEST_CASE("no built-in model was trained on the held-out seed") {
  for (const BuiltinFile& file : builtin_files()) {
    CAPTURE(file.name);
    CHECK(origin_of(file)["seed"] != kHeldOutSeed);
  }
}

TEST_CASE("no run of 24 tokens of the carried texts is in a sample of what the models were trained on") {
  // Every 64th step of each training, written again as trainer.cpp does it. Over all steps of both seeds the
  // longest common run is 20 tokens (lessons/train/README.md); the test takes a sample, to be quick.
  constexpr size_t kRun = 24;
  constexpr int64_t kEvery = 64;
  std::set<std::vector<int32_t>> carried;
  for (int i = 0; i < kCarriedTexts; ++i) add_runs(carried_text(i), kRun, carried);
  std::set<uint64_t> seeds;
  for (const BuiltinFile& file : builtin_files()) {
    const nlohmann::json origin = origin_of(file);
    const uint64_t seed = origin["seed"];
    if (!seeds.insert(seed).second) continue;  // the same texts as another model's
    const int64_t n_steps = origin["steps"];
    int64_t n_texts = 0;
    for (int64_t step = 0; step < n_steps; step += kEvery) {
      const bool first =
          static_cast<double>(step) < origin["first_part"].get<double>() * static_cast<double>(n_steps);
      const int seq_len = origin[first ? "first_seq_len" : "seq_len"];
      const int batch = origin["batch"].get<int>() * origin["seq_len"].get<int>() / seq_len;
      for (int i = 0; i < batch; ++i, ++n_texts) {
        Random random(seed, (static_cast<uint64_t>(step + 1) << 20) + static_cast<uint64_t>(i));
        std::set<std::vector<int32_t>> trained;
        add_runs(write(seq_len, random).tokens, kRun, trained);
        for (const std::vector<int32_t>& run : trained) CHECK_FALSE(carried.contains(run));
      }
    }
    MESSAGE("seed " << seed << ": " << n_texts << " of the texts");
    CHECK(n_texts > 2000);
  }
  CHECK(seeds.size() == 2);
}
