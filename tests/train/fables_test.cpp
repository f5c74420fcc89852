// The committed models: as good as lessons/train/README.md says,
// and the same function as the library's decoder.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "cache/contiguous_cache.h"
#include "model/decoder.h"
#include "registry/registry.h"
#include "support/thread_limit.h"
#include "train/evaluate.h"
#include "train/grammar.h"
#include "train/network.h"
#include "train/trainer.h"

using namespace lastrow;
using namespace lastrow::train;

namespace {

const char* const kNames[] = {"fable-mha", "fable-gqa", "fable-mqa"};

TrainedModel committed(const std::string& name) {
  return load(std::string(LASTROW_SOURCE_DIR "/src/model/builtin/") + name + ".safetensors");
}

/// Logits of every token by the library's decoder, [n_tokens, vocab_size] in f64.
Tensor library_logits(const std::string& name, const std::vector<int32_t>& tokens) {
  const auto model = load_model(name);
  const ModelConfig& c = model->config();
  const auto backend = make_backend("naive-f64");
  const Decoder decoder(*model, *backend);
  const CacheSpec spec = CacheSpec::contiguous(c.n_layers, c.n_kv_heads, c.head_dim, c.max_seq_len);
  ContiguousCache cache(spec);
  const auto storage = backend->make_storage(spec);
  const auto n_tokens = static_cast<int64_t>(tokens.size());
  Workspace workspace(c, *backend, n_tokens, n_tokens);
  const SequenceInput input{.sequence = 0, .tokens = tokens, .logits = LogitRows::all};
  const StepPlan& plan = cache.plan({&input, 1});
  Tensor logits = Tensor::host(DType::f64, {n_tokens, c.vocab_size});
  backend->download(decoder.forward(*backend, backend->begin_step(plan, *storage), *storage, workspace),
                    logits.view());
  cache.commit(plan);
  return logits;
}

}  // namespace

TEST_CASE("each committed model is the fable that its name says") {
  for (const char* name : kNames) {
    CHECK(committed(name).layout.config() == fable_config(name));
    CHECK(std::filesystem::file_size(std::string(LASTROW_SOURCE_DIR "/src/model/builtin/") + name +
                                     ".safetensors") < 1'000'000);
  }
}

TEST_CASE("the held-out loss of each committed model is within 10 % of the floor") {
  for (const char* name : kNames) {
    const HeldOut h = held_out_loss(committed(name), 20);
    MESSAGE(std::string(name) << ": " << h.loss << " nats a token, floor " << h.floor);
    CHECK(h.excess() < 0.10);
    CHECK(h.excess() > -0.02);  // far below the floor would mean that the floor is wrong
  }
}

TEST_CASE("greedy continuations of each committed model are grammatical") {
  for (const char* name : kNames) {
    const Continuations c = continue_prompts(committed(name), 50, 30);
    CAPTURE(name);
    for (const std::string& failure : c.failures) MESSAGE(failure);
    CHECK(c.parsed == c.n);
  }
}

TEST_CASE("a head of each committed model looks back at the same animal, invented names included") {
  for (const char* name : kNames) {
    const std::vector<HeadScore> heads = look_back(committed(name), 20);
    // Of one head, the lesser of what it gives to nouns and to names, in units of chance.
    const auto both = [](const HeadScore& h) {
      return std::min(h.noun / h.noun_chance, h.name / h.name_chance);
    };
    const auto best =
        std::max_element(heads.begin(), heads.end(),
                         [&](const HeadScore& x, const HeadScore& y) { return both(x) < both(y); });
    MESSAGE(std::string(name) << ": one head gives " << best->noun << " to nouns (chance "
                              << best->noun_chance << ") and " << best->name << " to names (chance "
                              << best->name_chance << ")");
    CHECK(best->noun > 3 * best->noun_chance);
    CHECK(best->name > 3 * best->name_chance);
  }
}

TEST_CASE("the trainer's forward and the library's decoder are one function") {
  // The library's naive-f64 computes in double and keeps K and V in f32; the trainer's Network<float> rounds
  // those and everything else. Judged by Network<double>,
  // the library must therefore be the closer of the two.
  Random random(kHeldOutSeed, 3'000'000);
  const std::vector<int32_t> tokens = write(100, random).tokens;
  for (const char* name : kNames) {
    const TrainedModel trained = committed(name);
    const std::vector<double> params(trained.params.begin(), trained.params.end());
    Network<double> judge(trained.layout, 256);
    judge.forward(params.data(), tokens);
    Network<float> rounded(trained.layout, 256);
    rounded.forward(trained.params.data(), tokens);
    const Tensor logits = library_logits(name, tokens);

    double library_error = 0, float_error = 0;
    for (int64_t i = 0; i < logits.size(); ++i) {
      const double exact = judge.logits().data()[i];
      library_error = std::max(library_error, std::abs(logits.data<double>()[i] - exact));
      float_error = std::max(float_error, std::abs(double{rounded.logits().data()[i]} - exact));
    }
    CAPTURE(std::string(name));
    CHECK(library_error < float_error);
    CHECK(float_error < 1e-3);  // the yardstick itself is small: logits are of size 10
  }
}

TEST_CASE("training learns, and repeats itself bit for bit") {
  const ParameterLayout layout(fable_config("fable-mqa"));
  TrainOptions options;
  options.adamw.n_steps = 12;
  options.adamw.warmup_steps = 4;
  options.batch = 3;
  options.seq_len = 48;
  options.first_seq_len = 16;
  options.report_every = 6;
  std::vector<double> losses;
  const auto report = [&](const Progress& p) { losses.push_back(p.loss); };
  const std::vector<float> once = fit(layout, options, report);
  CHECK(losses.size() == 2);
  CHECK(losses[1] < losses[0]);
  CHECK(fit(layout, options, report) == once);
  const lastrow::testing::ThreadLimit limit(0);  // no thread can start: the caller's does all the work
  CHECK(fit(layout, options, report) == once);
}
