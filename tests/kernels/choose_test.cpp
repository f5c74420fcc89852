// Which rung the backend takes for a shape if no rung is forced.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <regex>
#include <string>

#include "gpu/driver/timed_shapes.h"
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

TEST_CASE("decode of four heads in 16 bits goes to tensor cores from 256 MB of K/V on") {
  // 8 K/V heads × 128 · 2 bytes, of K and of V, are 4,096 bytes for each key: 62,500 keys are 256 MB.
  const auto with_keys = [](int32_t n_seqs, int32_t max_kv_len, int32_t n_q_heads, DType dtype) {
    return std::string(emulated::choose(gpu::AttendShape{.n_q_heads = n_q_heads,
                                                         .n_kv_heads = 8,
                                                         .head_dim = 128,
                                                         .kv_dtype = dtype,
                                                         .n_tokens = n_seqs,
                                                         .n_seqs = n_seqs,
                                                         .max_kv_len = max_kv_len})
                           .name);
  };
  for (const DType dtype : {DType::f16, DType::bf16}) {
    CHECK(with_keys(1, 62499, 32, dtype) == "k09");
    CHECK(with_keys(1, 62500, 32, dtype) == "k11");
    CHECK(with_keys(50, 1250, 32, dtype) == "k11");
    CHECK(with_keys(50, 1250, 24, dtype) == "k09");  // groups of 3
  }
  CHECK(with_keys(1, 1000000, 32, DType::f32) == "k08");
}

/// µs by rung at each shape of the table in gpu/README.md.
std::map<std::string, std::map<std::string, double>> measured() {
  std::ifstream page(LASTROW_SOURCE_DIR "/gpu/README.md");
  const std::regex row("\\| (\\S[^|]*) \\| [0-9.]+ \\| (k[0-9]+[a-z]?) \\| ([0-9.]+) \\|.*");
  std::map<std::string, std::map<std::string, double>> times;
  std::smatch match;
  for (std::string line; std::getline(page, line);)
    if (std::regex_match(line, match, row)) times[match[1]][match[2]] = std::stod(match[3]);
  return times;
}

TEST_CASE(
    "of the rungs that were timed at a decode of the README's table, the chosen one is the fastest, to 2 %") {
  int n_shapes = 0;
  const auto times = measured();
  for (const driver::TimedShape& timed : driver::timed_shapes(driver::ShapeSet::few)) {
    if (timed.q_len > 1 || !times.contains(timed.name())) continue;
    ++n_shapes;
    const auto& rungs = times.at(timed.name());
    const auto fastest = std::min_element(rungs.begin(), rungs.end(),
                                          [](const auto& a, const auto& b) { return a.second < b.second; });
    const std::string rung = emulated::choose(timed.shape()).name;
    CAPTURE(timed.name());
    CAPTURE(fastest->first);
    REQUIRE_MESSAGE(rungs.contains(rung), rung, " was not timed");
    CHECK_MESSAGE(rungs.at(rung) <= 1.02 * fastest->second, rung, " takes ", rungs.at(rung), " µs, ",
                  fastest->first, " ", fastest->second);
  }
  CHECK(n_shapes == 12);
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
