// The committed models: as good as lessons/train/README.md says, and the same function as the library's
// decoder.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "cache/kv_cache.h"
#include "model/decoder.h"
#include "registry/registry.h"
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
    MESSAGE(name << ": " << h.loss << " nats a token, floor " << h.floor);
    CHECK(h.excess() < 0.10);
    CHECK(h.excess() > -0.02);  // far below the floor would mean that the floor is wrong
  }
}

TEST_CASE("greedy continuations of each committed model are grammatical") {
  for (const char* name : kNames) {
    const Continuations c = continue_prompts(committed(name), 10, 30);
    CAPTURE(name);
    for (const std::string& failure : c.failures) MESSAGE(failure);
    CHECK(c.parsed == c.n);
  }
}

TEST_CASE("a head of each committed model looks back at the same animal, invented names included") {
  for (const char* name : kNames) {
    const std::vector<HeadScore> heads = look_back(committed(name), 20);
    const auto best =
        std::max_element(heads.begin(), heads.end(),
                         [](const HeadScore& a, const HeadScore& b) { return a.weaker() < b.weaker(); });
    MESSAGE(name << ": layer " << best->layer << " head " << best->head << ": nouns " << best->noun
                 << " (chance " << best->noun_chance << "), names " << best->name << " (chance "
                 << best->name_chance << ")");
    CHECK(best->noun > 3 * best->noun_chance);
    CHECK(best->name > 2 * best->name_chance);
  }
}

TEST_CASE("the trainer's forward and the library's decoder are one function") {
  // Both compute in double precision, in other orders of summation. Sums of at most 256 products through 4
  // layers, on logits below 100, differ by some 1e-16 · 256 · 100 · 4 = 1e-11; ten times that is allowed.
  constexpr double kTolerance = 1e-10;
  Random random(kHeldOutSeed, 3'000'000);
  const std::vector<int32_t> tokens = write(100, random).tokens;
  for (const char* name : kNames) {
    const TrainedModel trained = committed(name);
    const std::vector<double> params(trained.params.begin(), trained.params.end());
    Network<double> network(trained.layout, 256);
    network.forward(params.data(), tokens);

    const auto model = load_model(name);
    const ModelConfig& c = model->config();
    const auto backend = make_backend("naive-f64");
    const Decoder decoder(*model, *backend);
    CacheSpec spec = CacheSpec::contiguous(c.n_layers, c.n_kv_heads, c.head_dim, c.max_seq_len);
    spec.dtype = DType::f64;
    ContiguousCache cache(spec);
    const auto storage = backend->make_storage(spec);
    Workspace workspace(c, *backend, 100, 100);
    const SequenceInput input{.sequence = 0, .tokens = tokens, .logits = LogitRows::all};
    const StepPlan& plan = cache.plan({&input, 1});
    Tensor logits = Tensor::host(DType::f64, {100, c.vocab_size});
    backend->download(decoder.forward(*backend, backend->begin_step(plan, *storage), *storage, workspace),
                      logits.view());
    cache.commit(plan);
    double worst = 0;
    for (int64_t i = 0; i < logits.size(); ++i)
      worst = std::max(worst, std::abs(logits.data<double>()[i] - network.logits().data()[i]));
    CAPTURE(name);
    CHECK(worst < kTolerance);
  }
}

TEST_CASE("training learns, and repeats itself bit for bit") {
  const ParameterLayout layout(fable_config("fable-mqa"));
  TrainOptions options;
  options.adamw.n_steps = 12;
  options.adamw.warmup_steps = 4;
  options.batch = 3;
  options.seq_len = 48;
  options.report_every = 6;
  std::vector<double> losses;
  const auto report = [&](const Progress& p) { losses.push_back(p.loss); };
  const std::vector<float> once = fit(layout, options, report);
  CHECK(losses.size() == 2);
  CHECK(losses[1] < losses[0]);
  CHECK(fit(layout, options, report) == once);
}
