// The probabilities of a probe, next to every rung and for scores of any size.
#include <doctest/doctest.h>

#include "registry/registry.h"
#include "support/probed_case.h"

namespace lastrow::testing {

TEST_CASE("0 ≤ p ≤ 1 and Σ p = 1 at any magnitude of the scores, whichever kernel attends") {
  for (const KernelEntry& rung : list_kernels()) {
    const auto backend = make_backend("cuda-emulated", {.kernel = rung.name});
    const DType dtype = rung.name < "k09" ? DType::f32 : DType::bf16;
    const AttendCase c{
        .n_q_heads = 4, .n_kv_heads = 2, .head_dim = 64, .sequences = {{2, 133}}, .kv_dtype = dtype};
    CAPTURE(rung.name);
    for (const float factor : kQueryFactors) check_probe(*backend, c, factor);
    CHECK(backend->info().attend_kernel == rung.name);
  }
}

TEST_CASE("a probe on a device decodes every stored type") {
  const auto backend = make_backend("cuda-emulated", gpu::DeviceOptions{});
  for (const DType dtype : {DType::f16, DType::fp8_e4m3, DType::i8})
    check_probe(*backend,
                {.n_q_heads = 4, .n_kv_heads = 2, .head_dim = 64, .sequences = {{2, 133}}, .kv_dtype = dtype},
                6e3f);
}

}  // namespace lastrow::testing
