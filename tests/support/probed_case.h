// Checks the promises of a probe on one backend, with scores of a given size.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/naive.h"
#include "judge/attend_case.h"

namespace lastrow::testing {

using namespace judge;

struct Probed {
  std::vector<double> scores, probs;  // [n_q_heads, q_len, kv_len]
  std::vector<double> lse_distance;   // [n_q_heads, q_len]
};

/// Attends and probes all heads and rows of a case with one sequence. q is multiplied by `q_factor`.
inline Probed probed(Backend& backend, const AttendCase& c, float q_factor) {
  const Layout l = lay_out(c);
  const auto storage = fill_storage(backend, c, l);
  Tensor q = case_queries(c, l);
  for (int64_t i = 0; i < q.size(); ++i) q.data<float>()[i] *= q_factor;
  const auto [q_len, kv_len] = c.sequences[0];
  const Tensor on_backend = backend.upload(q.view());
  Tensor out = backend.make_tensor(q.shape()), lse = backend.make_tensor({q_len, c.n_q_heads});
  Tensor scores = backend.make_tensor({c.n_q_heads, q_len, kv_len}),
         probs = backend.make_tensor(scores.shape());
  Tensor distance = backend.make_tensor({c.n_q_heads, q_len});
  const Batch& batch = backend.begin_step(l.plan, *storage);
  backend.run(
      Attend{{0, "attend"}, on_backend.view(), *storage, batch, case_spec(c), out.view(), lse.view()});
  backend.run(Probe{{0, "attend"},
                    on_backend.view(),
                    *storage,
                    batch,
                    case_spec(c),
                    lse.view(),
                    {0, c.n_q_heads, 0, q_len},
                    scores.view(),
                    probs.view(),
                    distance.view()});
  return {to_doubles(backend, scores.view()), to_doubles(backend, probs.view()),
          to_doubles(backend, distance.view())};
}

/// Checks that the scores equal those in double precision on the same rows, up to rounding,
/// and that p is their softmax.
inline void check_probe(Backend& backend, const AttendCase& c, float q_factor) {
  CAPTURE(backend.info().name);
  CAPTURE(q_factor);
  NaiveBackend<double> f64;
  const Probed judge = probed(f64, c, q_factor), p = probed(backend, c, q_factor);
  const int32_t kv_len = c.sequences[0].kv_len;
  double largest = 0;
  for (const double x : judge.scores)
    if (std::isfinite(x)) largest = std::max(largest, std::abs(x));
  // The bound for n products, each at most about √n times the largest score, summed in any order in f32.
  const double n = c.head_dim, rounding = 4 * n * std::sqrt(n) * 0x1p-24 * largest;
  for (size_t row = 0; row < p.lse_distance.size(); ++row) {
    CAPTURE(row);
    const double* x = p.scores.data() + row * kv_len;
    const double row_max = *std::max_element(x, x + kv_len);
    double total = 0, exact_total = 0;
    for (int32_t s = 0; s < kv_len; ++s) exact_total += std::exp(x[s] - row_max);
    double worst_score = 0, worst_p = 0;
    bool is_probability = true;
    for (int32_t s = 0; s < kv_len; ++s) {
      const size_t cell = row * kv_len + s;
      if (x[s] != judge.scores[cell])
        worst_score = std::max(worst_score, std::abs(x[s] - judge.scores[cell]));
      worst_p = std::max(worst_p, std::abs(p.probs[cell] - std::exp(x[s] - row_max) / exact_total));
      is_probability = is_probability && p.probs[cell] >= 0 && p.probs[cell] <= 1;
      total += p.probs[cell];
    }
    CHECK(is_probability);
    CHECK(std::abs(total - 1) <= (kv_len + 8) * 0x1p-24);
    CHECK(worst_p <= 16 * 0x1p-24);
    CHECK(worst_score <= rounding);
    CHECK(p.lse_distance[row] <= 2 * rounding + 1e-5);
  }
}

/// Queries that make the largest score about 5, 2e4, 4e5 and 1e21.
inline const float kQueryFactors[] = {1, 6e3f, 1.2e5f, 3e20f};

}  // namespace lastrow::testing
