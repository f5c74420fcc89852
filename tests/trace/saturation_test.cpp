#include "trace/saturation.h"

#include <doctest/doctest.h>

#include "backend/naive.h"
#include "cache/contiguous_cache.h"
#include "model/model.h"
#include "registry/registry.h"
#include "session/session.h"

using namespace lastrow;

namespace {

/// Appends one token, K and V of one head, and returns what was counted.
template <typename T>
int64_t appended(const char* dtypes, std::vector<T> k, std::vector<T> v) {
  NaiveBackend<T> backend;
  SaturationBackend saturation(backend);
  const auto head_dim = static_cast<int32_t>(k.size());
  ContiguousCache cache(CacheSpec::contiguous(1, 1, head_dim, 4, 1, kv_dtypes_from_name(dtypes)));
  const auto storage = saturation.make_storage(cache.spec());
  const int32_t token = 7;
  const SequenceInput input{0, {&token, 1}, LogitRows::last};
  const Batch& batch = saturation.begin_step(cache.plan({&input, 1}), *storage);
  const Shape shape{1, 1, head_dim};
  saturation.run(Append{{0, "append"}, {k.data(), shape}, {v.data(), shape}, batch, *storage});
  return saturation.n_saturated();
}

}  // namespace

TEST_CASE("by eye: fp8 ends at 448, so 500 and −1000 do not fit, and 460 is rounded to 448") {
  CHECK(appended<float>("fp8", {1, 500, -1000, 460}, {0, 0, 0, 448}) == 2);
  CHECK(appended<double>("fp8", {1, 500, -1000, 460}, {0, 0, 0, 448}) == 2);
  CHECK(appended<float>("k=f32,v=fp8", {500, 500}, {1, 500}) == 1);
  CHECK(appended<float>("f16", {70000, 1}, {-70000, 65504}) == 2);
  CHECK(appended<float>("int8", {1e30f, 1}, {1, 2}) == 0);      // the scale of the row grows with it
  CHECK(appended<float>("fp8", {INFINITY, NAN}, {1, 1}) == 0);  // they were not finite before
}

TEST_CASE("which types can saturate") {
  for (const char* name : {"f32", "int8", "k=int8,v=f32"})
    CHECK(!SaturationBackend::can_saturate(kv_dtypes_from_name(name)));
  for (const char* name : {"f16", "bf16", "fp8", "int4", "fp4", "k=int8,v=fp8"})
    CHECK(SaturationBackend::can_saturate(kv_dtypes_from_name(name)));
}

TEST_CASE("a session counts them in each step, where no kernels store the rows") {
  const auto model = load_model("random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,seed=2");
  for (const char* name : {"naive", "eigen", "cuda-emulated"}) {
    CAPTURE(name);
    CacheOptions fp8{.dtype_k = DType::fp8_e4m3, .dtype_v = DType::fp8_e4m3};
    DecodeSession s(model, make_backend(name), {.cache = fp8}), plain(model, make_backend(name), {});
    s.start({3, 4, 5});
    plain.start({3, 4, 5});
    for (int i = 0; i < 4; ++i) {
      // The rows of this model are small.
      CHECK(s.advance().n_saturated == (name == std::string("cuda-emulated") ? -1 : 0));
      CHECK(plain.advance().n_saturated == 0);
    }
  }
}
