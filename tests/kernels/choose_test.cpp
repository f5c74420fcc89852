// Which rung the backend takes for a shape if no rung is forced.
#include <doctest/doctest.h>

#include <string>

#include "gpu/ladder/ladder.h"

namespace lastrow {
namespace {

std::string chosen(DType dtype, int32_t max_q_len, int32_t head_dim = 64, int32_t group_size = 1) {
  return emulated::choose(
             gpu::AttendShape{
                 .n_q_heads = group_size, .head_dim = head_dim, .kv_dtype = dtype, .max_q_len = max_q_len})
      .name;
}

TEST_CASE(
    "a prefill of 16 queries or more goes to k12, else to k04; a shorter one, or one that neither takes, "
    "goes "
    "where decode goes") {
  CHECK(chosen(DType::f32, 16) == "k04");
  CHECK(chosen(DType::f16, 16) == "k12");
  CHECK(chosen(DType::bf16, 1000) == "k12");
  CHECK(chosen(DType::bf16, 1000, 256) == "k04");
  CHECK(chosen(DType::f16, 15) == "k09");
  CHECK(chosen(DType::f32, 15) == "k08");
  CHECK(chosen(DType::i8, 16) == "k09");
}

TEST_CASE("decode of small groups goes to k08 in f32, to k09 in narrower types") {
  CHECK(chosen(DType::f32, 1) == "k08");
  for (const DType dtype : {DType::f16, DType::bf16, DType::fp8_e4m3, DType::i8})
    CHECK(chosen(dtype, 1) == "k09");
}

TEST_CASE("decode of a group of five heads or more (four in 8 bits) goes to tensor cores, if they take it") {
  CHECK(chosen(DType::bf16, 1, 64, 4) == "k09");
  CHECK(chosen(DType::bf16, 1, 64, 5) == "k11");
  CHECK(chosen(DType::f16, 1, 128, 71) == "k11");
  CHECK(chosen(DType::f32, 1, 64, 8) == "k08");
  for (const DType dtype : {DType::i8, DType::fp8_e4m3}) {
    CHECK(chosen(dtype, 1, 64, 3) == "k09");
    CHECK(chosen(dtype, 1, 64, 4) == "k11");
    CHECK(chosen(dtype, 1, 128, 8) == "k11");
    CHECK(chosen(dtype, 1, 72, 8) == "k09");
    CHECK(chosen(dtype, 16, 64, 8) == "k11");  // a prefill that k12 and k04 refuse
  }
  CHECK(chosen(DType::bf16, 1, 256, 8) == "k09");
}

TEST_CASE("a shape that the later rungs refuse goes to an earlier rung that takes it") {
  CHECK(chosen(DType::f32, 1, 264) == "k02");
  CHECK(chosen(DType::bf16, 100, 512) == "k02");
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::fp8_e4m3, DType::i8})
    for (const int32_t head_dim : {1, 3, 8, 80, 256}) {
      const gpu::AttendShape shape{.head_dim = head_dim, .kv_dtype = dtype};
      CHECK(emulated::choose(shape).supports(shape) == "");
    }
}

}  // namespace
}  // namespace lastrow
