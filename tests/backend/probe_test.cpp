// The probabilities of a probe for scores of any size, on the host backends. tests/kernels tests the kernels.
#include <doctest/doctest.h>

#include <limits>

#include "backend/eigen.h"
#include "support/backends.h"
#include "support/probed_case.h"

using namespace lastrow;
using namespace lastrow::judge;
using namespace lastrow::testing;

TEST_CASE("probe agrees with attend: weights sum to 1, and Σ p v is the output") {
  for (const auto& backend : all_backends()) {
    CAPTURE(backend->info().name);
    const AttendCase c{.n_q_heads = 4, .n_kv_heads = 2, .head_dim = 8, .sequences = {{3, 4}, {5, 90}}};
    const Layout l = lay_out(c);
    const auto storage = fill_storage(*backend, c, l);
    const Tensor q = backend->upload(case_queries(c, l).view());
    Tensor out = backend->make_tensor(q.shape()), lse = backend->make_tensor({8, 4});
    const Batch& batch = backend->begin_step(l.plan, *storage);
    backend->run(Attend{{0, "attend"}, q.view(), *storage, batch, case_spec(c), out.view(), lse.view()});
    Tensor scores = backend->make_tensor({2, 3, 90}), probs = backend->make_tensor({2, 3, 90});
    backend->run(Probe{{0, "attend"},
                       q.view(),
                       *storage,
                       batch,
                       case_spec(c),
                       lse.view(),
                       {1, 2, 4, 3},
                       scores.view(),
                       probs.view(),
                       {}});
    const auto p = to_doubles(*backend, probs.view()), x = to_doubles(*backend, scores.view()),
               o = to_doubles(*backend, out.view());
    for (int h = 0; h < 2; ++h)
      for (int row = 0; row < 3; ++row) {
        const int n_visible = 90 - 5 + (row + 1) + 1;  // batch rows 4–6: queries 1–3 of sequence 1
        double total = 0, first_element = 0;
        for (int s = 0; s < 90; ++s) {
          const size_t cell = static_cast<size_t>((h * 3 + row) * 90 + s);
          if (s >= n_visible) {
            CHECK(p[cell] == 0);
            CHECK(x[cell] == -std::numeric_limits<double>::infinity());
            continue;
          }
          Tensor v = Tensor::host(DType::f64, {1, 2, 8});
          const int64_t slot = l.spec.block_len + s;
          backend->read_rows(*storage, 0, RowKind::v, {&slot, 1}, v.view());
          total += p[cell];
          first_element += p[cell] * v.data<double>()[(h + 1) / 2 * 8];
        }
        CHECK(total == doctest::Approx(1).epsilon(1e-6));
        CHECK(first_element ==
              doctest::Approx(o[static_cast<size_t>(((4 + row) * 4 + h + 1) * 8)]).epsilon(1e-5));
      }
  }
}

TEST_CASE("0 ≤ p ≤ 1 and Σ p = 1 at any magnitude of the scores") {
  NaiveBackend<float> naive;
  NaiveBackend<double> f64;
  EigenBackend eigen(1);
  for (const DType dtype : {DType::f32, DType::f16, DType::i8}) {
    const AttendCase c{
        .n_q_heads = 4, .n_kv_heads = 2, .head_dim = 64, .sequences = {{3, 133}}, .kv_dtype = dtype};
    for (const float factor : kQueryFactors)
      for (Backend* backend :
           {static_cast<Backend*>(&naive), static_cast<Backend*>(&f64), static_cast<Backend*>(&eigen)})
        check_probe(*backend, c, factor);
  }
}

TEST_CASE("lse_distance is the distance from the lse that attend wrote") {
  NaiveBackend<float> naive;
  const AttendCase c{.head_dim = 8, .sequences = {{1, 3}}};
  const Layout l = lay_out(c);
  const auto storage = fill_storage(naive, c, l);
  const Tensor q = case_queries(c, l);
  Tensor out = Tensor::host(DType::f32, q.shape()), lse = Tensor::host(DType::f32, {1, 1}),
         distance = lse.clone();
  Tensor scores = Tensor::host(DType::f32, {1, 1, 3}), probs = scores.clone();
  const Batch& batch = naive.begin_step(l.plan, *storage);
  naive.run(Attend{{0, "attend"}, q.view(), *storage, batch, case_spec(c), out.view(), lse.view()});
  const float own = lse.data<float>()[0];
  const auto distance_from = [&](float written) {
    lse.data<float>()[0] = written;
    naive.run(Probe{{0, "attend"},
                    q.view(),
                    *storage,
                    batch,
                    case_spec(c),
                    lse.view(),
                    {0, 1, 0, 1},
                    scores.view(),
                    probs.view(),
                    distance.view()});
    return distance.data<float>()[0];
  };
  CHECK(distance_from(own) <= 1e-6f);
  CHECK(distance_from(own + 2) == doctest::Approx(2));
  CHECK(distance_from(-INFINITY) == INFINITY);
  CHECK(std::isnan(distance_from(NAN)));
  CHECK(probs.data<float>()[0] <= 1);  // for any written lse
}
