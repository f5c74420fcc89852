// The format by eye first, then round trips, then the writer's refusals. Damaged files: test_hostile.cpp.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "io/safetensors.h"

using namespace lastrow;

TEST_CASE("a safetensors file, byte by byte") {
  // 8 bytes of length (0x48 = 72), 72 bytes of JSON, then three f32: 1, 2 and −3.
  const std::string text =
      std::string("\x48\0\0\0\0\0\0\0", 8) +
      R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})" + std::string(17, ' ') +
      std::string("\0\0\x80\x3F\0\0\0\x40\0\0\x40\xC0", 12);
  const auto file = SafetensorsFile::from_bytes(std::as_bytes(std::span(text)), "by-eye");
  REQUIRE(file.names() == std::vector<std::string>{"x"});
  const ConstTensorView x = file.tensor("x");
  CHECK(x.shape() == Shape{3});
  CHECK(x.data<float>()[0] == 1.0f);
  CHECK(x.data<float>()[1] == 2.0f);
  CHECK(x.data<float>()[2] == -3.0f);
}
