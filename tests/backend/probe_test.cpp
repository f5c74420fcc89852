// The probabilities of a probe for scores of any size, on the host backends. tests/kernels tests the kernels.
#include <doctest/doctest.h>

#include "backend/eigen.h"
#include "support/probed_case.h"

using namespace lastrow;
using namespace lastrow::judge;
using namespace lastrow::testing;

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
