// What the recorder holds after a step: events in order, tensors, versions of rows, and its memory bound.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "cache/contiguous_cache.h"
#include "model/decoder.h"
#include "tests/trace/tiny.h"
#include "tests/trace/traced_model.h"
#include "trace/counting.h"
#include "trace/poke.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

std::vector<float> values(ConstTensorView t) { return {t.data<float>(), t.data<float>() + t.size()}; }

}  // namespace

TEST_CASE("by eye: the events of a decode step, in order") {
  TracedModel m({}, 1);  // one layer
  m.step({3, 1, 4});
  m.step({1});
  std::vector<std::string> names;
  for (const Event& e : m.recorder.events(1)) names.push_back(e.name);
  CHECK(names == std::vector<std::string>{"embed",     "attn_norm", "q_proj",      "k_proj",     "v_proj",
                                          "rope_q",    "rope_k",    "append",      "attend",     "o_proj",
                                          "add_attn",  "ffn_norm",  "gate_proj",   "up_proj",    "swiglu",
                                          "down_proj", "add_ffn",   "gather_rows", "final_norm", "lm_head"});
  const Event& append = m.recorder.events(1)[7];
  REQUIRE(append.writes.size() == 2);
  CHECK(append.writes[0] ==
        RowSpan{RowSpace::k, 0, 3, 1, 1});  // slot 3 of layer 0, written for the first time
  CHECK(append.writes[1] == RowSpan{RowSpace::v, 0, 3, 1, 1});
  const Event& attend = m.recorder.events(1)[8];
  REQUIRE(attend.reads.size() == 3);
  CHECK(attend.reads[0].count == 1);                           // one query …
  CHECK(attend.reads[1] == RowSpan{RowSpace::k, 0, 0, 4, 1});  // … and four keys
  CHECK(attend.reads[2] == RowSpan{RowSpace::v, 0, 0, 4, 1});
  for (const Event& e : m.recorder.events(1)) CHECK(e.duration_us >= 0);
}

TEST_CASE("an operand is the row that an earlier event wrote: same tensor, same version") {
  TracedModel m({}, 2);
  m.step({3, 1, 4});
  const auto events = m.recorder.events(0);
  for (size_t i = 1; i < events.size(); ++i) {
    if (events[i].name == site::kRopeQ) {  // in place: it reads the projection and writes the next version
      CHECK(events[i].reads[0] == events[i - 3].writes[0]);
      CHECK(events[i].writes[0].id == events[i].reads[0].id);
      CHECK(events[i].writes[0].version == events[i].reads[0].version + 1);
    }
    if (events[i].name == site::kOProj) CHECK(events[i].reads[0] == events[i - 1].writes[0]);
  }
}

TEST_CASE("costs of the events add up to what a counter counts") {
  TracedModel m({}, 2);
  CountingBackend counting(m.tracing);
  m.step({3, 1, 4}, &counting);
  counting.reset();
  m.step({1}, &counting);
  OpCost sum;
  for (const Event& e : m.recorder.events(1)) sum += e.cost;
  CHECK(sum == counting.counts().cost);
}

TEST_CASE("step tensors hold what attend read and wrote") {
  TracedModel m({.probe = true}, 2);
  m.step({3, 1, 4, 1});
  m.step({5});
  const StepTensors t = m.recorder.tensors(1);
  CHECK(t.tokens == std::vector<int32_t>{5});
  CHECK(t.positions == std::vector<int32_t>{4});
  REQUIRE(t.layers.size() == 2);
  for (const LayerTensors& layer : t.layers) {
    CHECK(layer.q.shape() == Shape{1, 4, 8});
    CHECK(layer.k.shape() == Shape{5, 2, 8});
    CHECK(layer.scores.shape() == Shape{4, 1, 5});
    CHECK(layer.residual.shape() == Shape{1, 32});
    // The scores, probabilities and output follow from q, K and V.
    for (int64_t h = 0; h < 4; ++h) {
      std::vector<double> p(5), out(8);
      for (int64_t s = 0; s < 5; ++s) {
        double dot = 0;
        for (int64_t d = 0; d < 8; ++d)
          dot += double{layer.q.data<float>()[h * 8 + d]} * layer.k.data<float>()[(s * 2 + h / 2) * 8 + d];
        const double score = dot / std::sqrt(8.0);
        CHECK(layer.scores.data<float>()[h * 5 + s] == doctest::Approx(score).epsilon(1e-4));
        p[s] = std::exp(score - layer.lse.data<float>()[h]);
        CHECK(layer.probs.data<float>()[h * 5 + s] == doctest::Approx(p[s]).epsilon(1e-4));
        for (int64_t d = 0; d < 8; ++d) out[d] += p[s] * layer.v.data<float>()[(s * 2 + h / 2) * 8 + d];
      }
      for (int64_t d = 0; d < 8; ++d)
        CHECK(layer.out.data<float>()[h * 8 + d] == doctest::Approx(out[d]).epsilon(1e-3));
    }
  }
  CHECK(values(t.logits) == m.logits);
}

TEST_CASE("a masked score is -infinity, its probability 0") {
  TracedModel m({.probe = true}, 1);
  m.step({3, 1, 4});
  const LayerTensors layer = m.recorder.tensors(0).layers[0];
  CHECK(layer.scores.data<float>()[1] == -std::numeric_limits<float>::infinity());  // head 0, row 0, key 1
  CHECK(layer.probs.data<float>()[1] == 0.0f);
  CHECK(layer.probs.data<float>()[0] == doctest::Approx(1.0f));
}

TEST_CASE("tracing changes no bit") {
  TracedModel plain({.attention = false, .events = false}, 2), watched({.ops = {"*"}, .probe = true}, 2);
  plain.step({3, 1, 4});
  watched.step({3, 1, 4});
  plain.step({2});
  watched.step({2});
  CHECK(plain.logits == watched.logits);
}

TEST_CASE("the trace shows poked operands, inside a poking backend") {
  TracedModel m({}, 2);
  PokingBackend poking(m.tracing);
  const Poke zero{.what = Poke::What::k, .layer = 1, .position = 1, .action = Poke::Action::zero, .step = 0};
  poking.set_pokes({&zero, 1});
  m.step({3, 1, 4}, &poking);
  const StepTensors t = m.recorder.tensors(0);
  for (int64_t i = 0; i < 16; ++i) {
    CHECK(t.layers[1].k.data<float>()[16 + i] == 0.0f);
    CHECK(t.layers[0].k.data<float>()[16 + i] != 0.0f);
  }
  int n_writes = 0;
  for (const Event& e : m.recorder.events(0)) n_writes += e.op == kWriteRows;
  CHECK(n_writes == 2);  // poked, then restored
}

TEST_CASE("keep latest holds one step, keep all holds them all and K/V rows once") {
  TracedModel latest({}, 1), all({.keep = RecordOptions::Keep::all}, 1);
  for (TracedModel* m : {&latest, &all}) {
    m->step({3, 1, 4});
    m->step({1});
    m->step({5});
  }
  CHECK(latest.recorder.steps() == std::vector<int32_t>{2});
  CHECK(all.recorder.steps() == std::vector<int32_t>{0, 1, 2});
  CHECK_THROWS_AS(latest.recorder.tensors(1), UsageError);
  CHECK(same_bits(latest.recorder.tensors(2).layers[0].k, all.recorder.tensors(2).layers[0].k));
  CHECK(same_bits(latest.recorder.tensors(2).layers[0].v, all.recorder.tensors(2).layers[0].v));
  CHECK(all.recorder.tensors(0).layers[0].k.shape() == Shape{3, 2, 8});
  CHECK(all.recorder.kv().rows().size() == 5 * 2);  // 5 slots, K and V, one layer …
  for (const auto& [key, versions] : all.recorder.kv().rows()) CHECK(versions.size() == 1);  // … once each
}

TEST_CASE("K at step t is each row's latest version up to t") {
  NaiveBackend<float> naive;
  Recorder recorder({.keep = RecordOptions::Keep::all});
  TracingBackend tracing(naive, recorder);
  PokingBackend poking(tracing);
  const Poke poke{.what = Poke::What::k, .layer = 0, .position = 1, .seed = 8, .step = 1};
  poking.set_pokes({&poke, 1});
  Tiny tiny(naive, {.n_layers = 1});
  for (int32_t step = 0; step < 3; ++step) {
    poking.set_step(step);
    tiny.step(poking, 2);
  }
  const auto k1 = [&](int32_t step) { return values(recorder.tensors(step).layers[0].k.rows(1, 1)); };
  CHECK(k1(0) == values(tiny.rows(0, 1, 1, 1).view()));
  CHECK(k1(1) != k1(0));  // poked only in this step
  CHECK(k1(2) == k1(0));
  CHECK(recorder.kv().rows().at({0, RowKind::k, 1}).size() == 3);
  CHECK(recorder.kv().rows().at({0, RowKind::k, 0}).size() == 1);
}

TEST_CASE("stepping back forgets what came later, once the step opens") {
  TracedModel m({.keep = RecordOptions::Keep::all}, 1);
  m.step({3, 1, 4});
  m.step({1});
  m.step({5});
  const int64_t row_bytes = m.recorder.kv().bytes();
  const std::vector<float> logits = m.logits;
  m.recorder.set_step(1);
  CHECK(m.recorder.has_step(2));
  m.cache.truncate(0, 3);
  m.step({1});
  CHECK(m.recorder.steps() == std::vector<int32_t>{0, 1});
  m.step({5});
  CHECK(m.recorder.kv().bytes() == row_bytes);
  CHECK(m.recorder.events(2).size() == 20);
  CHECK(values(m.recorder.tensors(2).logits) == logits);

  m.recorder.set_step(1);  // other tokens from here on: the old rows of slots 3 and 4 are forgotten
  m.cache.truncate(0, 3);
  m.step({7});
  const std::vector<KvLog::Version>& versions = m.recorder.kv().rows().at({0, RowKind::k, 3});
  CHECK(versions.size() == 1);
  CHECK(same_bits(versions[0].row.view(), m.recorder.tensors(1).layers[0].k.rows(3, 1).reshaped({2, 8})));
  CHECK_FALSE(m.recorder.kv().rows().contains({0, RowKind::k, 4}));
  m.recorder.clear();
  CHECK(m.recorder.bytes() == 0);
}

TEST_CASE("filters: layers and operations") {
  TracedModel m({.layers = {1}, .ops = {"gate_proj"}}, 2);
  m.step({3, 1});
  CHECK(m.recorder.find(0, 1, "gate_proj")->shape() == Shape{2, 48});
  CHECK(m.recorder.find(0, 0, "gate_proj") == nullptr);
  CHECK(m.recorder.find(0, 1, recorded::kQ) != nullptr);
  CHECK(m.recorder.find(0, 0, recorded::kQ) == nullptr);
  CHECK(m.recorder.find(0, -1, site::kLmHead) == nullptr);
  const StepTensors t = m.recorder.tensors(0);
  CHECK(t.layers[0].k.empty());
  CHECK_FALSE(t.layers[1].k.empty());
  CHECK(t.logits.empty());
}

TEST_CASE("the memory bound holds, and says so") {
  for (const auto keep : {RecordOptions::Keep::latest, RecordOptions::Keep::all}) {
    TracedModel m({.keep = keep, .ops = {"*"}, .probe = true, .max_bytes = 20'000}, 2);
    for (int i = 0; i < 6; ++i) {
      m.step({3, 1});
      const int64_t n_plans = keep == RecordOptions::Keep::latest ? 1 : i + 1;  // a plan is always kept
      CHECK(m.recorder.bytes() <= 20'000 + n_plans * (static_cast<int64_t>(sizeof(StepPlan)) + 100));
    }
    CHECK(m.recorder.truncated());
    if (keep == RecordOptions::Keep::latest) CHECK_FALSE(m.recorder.events(5).empty());
    CHECK(m.recorder.tensors(5).kv_len == 12);  // the call is still safe
  }
  TracedModel m({}, 1);
  m.step({3, 1});
  CHECK_FALSE(m.recorder.truncated());
}

TEST_CASE("several sequences in one step, a double backend, NaN in unused slots") {
  NaiveBackend<double> judge;
  Recorder recorder({.probe = true});
  TracingBackend tracing(judge, recorder);
  ContiguousCache cache(CacheSpec::contiguous(1, 2, 8, 8, /*n_seqs=*/3));
  auto storage = judge.make_storage(cache.spec());
  for (RowKind kind : {RowKind::k, RowKind::v})
    std::memset(storage->rows(0, kind).raw(), 0xFF, static_cast<size_t>(storage->rows(0, kind).size_bytes()));
  const std::vector<int32_t> tokens(8, 0);
  const std::array<SequenceInput, 3> inputs{SequenceInput{2, {tokens.data(), 2}, LogitRows::none},
                                            SequenceInput{1, {}, LogitRows::none},
                                            SequenceInput{0, {tokens.data(), 3}, LogitRows::none}};
  const Batch& batch = tracing.begin_step(cache.plan(inputs), *storage);
  Tensor q = tracing.upload(random_tensor({5, 4, 8}, 1).view()),
         k = tracing.upload(random_tensor({5, 2, 8}, 2).view());
  Tensor out = tracing.make_tensor({5, 4, 8}), lse = tracing.make_tensor({5, 4});
  tracing.run(Append{{0, site::kAppend}, k.view(), k.view(), batch, *storage});
  tracing.run(Attend{{0, site::kAttend}, q.view(), *storage, batch, {}, out.view(), lse.view()});
  CHECK(recorder.tensors(0, 0).layers[0].k.shape() == Shape{2, 2, 8});
  CHECK(recorder.tensors(0, 2).layers[0].probs.shape() == Shape{4, 3, 3});
  CHECK(recorder.tensors(0, 2).layers[0].q.dtype() == DType::f64);
  CHECK(same_bits(recorder.tensors(0, 2).layers[0].q, std::as_const(q).view().rows(2, 3)));
  CHECK(recorder.tensors(0, 1).layers[0].q.n_rows() == 0);  // a sequence without new tokens
  for (int32_t i : {0, 2}) {
    const StepTensors t = recorder.tensors(0, i);
    for (int64_t j = 0; j < t.layers[0].k.size(); ++j)
      CHECK_FALSE(std::isnan(t.layers[0].k.data<double>()[j]));
  }
  // Sequence 2 has block 2 and sequence 0 has block 0: slots 16, 17 and 0, 1, 2.
  const Event& attend = recorder.events(0)[1];
  CHECK(attend.reads[1] == RowSpan{RowSpace::k, 0, 16, 2, 1});
  CHECK(attend.reads[2] == RowSpan{RowSpace::k, 0, 0, 3, 1});
}

TEST_CASE("a view into a tensor has the id of the tensor; a tensor that grows keeps its id") {
  NaiveBackend<float> naive;
  Recorder recorder;
  TracingBackend tracing(naive, recorder);
  Tiny tiny(naive);
  const std::vector<int32_t> tokens(4, 0);
  const SequenceInput input{0, tokens, LogitRows::none};
  tracing.begin_step(tiny.cache().plan({&input, 1}), tiny.storage());
  Tensor x = random_tensor({8, 6}, 1), y = random_tensor({8, 6}, 2);
  tracing.run(Add{{0, "whole"}, y.view(), x.view()});
  tracing.run(Add{{0, "part"}, y.view().rows(3, 2), x.view().rows(5, 2)});
  tracing.run(Add{{0, "reshaped"}, y.view().reshaped({4, 12}), x.view().reshaped({4, 12})});
  const auto events = recorder.events(0);
  const RowSpan whole = events[0].writes[0], part = events[1].writes[0], reshaped = events[2].writes[0];
  CHECK(part == RowSpan{RowSpace::tensor, whole.id, 5, 2, whole.version + 1});
  CHECK(events[1].reads[0] == RowSpan{RowSpace::tensor, events[0].reads[0].id, 3, 2, 0});
  CHECK(reshaped.id != whole.id);  // rows of another width belong to another tensor

  Tensor z = random_tensor({8, 6}, 3);  // its first part is seen before the whole
  tracing.run(Add{{0, "start"}, y.view().rows(0, 2), z.view().rows(0, 2)});
  tracing.run(Add{{0, "more"}, y.view(), z.view()});
  CHECK(recorder.events(0)[4].writes[0].id == recorder.events(0)[3].writes[0].id);
}
