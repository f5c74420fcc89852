// The attention that each stored row got: by eye, then its sum, then compared with the judge.
#include <doctest/doctest.h>

#include <numeric>

#include "backend/eigen.h"
#include "backend/naive.h"
#include "judge/attend_case.h"
#include "judge/tolerance.h"
#include "support/backends.h"

using namespace lastrow;
using namespace lastrow::judge;
using namespace lastrow::testing;

namespace {

struct Massed {
  std::vector<double> mass;  // [n_seqs, keys_per_seq]
  std::vector<double> lse;   // [n_tokens, n_q_heads]
};

Massed massed(Backend& backend, const AttendCase& c) {
  const Layout l = lay_out(c);
  const auto storage = fill_storage(backend, c, l);
  const Tensor q = backend.upload(case_queries(c, l).view());
  Tensor out = backend.make_tensor(q.shape()), lse = backend.make_tensor({l.plan.n_tokens(), c.n_q_heads});
  Tensor mass = backend.make_tensor({l.plan.n_seqs(), l.plan.keys_per_seq()});
  const Batch& batch = backend.begin_step(l.plan, *storage);
  backend.run(Attend{{0, "attend"}, q, *storage, batch, case_spec(c), out, lse});
  backend.run(ScoreMass{{0, "score_mass"}, q, lse, *storage, batch, case_spec(c), mass});
  return {to_doubles(backend, mass.view()), to_doubles(backend, lse.view())};
}

/// ScoreMass alone, from this lse: an operand, so its error is not the operation's.
std::vector<double> mass_from(Backend& backend, const AttendCase& c, const std::vector<double>& lse) {
  const Layout l = lay_out(c);
  const auto storage = fill_storage(backend, c, l);
  const Tensor q = backend.upload(case_queries(c, l).view());
  const Shape shape{l.plan.n_tokens(), c.n_q_heads};
  const Tensor written = backend.upload(ConstTensorView(lse.data(), shape));
  Tensor mass = backend.make_tensor({l.plan.n_seqs(), l.plan.keys_per_seq()});
  const Batch& batch = backend.begin_step(l.plan, *storage);
  backend.run(ScoreMass{{0, "score_mass"}, q, written, *storage, batch, case_spec(c), mass});
  return to_doubles(backend, mass.view());
}

/// Lengths around a tile of 64 keys and a warp of 32, groups of several sizes, windows, sinks, types, rules.
std::vector<AttendCase> cases() {
  std::vector<AttendCase> cases;
  for (const auto& [n_q, n_kv] : {std::pair{1, 1}, {3, 1}, {8, 2}})
    for (const int32_t head_dim : {8, 80})
      cases.push_back({.n_q_heads = n_q,
                       .n_kv_heads = n_kv,
                       .head_dim = head_dim,
                       .sequences = {{1, 31}, {0, 5}, {3, 65}, {1, 1}},
                       .seed = static_cast<uint64_t>(n_q + head_dim)});
  AttendCase ragged{.n_q_heads = 4,
                    .n_kv_heads = 2,
                    .head_dim = 16,
                    .sequences = {{9, 70}, {1, 0}, {5, 2}, {7, 7}, {1, 129}},
                    .block_len = 1,
                    .block_order = 3};
  cases.push_back(ragged);
  for (const DType dtype : {DType::f16, DType::bf16, DType::fp8_e4m3, DType::i8, DType::i4x2, DType::fp4x2}) {
    cases.push_back(ragged);
    cases.back().kv_dtype = dtype;
  }
  ragged.mask = {.window = 20, .sinks = 4};
  cases.push_back(ragged);
  cases.back().alibi = true, cases.back().soft_cap = 2;
  cases.push_back(cases.back());
  cases.back().block_len = 4, cases.back().table_sinks = 4, cases.back().table_first = 3,
  cases.back().forgotten = 100;
  ragged.mask = {.causal = false};
  cases.push_back(ragged);
  ragged.score_scale = 1e4f;
  cases.push_back(ragged);
  return cases;
}

}  // namespace

TEST_CASE("one-hot keys and queries: each of four queries gives its weight to one key") {
  for (const auto& backend : all_backends()) {
    CAPTURE(backend->info().name);
    // Three keys e0, e1, e2. Two heads, and two queries of index 1 and 2. A large multiple of a key finds it.
    const AttendCase c{.n_q_heads = 2, .n_kv_heads = 1, .head_dim = 8, .sequences = {{2, 3}}, .block_len = 1};
    const Layout l = lay_out(c);
    const auto storage = fill_storage(*backend, c, l);
    Tensor k = Tensor::host(DType::f32, {3, 1, 8}), q = Tensor::host(DType::f32, {2, 2, 8});
    for (int s = 0; s < 3; ++s) k.data<float>()[s * 8 + s] = 1;
    backend->write_rows(*storage, 0, RowKind::k, slots_of(l.plan, 0, 0, 3), k.view());
    q.data<float>()[0 * 8 + 0] = 1000;  // query 0, head 0: key 0
    q.data<float>()[1 * 8 + 1] = 1000;  // query 0, head 1: key 1
    q.data<float>()[2 * 8 + 0] = 1000;  // query 1, head 0: key 0
    // query 1, head 1: all scores are 0, so each key gets one third
    const Tensor queries = backend->upload(q.view());
    Tensor out = backend->make_tensor(q.shape()), lse = backend->make_tensor({2, 2}),
           mass = backend->make_tensor({1, 3});
    const Batch& batch = backend->begin_step(l.plan, *storage);
    backend->run(Attend{{0, "attend"}, queries, *storage, batch, case_spec(c), out, lse});
    backend->run(ScoreMass{{0, "score_mass"}, queries, lse, *storage, batch, case_spec(c), mass});
    // The lse is 354, and a float of this size has an error of 3e-5. So has a weight exp(score − lse).
    const std::vector<double> got = to_doubles(*backend, mass.view());
    CHECK(got[0] == doctest::Approx(2 + 1.0 / 3).epsilon(1e-4));
    CHECK(got[1] == doctest::Approx(1 + 1.0 / 3).epsilon(1e-4));
    CHECK(got[2] == doctest::Approx(1.0 / 3).epsilon(1e-4));
  }
}

TEST_CASE("the masses of a sequence sum to its heads times its queries, and are 0 behind kv_len") {
  for (const auto& backend : all_backends())
    for (const AttendCase& c : cases()) {
      CAPTURE(backend->info().name);
      if (c.score_scale > 1) continue;  // there the lse is off by more than a weight needs
      const Layout l = lay_out(c);
      const Massed r = massed(*backend, c);
      for (int32_t i = 0; i < l.plan.n_seqs(); ++i) {
        CAPTURE(i);
        int64_t n_seeing = 0;
        for (int64_t row = int64_t{l.plan.q_start[i]} * c.n_q_heads;
             row < int64_t{l.plan.q_start[i + 1]} * c.n_q_heads; ++row)
          n_seeing += r.lse[static_cast<size_t>(row)] > -1e30;
        const auto first = r.mass.begin() + int64_t{i} * l.plan.keys_per_seq();
        const double total = std::accumulate(first, first + l.plan.kv_len[i], 0.0);
        CHECK(std::abs(total - static_cast<double>(n_seeing)) <= 1e-5 * static_cast<double>(n_seeing));
        for (auto rest = first + l.plan.kv_len[i]; rest != first + l.plan.keys_per_seq(); ++rest)
          CHECK(*rest == 0);
      }
    }
}

TEST_CASE("every backend agrees with the judge within the tolerance rule") {
  for (const AttendCase& c : cases())
    for (const auto& backend : all_backends()) {
      CAPTURE(backend->info().name);
      CAPTURE(c.n_q_heads);
      CAPTURE(c.head_dim);
      CAPTURE(c.score_scale);
      const Massed r = massed(*backend, c);
      NaiveBackend<double> judge;
      const std::vector<double> reference = mass_from(judge, c, r.lse);
      const double bound =
          tolerance([&](Backend& yardstick) { return mass_from(yardstick, c, r.lse); }, reference);
      const Difference d = difference(r.mass, reference);
      CHECK_MESSAGE(d.largest <= bound, d.to_string());
    }
}

TEST_CASE("threads, block order and block size change no bit of the mass") {
  AttendCase c{.n_q_heads = 8, .n_kv_heads = 2, .head_dim = 64, .sequences = {{40, 700}, {1, 333}}};
  c.block_len = 700;
  EigenBackend one(1), three(3);
  const std::vector<double> first = massed(one, c).mass;
  CHECK(massed(three, c).mass == first);
  c.block_len = 1, c.block_order = 5;
  CHECK(massed(three, c).mass == first);
}

TEST_CASE("operands that do not fit are refused") {
  NaiveBackend<float> naive;
  const AttendCase c{.n_q_heads = 2, .head_dim = 8, .sequences = {{1, 3}}};
  const Layout l = lay_out(c);
  const auto storage = fill_storage(naive, c, l);
  const Tensor q = case_queries(c, l);
  Tensor lse = naive.make_tensor({1, 2}), mass = naive.make_tensor({1, 3}),
         narrow = naive.make_tensor({1, 2});
  const Batch& batch = naive.begin_step(l.plan, *storage);
  CHECK_THROWS_AS(naive.run(ScoreMass{{0, "score_mass"}, q, lse, *storage, batch, case_spec(c), narrow}),
                  ShapeError);
  CHECK_THROWS_AS(
      naive.run(ScoreMass{
          {0, "score_mass"}, q, narrow.view().reshaped({2, 1}), *storage, batch, case_spec(c), mass}),
      ShapeError);
  CHECK_THROWS_AS(naive.run(ScoreMass{{1, "score_mass"}, q, lse, *storage, batch, case_spec(c), mass}),
                  ShapeError);
}
