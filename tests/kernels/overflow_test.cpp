// Scores that overflow, on every rung: the results are those that backend.h defines.
#include <doctest/doctest.h>

#include <cmath>

#include "judge/attend_case.h"
#include "registry/registry.h"

namespace lastrow::testing {

using namespace judge;
namespace {

constexpr int32_t kWidth = 64;

struct Row {
  double out, lse, prob;
};

/// q = (1e30, 0 …) meets keys (x, 0 …) with values (1, 0 …), (2, 0 …), …: the first element of the output,
/// and the first probability.
Row attended(Backend& backend, DType kv_dtype, const std::vector<float>& first_of_key) {
  const auto n = static_cast<int32_t>(first_of_key.size());
  const AttendCase c{.head_dim = kWidth, .sequences = {{1, n}}, .kv_dtype = kv_dtype};
  const Layout l = lay_out(c);
  auto storage = fill_storage(backend, c, l);
  Tensor k = Tensor::host(DType::f32, {n, 1, kWidth}), v = k.clone(),
         q = Tensor::host(DType::f32, {1, 1, kWidth});
  std::vector<int64_t> slots;
  for (int32_t s = 0; s < n; ++s) {
    k.data<float>()[s * kWidth] = first_of_key[static_cast<size_t>(s)];
    v.data<float>()[s * kWidth] = static_cast<float>(s + 1);
    slots.push_back(s);
  }
  q.data<float>()[0] = 1e30f;
  backend.write_rows(*storage, 0, RowKind::k, slots, k.view());
  backend.write_rows(*storage, 0, RowKind::v, slots, v.view());

  const Tensor query = backend.upload(q.view());
  Tensor out = backend.make_tensor(query.shape()), lse = backend.make_tensor({1, 1});
  Tensor scores = backend.make_tensor({1, 1, n}), probs = backend.make_tensor({1, 1, n});
  const Batch& batch = backend.begin_step(l.plan, *storage);
  backend.run(Attend{{0, "attend"}, query.view(), *storage, batch, case_spec(c), out.view(), lse.view()});
  backend.run(Probe{{0, "attend"},
                    query.view(),
                    *storage,
                    batch,
                    case_spec(c),
                    lse.view(),
                    {0, 1, 0, 1},
                    scores.view(),
                    probs.view(),
                    {}});
  return {to_doubles(backend, out.view())[0], to_doubles(backend, lse.view())[0],
          to_doubles(backend, probs.view())[0]};
}

TEST_CASE("a row whose scores are all −∞ sees nothing; one finite score takes all the weight; +∞ gives NaN") {
  for (const KernelEntry& rung : list_kernels()) {
    const auto backend = make_backend("cuda-emulated", {.kernel = rung.name});
    const DType dtype = rung.name < "k09" ? DType::f32 : DType::bf16;
    const Row nothing = attended(*backend, dtype, std::vector<float>(70, -1e30f));
    CHECK(backend->info().attend_kernel == rung.name);  // it took this call, so it takes the next ones too
    CAPTURE(rung.name);
    CHECK(nothing.out == 0);
    CHECK(nothing.lse == -INFINITY);
    CHECK(nothing.prob == 0);
    const Row one = attended(*backend, dtype, {-1e30f, -1e30f, 0, -1e30f});
    CHECK(one.out == 3);
    CHECK(one.lse == 0);
    CHECK(one.prob == 0);
    CHECK(std::isnan(attended(*backend, dtype, {1e30f, 0}).out));
  }
}

}  // namespace
}  // namespace lastrow::testing
