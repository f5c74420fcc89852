// Pokes of single operations: what a poked row changes, what it does not change, and the storage afterwards.
#include <doctest/doctest.h>

#include <cmath>

#include "cache/contiguous_cache.h"
#include "tests/trace/tiny.h"
#include "trace/poke.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

// All stored rows, including NaN.
std::vector<Tensor> snapshot(const KvStorage& storage) {
  std::vector<Tensor> all;
  for (int32_t layer = 0; layer < storage.spec().n_layers; ++layer)
    for (RowKind kind : {RowKind::k, RowKind::v}) {
      for (const ConstTensorView& rows : {storage.rows(layer, kind), storage.scales(layer, kind)}) {
        if (rows.empty()) continue;
        Tensor copy(Memory::host(), rows.dtype(), rows.shape());
        std::memcpy(copy.view().raw(), rows.raw(), static_cast<size_t>(rows.size_bytes()));
        all.push_back(std::move(copy));
      }
    }
  return all;
}

bool same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i)
    if (!same_bits(a[i].view(), b[i].view())) return false;
  return a.size() == b.size();
}

ConstTensorView last_row(const Tensor& t) { return t.view().rows(t.shape()[0] - 1, 1); }

// A prefill of 4 and single decodes up to step `last`, poked. Keeps the outputs of that step.
struct Run {
  std::vector<Tensor> out;
  PokeReport report;  // of poke 0 in the last step
  std::vector<Tensor> stored;
};
Run run(std::vector<Poke> pokes, int32_t last, bool recompute, DType kv_dtype = DType::f32) {
  NaiveBackend<float> naive;
  PokingBackend poking(naive);
  poking.set_pokes(pokes);
  Tiny tiny(naive, {.kv_dtype = kv_dtype});
  Run r;
  for (int32_t step = 0; step <= last; ++step) {
    poking.set_step(step);
    r.out = tiny.step(poking, step == 0 ? 4 : 1, recompute);
  }
  if (!pokes.empty()) r.report = poking.report(0);
  r.stored = snapshot(tiny.storage());
  return r;
}

}  // namespace

TEST_CASE("by eye: a zeroed value row takes its half of the output with it") {
  // One head of width 2, all scores 0, so both rows have weight 1/2: v[0] = (1, 0), v[1] = (0, 1).
  NaiveBackend<float> naive;
  PokingBackend poking(naive);
  ContiguousCache cache(CacheSpec::contiguous(1, 1, 2, 4));
  auto storage = poking.make_storage(cache.spec());
  Tensor k = Tensor::host(DType::f32, {2, 1, 2}), v = k.clone(), q = k.clone(), out = k.clone();
  Tensor lse = Tensor::host(DType::f32, {2, 1});
  v.data<float>()[0] = v.data<float>()[3] = 1;
  const std::vector<int32_t> tokens{0, 0};
  const SequenceInput input{0, tokens, LogitRows::none};

  const Poke zero_v0{.what = Poke::What::v, .position = 0, .action = Poke::Action::zero};
  poking.set_pokes({&zero_v0, 1});
  const StepPlan& plan = cache.plan({&input, 1});
  const Batch& batch = poking.begin_step(plan, *storage);
  poking.run(Append{{0, site::kAppend}, k.view(), v.view(), batch, *storage});
  poking.run(Attend{{0, site::kAttend}, q.view(), *storage, batch, {}, out.view(), lse.view()});
  CHECK(out.data<float>()[0] == 0.0f);  // row 0 sees only v[0]
  CHECK(out.data<float>()[2] == 0.0f);  // row 1: (1/2, 1/2) without v[0] …
  CHECK(out.data<float>()[3] == 0.5f);  // … is (0, 1/2)
  CHECK(poking.report(0).changed == 1);
  CHECK(poking.reads(0) == 2);                                   // rows 0 and 1 see it
  CHECK(storage->rows(0, RowKind::v).data<float>()[0] == 1.0f);  // v[0] = (1, 0) is still stored
}

TEST_CASE("a stored row is found by its position, also where earlier positions are no longer held") {
  NaiveBackend<float> naive;
  PokingBackend poking(naive);
  ContiguousCache cache(CacheSpec::contiguous(1, 1, 2, 4));
  auto storage = poking.make_storage(cache.spec());
  Tensor k = Tensor::host(DType::f32, {2, 1, 2}), v = k.clone(), q = k.clone(), out = k.clone();
  Tensor lse = Tensor::host(DType::f32, {2, 1});
  v.data<float>()[0] = v.data<float>()[3] = 1;
  const std::vector<int32_t> tokens{0, 0};
  const SequenceInput input{0, tokens, LogitRows::none};
  StepPlan plan = cache.plan({&input, 1});
  plan.positions = {6, 7};  // as if positions 0 to 5 were forgotten

  const Poke pokes[] = {{.what = Poke::What::v, .position = 6, .action = Poke::Action::zero},
                        {.what = Poke::What::v, .position = 1, .action = Poke::Action::zero}};
  poking.set_pokes(pokes);
  const Batch& batch = poking.begin_step(plan, *storage);
  poking.run(Append{{0, site::kAppend}, k.view(), v.view(), batch, *storage});
  poking.run(Attend{{0, site::kAttend}, q.view(), *storage, batch, {}, out.view(), lse.view()});
  CHECK(out.data<float>()[0] == 0.0f);  // v[0], at position 6, is zeroed
  CHECK(out.data<float>()[3] == 0.5f);  // v[1] is not, although its index is 1
  CHECK(poking.report(0).changed == 1);
  CHECK(poking.reads(0) == 2);
  CHECK(poking.report(1).changed == 0);
  CHECK(poking.reads(1) == 0);
}

TEST_CASE("a past query is read 0 times with the cache, and changes nothing there") {
  for (const auto when : {Poke::When::now, Poke::When::since}) {
    const Poke poke{.what = Poke::What::q, .layer = 1, .position = 3, .seed = 5, .when = when, .step = 3};
    const Run poked = run({poke}, 3, false), plain = run({}, 3, false);
    CHECK(poked.report.reads == 0);
    CHECK(poked.report.changed == 0);
    CHECK(same(poked.out, plain.out));
    CHECK(same(poked.stored, plain.stored));
  }
}

TEST_CASE("without the cache a past query changes its own row and no other") {
  const Poke poke{.what = Poke::What::q, .layer = 1, .position = 3, .seed = 5, .step = 3};
  const Run poked = run({poke}, 3, true), plain = run({}, 3, true);
  CHECK(poked.report.reads == 1);
  CHECK(same_bits(poked.out[0].view(), plain.out[0].view()));  // another layer
  for (int32_t t = 0; t < 7; ++t)
    CHECK(same_bits(poked.out[1].view().rows(t, 1), plain.out[1].view().rows(t, 1)) == (t != 3));
}

TEST_CASE("one head of a query: the other heads' outputs keep their bits") {
  const Poke poke{.what = Poke::What::q, .layer = 0, .position = 6, .head = 2, .seed = 1, .step = 3};
  const Run poked = run({poke}, 3, false), plain = run({}, 3, false);
  for (int64_t h = 0; h < 4; ++h)
    CHECK(same_bits(poked.out[0].view().reshaped({4, 8}).rows(h, 1),
                    plain.out[0].view().reshaped({4, 8}).rows(h, 1)) == (h != 2));
}

TEST_CASE("k and v now: this step's rows that see it change, the store does not") {
  for (const auto what : {Poke::What::k, Poke::What::v})
    for (const bool recompute : {false, true})
      for (const int32_t position : {0, 2, 6}) {  // row 6 is appended in this step
        CAPTURE(position);
        CAPTURE(recompute);
        const Poke poke{.what = what, .layer = 1, .position = position, .seed = 9, .step = 3};
        const Run poked = run({poke}, 3, recompute), plain = run({}, 3, recompute);
        CHECK(same(poked.stored, plain.stored));
        CHECK(same_bits(poked.out[0].view(), plain.out[0].view()));
        const int64_t n_rows = poked.out[1].shape()[0], first = 7 - n_rows;
        for (int64_t t = 0; t < n_rows; ++t) {
          // Row 0 sees only key 0, which has weight 1 for any key.
          const bool changes = first + t >= position && !(what == Poke::What::k && first + t == 0);
          CHECK(same_bits(poked.out[1].view().rows(t, 1), plain.out[1].view().rows(t, 1)) == !changes);
        }
        CHECK(poked.report.changed == 1);
        CHECK(poked.report.reads == (recompute ? 7 - position : 1));
      }
}

TEST_CASE("k and v now, in a store of any type: the outputs change, the store is afterwards what it was") {
  for (const DType dtype : {DType::f16, DType::bf16, DType::fp8_e4m3, DType::i8, DType::i4x2, DType::fp4x2})
    for (const Poke::What what : {Poke::What::k, Poke::What::v})
      for (const int32_t head : {-1, 1}) {
        CAPTURE(name_of(dtype));
        const Run plain = run({}, 3, false, dtype);
        const Run poked = run({{.what = what, .layer = 1, .position = 2, .head = head, .seed = 5, .step = 3}},
                              3, false, dtype);
        CHECK(poked.report.changed == 1);
        CHECK(same(poked.stored, plain.stored));
        CHECK(same_bits(poked.out[0].view(), plain.out[0].view()));
        CHECK_FALSE(same_bits(poked.out[1].view(), plain.out[1].view()));
      }
}

TEST_CASE("k and v now, in another step than this one: nothing") {
  const Poke poke{.what = Poke::What::k, .layer = 1, .position = 2, .seed = 9, .step = 2};
  const Run poked = run({poke}, 3, false), plain = run({}, 3, false);
  CHECK(poked.report.reads == 0);
  CHECK(same(poked.out, plain.out));
}

TEST_CASE("theorem: since it was computed, cached and recompute agree to the last bit on naive") {
  for (const auto what : {Poke::What::q, Poke::What::k, Poke::What::v})
    for (const auto action : {Poke::Action::scramble, Poke::Action::zero})
      for (int32_t position = 0; position < 7; ++position)
        for (const int32_t head : {-1, 1}) {
          const Poke poke{.what = what,
                          .layer = 1,
                          .position = position,
                          .head = head,
                          .action = action,
                          .seed = 3,
                          .when = Poke::When::since};
          const Run cached = run({poke}, 3, false), recompute = run({poke}, 3, true);
          CAPTURE(position);
          CHECK(same_bits(last_row(cached.out[1]), last_row(recompute.out[1])));
          CHECK(same(cached.stored, recompute.stored));
          const bool reaches_last_row = what != Poke::What::q || position == 6;
          CHECK(same_bits(last_row(cached.out[1]), last_row(run({}, 3, false).out[1])) != reaches_last_row);
          if (what != Poke::What::q) CHECK(cached.report.reads == 1);  // by the one row of this step
        }
}

TEST_CASE("two pokes of one row: both leave the store as it was") {
  const Poke zero{.what = Poke::What::v, .layer = 0, .position = 1, .action = Poke::Action::zero, .step = 3};
  const Poke scramble{.what = Poke::What::v, .layer = 0, .position = 1, .head = 0, .seed = 4, .step = 3};
  CHECK(same(run({zero, scramble}, 3, false).stored, run({}, 3, false).stored));
  CHECK(same(run({scramble, zero}, 3, true).stored, run({}, 3, true).stored));
}

/// The noise is scaled to the row as it was before all pokes.
/// So scrambling a zeroed row gives the same as scrambling the row.
TEST_CASE("zero then scramble is scramble") {
  for (const auto what : {Poke::What::q, Poke::What::k, Poke::What::v})
    for (const auto when : {Poke::When::now, Poke::When::since})
      for (const bool recompute : {false, true}) {
        CAPTURE(static_cast<int>(what));
        CAPTURE(static_cast<int>(when));
        CAPTURE(recompute);
        const Poke scramble{.what = what, .layer = 1, .position = 6, .seed = 4, .when = when, .step = 3};
        Poke zero = scramble;
        zero.action = Poke::Action::zero;
        const Run both = run({zero, scramble}, 3, recompute), one = run({scramble}, 3, recompute);
        CHECK(same(both.out, one.out));
        CHECK(same(both.stored, one.stored));
        CHECK_FALSE(same(run({scramble, zero}, 3, recompute).out, one.out));  // the later poke wins
      }
}

TEST_CASE("noise keeps the RMS, and is a function of the row alone") {
  const std::vector<double> original{3, -4, 0, 0};  // RMS 2.5
  std::vector<double> a(4), b(4), c(4);
  Poke poke{.what = Poke::What::k, .layer = 2, .position = 5, .seed = 11};
  apply_poke(poke, 1, original, a);
  apply_poke(poke, 1, original, b);
  CHECK(a == b);
  double sum = 0;
  for (double x : a) sum += x * x;
  CHECK(std::sqrt(sum / 4) == doctest::Approx(2.5).epsilon(1e-12));
  apply_poke(poke, 0, original, c);
  CHECK(a != c);
  poke.position = 6;
  apply_poke(poke, 1, original, c);
  CHECK(a != c);
}

TEST_CASE("a probe sees the same poked operands as attend") {
  NaiveBackend<float> naive;
  PokingBackend poking(naive);
  std::vector<Poke> pokes;
  for (const auto what : {Poke::What::q, Poke::What::k, Poke::What::v})
    pokes.push_back({.what = what, .layer = 0, .position = 3, .seed = 2, .step = 0});
  poking.set_pokes(pokes);
  Tiny tiny(naive, {.n_layers = 1});
  const std::vector<int32_t> tokens(6, 0);
  const SequenceInput input{0, tokens, LogitRows::none};
  const Batch& batch = poking.begin_step(tiny.cache().plan({&input, 1}), tiny.storage());
  const Tensor q = tiny.rows(0, 0, 0, 6), k = tiny.rows(0, 1, 0, 6), v = tiny.rows(0, 2, 0, 6);
  Tensor out = Tensor::host(DType::f32, q.shape()), lse = Tensor::host(DType::f32, {6, 4});
  Tensor scores = Tensor::host(DType::f32, {4, 6, 6}), probs = scores.clone();
  const AttendSpec spec{{.scale = 0.35f}, {}};
  poking.run(Append{{0, site::kAppend}, k.view(), v.view(), batch, tiny.storage()});
  poking.run(Attend{{0, site::kAttend}, q.view(), tiny.storage(), batch, spec, out.view(), lse.view()});
  const PokeReport before = poking.report(1);
  poking.run(Probe{{0, site::kAttend},
                   q.view(),
                   tiny.storage(),
                   batch,
                   spec,
                   lse.view(),
                   {0, 4, 0, 6},
                   scores.view(),
                   probs.view(),
                   {}});
  for (int64_t row = 0; row < 4 * 6; ++row) {  // each row of probs sums to 1
    float sum = 0;
    for (int64_t s = 0; s < 6; ++s) sum += probs.data<float>()[row * 6 + s];
    CHECK(sum == doctest::Approx(1.0f).epsilon(1e-5));
  }
  CHECK(poking.report(1).reads == before.reads);  // a probe does not count as a read
}

namespace {
// Fails in the middle of an attention.
class Broken final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;
  void run(const Op& op) override {
    if (std::holds_alternative<Attend>(op)) throw CapacityError("no");
    ForwardingBackend::run(op);
  }
};
}  // namespace

TEST_CASE("an attend that throws leaves the store unpoked") {
  NaiveBackend<float> naive;
  Broken broken(naive);
  PokingBackend poking(broken);
  Tiny tiny(naive);
  tiny.step(naive, 4);
  const std::vector<Tensor> before = snapshot(tiny.storage());
  const Poke poke{.what = Poke::What::k, .layer = 0, .position = 1, .seed = 4, .step = 1};
  poking.set_pokes({&poke, 1});
  poking.set_step(1);
  CHECK_THROWS_AS(tiny.step(poking, 1), CapacityError);
  for (size_t i = 0; i < before.size(); ++i)  // the four rows of the prefill
    for (int64_t g = 0; g < 2; ++g) {
      const auto rows_of = [&](ConstTensorView all) {
        return all.reshaped({2, 16, 8}).rows(g, 1).reshaped({16, 8}).rows(0, 4);
      };
      const ConstTensorView now =
          tiny.storage().rows(static_cast<int32_t>(i / 2), i % 2 == 0 ? RowKind::k : RowKind::v);
      CHECK(same_bits(rows_of(now), rows_of(before[i].view())));
    }
}

TEST_CASE("invalid pokes are refused with a message") {
  NaiveBackend<float> naive;
  PokingBackend poking(naive);
  Poke poke{.layer = -1};
  CHECK_THROWS_WITH_AS(
      poking.set_pokes({&poke, 1}),
      "poke of layer -1, position 0, head -1: layer and position start at 0, head at -1 (all)", UsageError);
  poke = {.what = Poke::What::k, .head = 2, .when = Poke::When::since};
  poking.set_pokes({&poke, 1});
  Tiny tiny(naive);
  CHECK_THROWS_WITH_AS(tiny.step(poking, 2), "poke of head 2 of 2: choose a smaller one, or -1 for all",
                       ShapeError);
}
