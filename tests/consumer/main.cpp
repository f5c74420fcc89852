// What a user of the installed package writes first: a tensor, and a step of the cache.
#include <fmt/format.h>
#include <lastrow/cache/kv_cache.h>
#include <lastrow/core/tensor.h>

#include <array>

int main() {
  using namespace lastrow;
  Tensor x = Tensor::host(DType::f32, {2, 3});
  for (int64_t i = 0; i < x.size(); ++i) x.data<float>()[i] = static_cast<float>(i);
  const float corner = x.view().rows(1, 1).data<float>()[2];  // row 1, column 2 of 0 … 5

  ContiguousCache cache(CacheSpec::contiguous(1, 2, 8, 16));
  const std::array<int32_t, 3> tokens = {7, 8, 9};
  const SequenceInput input{0, tokens};
  const StepPlan& plan = cache.plan({&input, 1});
  cache.commit(plan);

  fmt::print("x {} ends with {}; the cache holds {} tokens\n", x.view().shape().to_string(), corner,
             cache.length(0));
  return corner == 5.0f && cache.length(0) == 3 ? 0 : 1;
}
