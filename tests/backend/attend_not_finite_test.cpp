// Attention where numbers are not finite, on every CPU backend: NaN in unused slots, and rows that see nothing.
#include <doctest/doctest.h>

#include <limits>

#include "backend/eigen.h"
#include "backend/naive.h"
#include "judge/attend_case.h"
#include "judge/tolerance.h"
#include "support/backends.h"

using namespace lastrow;
using namespace lastrow::judge;
using namespace lastrow::testing;

TEST_CASE("a query that sees no key gives out 0 and lse -inf") {
  for (const auto& backend : all_backends()) {
    const AttendResult r =
        attend(*backend, {.n_q_heads = 2, .n_kv_heads = 1, .head_dim = 8, .sequences = {{2, 1}, {1, 0}}});
    for (int i = 0; i < 16; ++i) CHECK(r.out[i] == 0);   // token 0 sees nothing
    CHECK(r.out[16] != 0);                               // token 1 sees key 0
    for (int i = 32; i < 48; ++i) CHECK(r.out[i] == 0);  // a sequence of length 0
    CHECK(r.lse[0] == -std::numeric_limits<double>::infinity());
    CHECK(std::isfinite(r.lse[2]));
    CHECK(r.lse[4] == -std::numeric_limits<double>::infinity());
  }
}

TEST_CASE("all visible scores −∞ over a V of NaN: the row sees nothing, over several tiles and chunks") {
  const AttendCase c{.n_q_heads = 2, .n_kv_heads = 1, .head_dim = 2, .sequences = {{1, 700}}};
  const Layout l = lay_out(c);
  for (const auto sums : {EigenBackend::Sums::fast, EigenBackend::Sums::clear}) {
    EigenBackend eigen(1, sums);
    const auto storage = fill_storage(eigen, c, l);
    Tensor k = Tensor::host(DType::f32, {700, 1, 2}), v = k.clone(), q = Tensor::host(DType::f32, {1, 2, 2});
    for (int s = 0; s < 700; ++s) k.data<float>()[2 * s] = -1e30f;
    std::fill_n(v.data<float>(), v.size(), std::numeric_limits<float>::quiet_NaN());
    q.data<float>()[0] = q.data<float>()[2] = 1e30f;
    const std::vector<int64_t> slots = slots_of(l.plan, 0, 0, 700);
    eigen.write_rows(*storage, 0, RowKind::k, slots, k.view());
    eigen.write_rows(*storage, 0, RowKind::v, slots, v.view());
    const AttendResult r = attend(eigen, c, l, *storage, q);
    CHECK(r.out == std::vector<double>(4, 0.0));
    CHECK(r.lse == std::vector<double>(2, -std::numeric_limits<double>::infinity()));
  }
}

TEST_CASE("masked and unused slots may hold NaN; a visible NaN shows") {
  for (const auto& backend : all_backends()) {
    CAPTURE(backend->info().name);
    const AttendCase c{
        .n_q_heads = 2, .n_kv_heads = 1, .head_dim = 8, .sequences = {{1, 70}}, .block_len = 16};
    for (const double x : attend(*backend, c).out)
      CHECK(std::isfinite(x));  // fill_storage put NaN into 10 slots

    const Layout l = lay_out(c);
    const auto storage = fill_storage(*backend, c, l);
    Tensor nan = Tensor::host(DType::f32, {1, 1, 8});
    nan.data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
    const int64_t slot = 5;
    backend->write_rows(*storage, 0, RowKind::k, {&slot, 1}, nan.view());
    const Tensor q = backend->upload(case_queries(c, l).view());
    Tensor out = backend->make_tensor(q.shape()), lse = backend->make_tensor({1, 2});
    backend->run(Attend{{0, "attend"},
                        q.view(),
                        *storage,
                        backend->begin_step(l.plan, *storage),
                        case_spec(c),
                        out.view(),
                        lse.view()});
    for (const double x : to_doubles(*backend, out.view())) CHECK(std::isnan(x));
  }
}

TEST_CASE("scores that overflow: all −∞ is a row that sees nothing, +∞ and NaN are NaN") {
  // One head of width 2 and q = (1e30, 0): in single precision the score of a key (±1e30, 0) is ±∞.
  const auto attended = [](Backend& backend, const std::vector<float>& first_of_key) {
    const auto n = static_cast<int32_t>(first_of_key.size());
    const AttendCase c{.head_dim = 2, .sequences = {{1, n}}};
    const Layout l = lay_out(c);
    auto storage = fill_storage(backend, c, l);
    Tensor k = Tensor::host(DType::f32, {n, 1, 2}), v = k.clone(), q = Tensor::host(DType::f32, {1, 1, 2});
    std::vector<int64_t> slots;
    for (int32_t s = 0; s < n; ++s) {
      k.data<float>()[2 * s] = first_of_key[static_cast<size_t>(s)];
      v.data<float>()[2 * s] = static_cast<float>(s);
      slots.push_back(s);
    }
    q.data<float>()[0] = 1e30f;
    backend.write_rows(*storage, 0, RowKind::k, slots, k.view());
    backend.write_rows(*storage, 0, RowKind::v, slots, v.view());
    const AttendResult r = attend(backend, c, l, *storage, q);
    const Tensor on_backend = backend.upload(q.view());
    Tensor lse = backend.make_tensor({1, 1}), probs = backend.make_tensor({1, 1, n}),
           scores = backend.make_tensor({1, 1, n});
    const float written = static_cast<float>(r.lse[0]);
    backend.write(ConstTensorView(&written, {1, 1}), lse.view());
    backend.run(Probe{{0, "attend"},
                      on_backend.view(),
                      *storage,
                      backend.begin_step(l.plan, *storage),
                      case_spec(c),
                      lse.view(),
                      {0, 1, 0, 1},
                      scores.view(),
                      probs.view(),
                      {}});
    return std::tuple{r.out[0], r.lse[0], to_doubles(backend, probs.view())};
  };
  NaiveBackend<float> naive;
  EigenBackend eigen(2);
  for (Backend* backend : {static_cast<Backend*>(&naive), static_cast<Backend*>(&eigen)}) {
    CAPTURE(backend->info().name);
    for (const size_t n : {1, 3, 65, 130}) {  // within one tile of eigen, and over several
      const auto [out, lse, probs] = attended(*backend, std::vector<float>(n, -1e30f));
      CHECK(out == 0);
      CHECK(lse == -std::numeric_limits<double>::infinity());
      CHECK(probs == std::vector<double>(n));
    }
    std::vector<float> keys(130, -1e30f);
    keys[129] = 0;  // one finite score, in the last tile
    CHECK(std::get<0>(attended(*backend, keys)) == 129);
    CHECK(std::get<1>(attended(*backend, keys)) == 0);
    for (const float special : {1e30f, std::numeric_limits<float>::quiet_NaN()})
      for (const size_t at : {0, 70, 129}) {
        std::vector<float> some = keys;
        some[at] = special;
        CHECK(std::isnan(std::get<0>(attended(*backend, some))));
        CHECK(std::isnan(std::get<1>(attended(*backend, some))));
        std::vector<float> none(130, -1e30f);  // all scores are −∞
        none[at] = special;
        CHECK(std::isnan(std::get<0>(attended(*backend, none))));
      }
  }
}
