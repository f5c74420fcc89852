#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/conversions.h"
#include "core/function_ref.h"
#include "core/random.h"
#include "core/tensor.h"

using namespace lastrow;

TEST_CASE("a tensor's rows and shapes") {
  Tensor t = Tensor::host(DType::f32, {3, 2, 4});
  for (int i = 0; i < 24; ++i) t.data<float>()[i] = static_cast<float>(i);
  CHECK(t.shape().to_string() == "[3, 2, 4]");
  CHECK(t.view().row_size() == 8);
  CHECK(t.view().rows(1, 2).data<float>()[0] == 8);
  CHECK(t.view().rows(1, 2).shape() == Shape{2, 2, 4});
  CHECK(t.view().rows(3, 0).size() == 0);
  CHECK(t.view().reshaped({6, 4}).rows(5, 1).data<float>()[3] == 23);
  const ConstTensorView read_only = t.view();
  CHECK(read_only.size_bytes() == 96);
}

TEST_CASE("a clone is a copy, a move is not") {
  Tensor a = Tensor::host(DType::i32, {2});
  a.data<int32_t>()[1] = 7;
  Tensor b = a.clone();
  b.data<int32_t>()[1] = 8;
  CHECK(a.data<int32_t>()[1] == 7);
  const void* where = a.view().raw();
  Tensor c = std::move(a);
  CHECK(c.view().raw() == where);
}

TEST_CASE("every tensor begins at 64 bytes, and one of 8 MB or more on a page of 2 MB") {
  const auto address = [](int64_t bytes) {
    Tensor t = Tensor::host(DType::u8, {bytes});
    t.data<uint8_t>()[std::max<int64_t>(bytes, 1) - 1] = 1;  // all of it is there
    return reinterpret_cast<uintptr_t>(t.data<uint8_t>());
  };
  for (const int64_t bytes : {1, 63, 4096, (8 << 20) - 1}) CHECK(address(bytes) % 64 == 0);
  for (const int64_t bytes : {8 << 20, (8 << 20) + 1}) CHECK(address(bytes) % (2 << 20) == 0);
}

TEST_CASE("conversion narrows once and keeps what fits") {
  Tensor wide = Tensor::host(DType::f64, {4}), half = Tensor::host(DType::f16, {4}),
         back = Tensor::host(DType::f32, {4});
  const double values[] = {0.5, -1.25, 1e6, 1.0 / 3};
  std::copy_n(values, 4, wide.data<double>());
  convert(wide.view(), half.view());
  convert(half.view(), back.view());
  CHECK(back.data<float>()[0] == 0.5f);
  CHECK(back.data<float>()[1] == -1.25f);
  CHECK(back.data<float>()[2] == std::numeric_limits<float>::infinity());
  CHECK(back.data<float>()[3] == doctest::Approx(1.0 / 3).epsilon(1e-3));
}

TEST_CASE("conversion rounds a double once, into every narrow type") {
  double above_ties[] = {1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-8 + 0x1p-40, 1 + 0x1p-4 + 0x1p-40};
  const ConstTensorView wide(above_ties, {3});
  Half half{};
  BFloat16 brain{};
  Fp8E4M3 quarter{};
  convert(wide.rows(0, 1), TensorView(&half, {1}));
  convert(wide.rows(1, 1), TensorView(&brain, {1}));
  convert(wide.rows(2, 1), TensorView(&quarter, {1}));
  CHECK(to_float(half) == 1 + 0x1p-10f);
  CHECK(to_float(brain) == 1 + 0x1p-7f);
  CHECK(to_float(quarter) == 1 + 0x1p-3f);
}

TEST_CASE("conversion to integers: towards zero, to the nearest end, NaN to 0") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  double values[] = {1.9, -1.9, 1e30, -1e30, nan, inf, -inf, 200};
  const ConstTensorView wide(values, {8});
  const auto as = [&]<typename T>(T) {
    std::vector<T> narrow(8);
    convert(wide, TensorView(narrow.data(), {8}));
    return narrow;
  };
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max(), kLeast = std::numeric_limits<int64_t>::min();
  CHECK(as(int8_t{}) == std::vector<int8_t>{1, -1, 127, -128, 0, 127, -128, 127});
  CHECK(as(uint8_t{}) == std::vector<uint8_t>{1, 0, 255, 0, 0, 255, 0, 200});
  CHECK(as(int32_t{}) ==
        std::vector<int32_t>{1, -1, 2147483647, -2147483647 - 1, 0, 2147483647, -2147483647 - 1, 200});
  CHECK(as(int64_t{}) == std::vector<int64_t>{1, -1, kMost, kLeast, 0, kMost, kLeast, 200});

  int64_t large[] = {(int64_t{1} << 53) + 1, -3, 300};
  int32_t small[3];
  uint8_t smallest[3];
  convert(ConstTensorView(large, {3}), TensorView(small, {3}));
  CHECK(small[0] == 2147483647);
  CHECK(small[1] == -3);
  convert(ConstTensorView(large, {3}), TensorView(smallest, {3}));
  CHECK(smallest[1] == 0);
  CHECK(smallest[2] == 255);
}

TEST_CASE("shapes that do not fit say both") {
  CHECK_THROWS_WITH_AS(require_shape("q", {2, 3}, {2, 4}), "q is [2, 3], expected [2, 4]", ShapeError);
}

TEST_CASE("random numbers: Philox's published answers") {
  // The known answers that the authors of the generator published.
  const auto zeros = philox({0, 0, 0, 0}, 0, 0);
  CHECK(zeros == std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const auto ones = philox({~0u, ~0u, ~0u, ~0u}, ~0u, ~0u);
  CHECK(ones == std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
}

namespace {
std::array<uint32_t, 4> fresh_words(uint64_t seed, uint64_t stream) {
  Random r(seed, stream);
  return {r.next_u32(), r.next_u32(), r.next_u32(), r.next_u32()};
}
}  // namespace

TEST_CASE("random numbers: a stream can be entered anywhere, and streams differ") {
  Random a(3, 1), b(3, 1), other(3, 2);
  for (int i = 0; i < 5; ++i) a.next_u32();
  b.seek(5);
  CHECK(a.next_u32() == b.next_u32());
  CHECK(Random(3, 1).next_u32() != other.next_u32());
  for (const uint64_t index : {7, 0, 6, 6, 1, 7}) {  // in any order
    b.seek(index);
    Random fresh(3, 1);
    fresh.seek(index);
    CHECK(b.next_u32() == fresh.next_u32());
    CHECK(b.next_u32() == fresh.next_u32());
  }
  CHECK(fresh_words(3, 1) == std::array<uint32_t, 4>(philox({0, 0, 1, 0}, 3, 0)));
  double sum = 0, squares = 0;
  Random normal(11);
  for (int i = 0; i < 20000; ++i) {
    const double x = normal.normal();
    sum += x;
    squares += x * x;
  }
  CHECK(std::abs(sum / 20000) < 0.03);  // 4 standard errors
  CHECK(std::abs(squares / 20000 - 1) < 0.04);
}

TEST_CASE("a function reference calls what it was given") {
  int calls = 0;
  const auto twice = [](FunctionRef<int(int)> f) { return f(f(1)); };
  CHECK(twice([&](int x) { return ++calls, x + 10; }) == 21);
  CHECK(calls == 2);
}
