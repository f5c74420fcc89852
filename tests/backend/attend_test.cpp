// Attention on every CPU backend: by eye, then compared with the judge, then what must not change a bit.
#include <doctest/doctest.h>

#include "backend/eigen.h"
#include "backend/naive.h"
#include "judge/attend_case.h"
#include "judge/tolerance.h"
#include "support/backends.h"

using namespace lastrow;
using namespace lastrow::judge;
using namespace lastrow::testing;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Ugly sizes: lengths just below and above the tile, all kinds of groups, widths that are not powers of two.
std::vector<AttendCase> ugly_cases() {
  std::vector<AttendCase> cases;
  for (const int32_t head_dim : {8, 16, 64, 80, 128, 256})
    for (const auto& [n_q, n_kv] : {std::pair{1, 1}, {3, 1}, {8, 2}, {8, 1}, {6, 6}})
      cases.push_back({.n_q_heads = n_q,
                       .n_kv_heads = n_kv,
                       .head_dim = head_dim,
                       .sequences = {{1, 31}, {1, 33}, {3, 65}},
                       .seed = static_cast<uint64_t>(head_dim + n_q)});
  for (const int32_t kv_len : {0, 1, 31, 32, 33, 63, 64, 65, 511, 512, 513, 1100})
    cases.push_back({.n_q_heads = 4, .n_kv_heads = 2, .head_dim = 16, .sequences = {{1, kv_len}}, .seed = 7});
  cases.push_back({.n_q_heads = 4,
                   .n_kv_heads = 2,
                   .head_dim = 16,
                   .sequences = {{0, 0}, {5, 2}, {7, 7}, {1, 0}, {2, 40}}});
  cases.push_back(
      {.n_q_heads = 4, .n_kv_heads = 4, .head_dim = 8, .sequences = {{9, 20}}, .mask = {.causal = false}});
  cases.push_back(
      {.n_q_heads = 4, .n_kv_heads = 4, .head_dim = 8, .sequences = {{9, 200}}, .mask = {.window = 70}});
  cases.push_back(
      {.n_q_heads = 2, .n_kv_heads = 1, .head_dim = 8, .sequences = {{6, 90}}, .score_scale = 1e4f});
  const AttendCase ragged{
      .n_q_heads = 6, .n_kv_heads = 2, .head_dim = 16, .sequences = {{9, 200}, {1, 3}, {5, 2}, {1, 700}}};
  for (const MaskRule mask : {MaskRule{.window = 70, .sinks = 4}, MaskRule{.window = 5, .sinks = 90}}) {
    cases.push_back(ragged);
    cases.back().mask = mask;
    cases.push_back(cases.back());
    cases.back().alibi = true;
    cases.back().block_len = 16, cases.back().block_order = 3;
    cases.back().table_sinks = 5, cases.back().table_first = 11, cases.back().forgotten = 1000;
  }
  for (const bool alibi : {false, true}) {
    cases.push_back(ragged);
    cases.back().alibi = alibi;
    cases.back().soft_cap = 2;
    cases.push_back(cases.back());
    cases.back().mask.causal = false;
    cases.back().score_scale = 1e4f;
  }
  return cases;
}

}  // namespace

TEST_CASE("one-hot keys and a huge query: the answer is read by eye") {
  for (const auto& backend : all_backends()) {
    CAPTURE(backend->info().name);
    // Three keys e0, e1, e2 with values 10, 20, 30; the query is a large multiple of e1.
    const CacheSpec spec = CacheSpec::contiguous(1, 1, 4, 3);
    auto storage = backend->make_storage(spec);
    Tensor k = Tensor::host(DType::f32, {3, 1, 4}), v = Tensor::host(DType::f32, {3, 1, 4}),
           q = Tensor::host(DType::f32, {1, 1, 4});
    for (int s = 0; s < 3; ++s) {
      k.data<float>()[s * 4 + s] = 1;
      std::fill_n(v.data<float>() + s * 4, 4, 10.0f * static_cast<float>(s + 1));
    }
    q.data<float>()[1] = 1000;
    StepPlan plan;
    plan.tokens = {0}, plan.positions = {2}, plan.q_start = {0, 1}, plan.kv_len = {3},
    plan.block_tables = {0};
    plan.append_slots = {2}, plan.blocks_per_seq = 1, plan.block_len = 3;
    const int64_t slots[] = {0, 1, 2};
    backend->write_rows(*storage, 0, RowKind::k, slots, k.view());
    backend->write_rows(*storage, 0, RowKind::v, slots, v.view());
    const Tensor query = backend->upload(q.view());
    Tensor out = backend->make_tensor({1, 1, 4}), lse = backend->make_tensor({1, 1});
    const Batch& batch = backend->begin_step(plan, *storage);
    backend->run(Attend{{0, "attend"},
                        query.view(),
                        *storage,
                        batch,
                        {.score = {.scale = 1}, .mask = {}},
                        out.view(),
                        lse.view()});
    CHECK(to_doubles(*backend, out.view()) == std::vector<double>{20, 20, 20, 20});
    CHECK(to_doubles(*backend, lse.view()) == std::vector<double>{1000});

    Tensor scores = backend->make_tensor({1, 1, 3}), probs = backend->make_tensor({1, 1, 3});
    backend->run(Probe{{0, "attend"},
                       query.view(),
                       *storage,
                       batch,
                       {.score = {.scale = 1}, .mask = {}},
                       lse.view(),
                       {0, 1, 0, 1},
                       scores.view(),
                       probs.view(),
                       {}});
    CHECK(to_doubles(*backend, scores.view()) == std::vector<double>{0, 1000, 0});
    CHECK(to_doubles(*backend, probs.view()) == std::vector<double>{0, 1, 0});
  }
}

TEST_CASE("soft cap, ALiBi and sinks: the scores are read by eye") {
  // One query of head 1 of 2 (slope 1/256) over 5 keys. Window 2, 1 sink. q · k is 1, 2, 3, 4, 512.
  for (const auto& backend : all_backends()) {
    CAPTURE(backend->info().name);
    auto storage = backend->make_storage(CacheSpec::contiguous(1, 1, 4, 5));
    Tensor k = Tensor::host(DType::f32, {5, 1, 4}), q = Tensor::host(DType::f32, {1, 2, 4});
    for (int s = 0; s < 5; ++s) k.data<float>()[s * 4] = s == 4 ? 512.0f : static_cast<float>(s + 1);
    q.data<float>()[4] = 1;
    StepPlan plan;
    plan.tokens = {0}, plan.positions = {4}, plan.q_start = {0, 1}, plan.kv_len = {5};
    plan.block_tables = {0}, plan.append_slots = {4}, plan.blocks_per_seq = 1, plan.block_len = 5;
    const int64_t slots[] = {0, 1, 2, 3, 4};
    for (const RowKind kind : {RowKind::k, RowKind::v})
      backend->write_rows(*storage, 0, kind, slots, k.view());
    const Tensor query = backend->upload(q.view());
    Tensor out = backend->make_tensor({1, 2, 4}), lse = backend->make_tensor({1, 2});
    Tensor scores = backend->make_tensor({1, 1, 5}), probs = backend->make_tensor({1, 1, 5});
    const auto scores_with = [&](AttendSpec spec, const StepPlan& p) {
      const Batch& batch = backend->begin_step(p, *storage);
      backend->run(Attend{{0, "attend"}, query.view(), *storage, batch, spec, out.view(), lse.view()});
      backend->run(Probe{{0, "attend"},
                         query.view(),
                         *storage,
                         batch,
                         spec,
                         lse.view(),
                         {1, 1, 0, 1},
                         scores.view(),
                         probs.view(),
                         {}});
      return to_doubles(*backend, scores.view());
    };
    constexpr double kNo = -kInfinity;
    CHECK(scores_with({.score = {}, .mask = {.window = 2, .sinks = 1}}, plan) ==
          std::vector<double>{1, kNo, kNo, 4, 512});
    CHECK(to_doubles(*backend, probs.view())[4] == 1);
    CHECK(to_doubles(*backend, out.view())[4] == 512);
    CHECK(scores_with({.score = {.soft_cap = 8}, .mask = {.window = 1}}, plan)[4] == 8);
    CHECK(scores_with({.score = {.alibi_heads = 2}, .mask = {}}, plan) ==
          std::vector<double>{1 - 4. / 256, 2 - 3. / 256, 3 - 2. / 256, 4 - 1. / 256, 512});
    // A cache that has forgotten 100 tokens behind the first: distance counts positions.
    StepPlan forgot = plan;
    forgot.positions = {104}, forgot.key_positions = {0, 101, 102, 103, 104};
    CHECK(scores_with({.score = {.alibi_heads = 2}, .mask = {}}, forgot) ==
          std::vector<double>{1 - 104. / 256, 2 - 3. / 256, 3 - 2. / 256, 4 - 1. / 256, 512});
  }
}

TEST_CASE("a rule of scores that makes no sense is refused") {
  NaiveBackend<float> naive;
  const AttendCase c{.n_q_heads = 2, .n_kv_heads = 1};
  const Layout l = lay_out(c);
  const auto storage = fill_storage(naive, c, l);
  const Tensor q = case_queries(c, l);
  Tensor out = Tensor::host(DType::f32, q.shape()), lse = Tensor::host(DType::f32, {1, 2});
  const auto run = [&](AttendSpec spec) {
    naive.run(Attend{{0, "attend"}, q, *storage, naive.begin_step(l.plan, *storage), spec, out, lse});
  };
  run({.score = {.soft_cap = 1, .alibi_heads = 2}, .mask = {.window = 1, .sinks = 1}});
  CHECK_THROWS_AS(run({.score = {.soft_cap = -1}, .mask = {}}), ShapeError);
  CHECK_THROWS_AS(run({.score = {.soft_cap = NAN}, .mask = {}}), ShapeError);
  CHECK_THROWS_AS(run({.score = {.alibi_heads = 3}, .mask = {}}), ShapeError);
  CHECK_THROWS_AS(run({.score = {}, .mask = {.window = 1, .sinks = -1}}), ShapeError);
}

TEST_CASE("naive rounds weights to a narrow type if asked, but not their sum") {
  // Three equal keys: each has weight 1/3, which is 0.333984375 in bf16 and 0.333251953125 in f16.
  const AttendCase c{.n_q_heads = 1, .n_kv_heads = 1, .head_dim = 8, .sequences = {{1, 3}}};
  const Layout l = lay_out(c);
  for (const auto& [type, third] :
       {std::pair{DType::f32, 1.0f / 3}, {DType::bf16, 0.333984375f}, {DType::f16, 0.333251953125f}}) {
    NaiveBackend<float> naive(0, type);
    const auto storage = fill_storage(naive, c, l);
    const Tensor same = Tensor::host(DType::f32, {3, 1, 8});
    Tensor ones = Tensor::host(DType::f32, {3, 1, 8});
    std::fill_n(ones.data<float>(), ones.size(), 1.0f);
    naive.write_rows(*storage, 0, RowKind::k, std::vector<int64_t>{0, 1, 2}, same.view());
    naive.write_rows(*storage, 0, RowKind::v, std::vector<int64_t>{0, 1, 2}, ones.view());
    const AttendResult r = attend(naive, c, l, *storage, case_queries(c, l));
    CHECK(r.out[0] == doctest::Approx(3 * third).epsilon(1e-6));
    CHECK(r.lse[0] == doctest::Approx(std::log(3.0)).epsilon(1e-6));
  }
}

TEST_CASE("eigen errs at most as the tolerance rule allows, on every ugly shape") {
  EigenBackend fast(2), clear(2, EigenBackend::Sums::clear);
  NaiveBackend<double> judge;
  for (const AttendCase& c : ugly_cases()) {
    CAPTURE(c.n_q_heads);
    CAPTURE(c.n_kv_heads);
    CAPTURE(c.head_dim);
    CAPTURE(c.sequences[0].kv_len);
    const AttendResult expected = attend(judge, c);
    const double allowed = tolerance([&](Backend&b) { return attend(b, c).out; }, expected.out),
                 allowed_lse = tolerance([&](Backend&b) { return attend(b, c).lse; }, expected.lse);
    for (EigenBackend* eigen : {&fast, &clear}) {
      CAPTURE(eigen == &fast);
      const AttendResult actual = attend(*eigen, c);
      const Difference worst = difference(actual.out, expected.out),
                       worst_lse = difference(actual.lse, expected.lse);
      INFO(worst.to_string());
      CHECK(worst.largest <= allowed);
      INFO(worst_lse.to_string());
      CHECK(worst_lse.largest <= allowed_lse);
    }
  }
}

TEST_CASE(
    "eigen with more heads in a group than it takes at once, and with wider heads than fit in its rooms") {
  NaiveBackend<double> judge;
  EigenBackend eigen(2);
  for (const AttendCase& c :
       {AttendCase{.n_q_heads = 71, .n_kv_heads = 1, .head_dim = 16, .sequences = {{1, 130}}},
        AttendCase{.n_q_heads = 3, .n_kv_heads = 1, .head_dim = 512, .sequences = {{2, 70}}},
        AttendCase{.n_q_heads = 3, .n_kv_heads = 1, .head_dim = 514, .sequences = {{2, 70}}}})
    for (const DType dtype : {DType::f32, DType::i8, DType::i4x2}) {
      AttendCase encoded = c;
      encoded.kv_dtype = dtype;
      CAPTURE(c.head_dim);
      CAPTURE(name_of(dtype));
      const auto out = [&](Backend& b) { return attend(b, encoded).out; };
      const std::vector<double> expected = out(judge);
      CHECK(difference(out(eigen), expected).largest <= tolerance(out, expected));
    }
}

TEST_CASE("block length and block order do not change a bit") {
  for (const auto& backend : all_backends()) {
    CAPTURE(backend->info().name);
    AttendCase c{.n_q_heads = 8, .n_kv_heads = 2, .head_dim = 16, .sequences = {{1, 130}, {5, 600}}};
    const AttendResult contiguous = attend(*backend, c);
    for (const int32_t block_len : {1, 7, 16, 64, 100})
      for (const uint64_t order : {0, 1, 2}) {
        c.block_len = block_len, c.block_order = order;
        const AttendResult paged = attend(*backend, c);
        CAPTURE(block_len);
        CHECK(paged.out == contiguous.out);
        CHECK(paged.lse == contiguous.lse);
      }
  }
}

TEST_CASE("on a CPU the same for head_dim that fills no vector, for windows, and for blocks of all lengths") {
  for (const auto& backend : cpu_backends())
    for (const int32_t head_dim : {5, 16, 80})
      for (const MaskRule mask : {MaskRule{}, MaskRule{.causal = true, .window = 77}}) {
        AttendCase c{.n_q_heads = 4,
                     .n_kv_heads = 2,
                     .head_dim = head_dim,
                     .sequences = {{1, 130}, {3, 301}},
                     .mask = mask};
        const AttendResult contiguous = attend(*backend, c);
        for (const int32_t block_len : {1, 3, 16, 48, 64, 100, 301})
          for (const uint64_t order : {0, 1, 2}) {
            c.block_len = block_len, c.block_order = order;
            const AttendResult paged = attend(*backend, c);
            CAPTURE(backend->info().name);
            CAPTURE(head_dim);
            CAPTURE(block_len);
            CHECK(paged.out == contiguous.out);
            CHECK(paged.lse == contiguous.lse);
          }
      }
}

TEST_CASE("the number of threads does not change a bit") {
  for (const auto& sequences : {std::vector<SequenceSize>{{1, 5000}}, {{40, 700}}, {{1, 3000}, {1, 2999}}}) {
    const AttendCase c{.n_q_heads = 8, .n_kv_heads = 1, .head_dim = 64, .sequences = sequences};
    EigenBackend one(1), two(2), five(5);
    const AttendResult expected = attend(one, c);
    CHECK(attend(two, c).out == expected.out);
    CHECK(attend(five, c).out == expected.out);
    CHECK(attend(five, c).lse == expected.lse);
  }
}

TEST_CASE("a batch gives each sequence what it gets alone, to the bit") {
  for (const auto& backend : cpu_backends()) {
    // Inputs depend on the place of a sequence in the batch, so the tested sequence has place 0 in both.
    const AttendCase alone{.n_q_heads = 4, .n_kv_heads = 2, .head_dim = 16, .sequences = {{3, 70}}};
    AttendCase together = alone;
    together.sequences = {{3, 70}, {1, 200}, {9, 9}};
    const AttendResult a = attend(*backend, alone), b = attend(*backend, together);
    CHECK(std::equal(a.out.begin(), a.out.end(), b.out.begin()));
    CHECK(std::equal(a.lse.begin(), a.lse.end(), b.lse.begin()));
  }
}

TEST_CASE("grouped queries are multi-head attention with repeated K and V, to the bit") {
  for (const auto& backend : cpu_backends()) {
    const AttendCase grouped{.n_q_heads = 6, .n_kv_heads = 2, .head_dim = 16, .sequences = {{2, 50}}};
    const Layout l = lay_out(grouped);
    const auto storage = fill_storage(*backend, grouped, l);
    AttendCase repeated = grouped;
    repeated.n_kv_heads = 6;
    const Layout wide = lay_out(repeated);
    auto wide_storage = backend->make_storage(wide.spec);
    for (const RowKind kind : {RowKind::k, RowKind::v})
      for (int32_t s = 0; s < 50; ++s) {
        const int64_t slot = s;
        Tensor row = Tensor::host(DType::f64, {1, 2, 16}), wide_row = Tensor::host(DType::f64, {1, 6, 16});
        backend->read_rows(*storage, 0, kind, {&slot, 1}, row.view());
        for (int h = 0; h < 6; ++h)
          std::copy_n(row.data<double>() + h / 3 * 16, 16, wide_row.data<double>() + h * 16);
        backend->write_rows(*wide_storage, 0, kind, {&slot, 1}, wide_row.view());
      }
    const Tensor q = backend->upload(case_queries(grouped, l).view());
    Tensor out = backend->make_tensor(q.shape()), lse = backend->make_tensor({2, 6});
    backend->run(Attend{{0, "attend"},
                        q.view(),
                        *wide_storage,
                        backend->begin_step(wide.plan, *wide_storage),
                        case_spec(grouped),
                        out.view(),
                        lse.view()});
    CHECK(to_doubles(*backend, out.view()) == attend(*backend, grouped).out);
  }
}

TEST_CASE("operands that do not fit are refused in words") {
  EigenBackend backend(1);
  CHECK_THROWS_WITH_AS(attend(backend, {.n_q_heads = 3, .n_kv_heads = 2, .head_dim = 8}),
                       doctest::Contains("n_q_heads 3 is not a multiple of n_kv_heads 2"), ShapeError);
  auto storage = backend.make_storage(CacheSpec::contiguous(1, 1, 8, 4));
  StepPlan plan;
  plan.tokens = {0}, plan.positions = {0}, plan.q_start = {0, 1}, plan.kv_len = {5}, plan.block_tables = {0};
  plan.append_slots = {0}, plan.blocks_per_seq = 1, plan.block_len = 4;
  CHECK_THROWS_AS(backend.begin_step(plan, *storage), ShapeError);
  plan.kv_len = {4}, plan.block_tables = {1};
  CHECK_THROWS_AS(backend.begin_step(plan, *storage), ShapeError);
  plan.block_tables = {0}, plan.append_slots = {4};
  CHECK_THROWS_AS(backend.begin_step(plan, *storage), ShapeError);
  plan.append_slots = {0}, plan.q_start = {1, 1};
  CHECK_THROWS_AS(backend.begin_step(plan, *storage), ShapeError);
  plan.q_start = {0, 2, 1}, plan.kv_len = {4, 4}, plan.block_tables = {0, 0};
  CHECK_THROWS_AS(backend.begin_step(plan, *storage), ShapeError);
  plan.q_start = {0, 1}, plan.kv_len = {-1}, plan.block_tables = {0};
  CHECK_THROWS_AS(backend.begin_step(plan, *storage), ShapeError);
  CacheSpec wide = CacheSpec::contiguous(1, 1, 8, 4);
  wide.dtype_v = DType::f64;
  CHECK_THROWS_WITH_AS(backend.make_storage(wide), doctest::Contains("CacheSpec::dtype_v is f64"),
                       ShapeError);
}
