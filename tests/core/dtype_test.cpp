#include "core/dtype.h"

#include <doctest/doctest.h>

#include "core/error.h"

using namespace lastrow;

TEST_CASE("names of types") {
  CHECK(name_of(DType::bf16) == "bf16");
  CHECK(dtype_from_name("fp8") == DType::fp8_e4m3);
  CHECK_THROWS_WITH_AS(dtype_from_name("f12"), doctest::Contains("use one of f64 f32"), UsageError);
  CHECK_THROWS_AS(dtype_from_name("fp8_e4m3"), UsageError);
  for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16, DType::fp8_e4m3, DType::i64,
                            DType::i32, DType::i8, DType::u8})
    CHECK(dtype_from_name(name_of(dtype)) == dtype);
}
