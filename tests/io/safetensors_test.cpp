// Files that can be checked by eye, then round trips, then what the writer refuses.
// hostile_test.cpp has damaged files.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "tests/io/files.h"

using namespace lastrow;
using namespace lastrow::test;

TEST_CASE("a safetensors file, byte by byte") {
  // 8 bytes of length (0x48 = 72), 72 bytes of JSON, then three f32: 1, 2 and −3.
  const std::string text = std::string("\x48\0\0\0\0\0\0\0", 8) +
                           R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})" +
                           std::string(17, ' ') + std::string("\0\0\x80\x3F\0\0\0\x40\0\0\x40\xC0", 12);
  const auto file = SafetensorsFile::from_bytes(bytes_of(text), "by-eye");
  REQUIRE(file.names() == std::vector<std::string>{"x"});
  const ConstTensorView x = file.tensor("x");
  CHECK(x.shape() == Shape{3});
  CHECK(x.data<float>()[0] == 1.0f);
  CHECK(x.data<float>()[1] == 2.0f);
  CHECK(x.data<float>()[2] == -3.0f);
  CHECK(file.metadata().empty());
}

TEST_CASE("what the writer writes, byte by byte") {
  TemporaryFolder folder;
  const uint8_t small[] = {7, 8};
  const float large[] = {1.0f};
  SafetensorsWriter writer;
  writer.add("small", {small, {2}});
  writer.add("large", {large, {}});
  writer.metadata("causal", "true");
  writer.write(folder / "a.safetensors");
  // The f32 comes first, so that it is aligned. Spaces pad the header to a multiple of 8 bytes.
  const std::string header =
      R"({"__metadata__":{"causal":"true"},"large":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
      R"("small":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  CHECK(get(folder / "a.safetensors") ==
        safetensors_bytes(padded, std::string_view("\0\0\x80\x3F\x07\x08", 6)));
  CHECK(folder.n_entries() == 1);
}

TEST_CASE("every dtype and ugly shapes survive a round trip") {
  TemporaryFolder folder;
  const DType dtypes[] = {DType::u8,  DType::f64, DType::i8,   DType::f32, DType::fp8_e4m3,
                          DType::f16, DType::i64, DType::bf16, DType::i32};
  const Shape shapes[] = {{}, {0}, {1}, {31}, {3, 0, 5}, {7, 3}, {2, 3, 5}, {1, 2, 1, 9}};
  SafetensorsWriter writer;
  std::vector<std::pair<std::string, Tensor>> tensors;
  int seed = 0;
  for (const DType dtype : dtypes)
    for (const Shape& shape : shapes) {
      Tensor t = Tensor::host(dtype, shape);
      auto* bytes = static_cast<unsigned char*>(t.view().raw());
      for (int64_t i = 0; i < t.size_bytes(); ++i) bytes[i] = static_cast<unsigned char>(++seed * 37);
      tensors.emplace_back(fmt::format("{} {}", name_of(dtype), shape.to_string()), std::move(t));
    }
  for (const auto& [name, t] : tensors) writer.add(name, t.view());
  writer.metadata("empty", "");
  writer.metadata("Ünï \"quoted\" \n", "{\"a\": [1]}\t\\");
  writer.write(folder / "all.safetensors");

  // Reads from the file, after a move, and from bytes at each possible misalignment.
  auto opened = SafetensorsFile::open(folder / "all.safetensors");
  const auto moved = std::move(opened);
  const std::string bytes = get(folder / "all.safetensors");
  std::vector<SafetensorsFile> files;
  std::vector<std::vector<char>> shifted(8, std::vector<char>(bytes.size() + 8));
  for (size_t shift = 0; shift < 8; ++shift) {
    std::memcpy(shifted[shift].data() + shift, bytes.data(), bytes.size());
    files.push_back(SafetensorsFile::from_bytes(
        std::as_bytes(std::span(shifted[shift]).subspan(shift, bytes.size())), "shifted"));
  }
  const auto check = [&](const SafetensorsFile& file) {
    REQUIRE(file.names().size() == tensors.size());
    for (const auto& [name, t] : tensors) {
      CAPTURE(name);
      REQUIRE(file.has(name));
      const ConstTensorView found = file.tensor(name);
      CHECK(found.dtype() == t.dtype());
      CHECK(found.shape() == t.shape());
      CHECK(!found.empty());
      CHECK(reinterpret_cast<uintptr_t>(found.raw()) % size_of(t.dtype()) == 0);
      CHECK(std::memcmp(found.raw(), t.view().raw(), static_cast<size_t>(t.size_bytes())) == 0);
    }
    CHECK(file.metadata() ==
          std::map<std::string, std::string>{{"empty", ""}, {"Ünï \"quoted\" \n", "{\"a\": [1]}\t\\"}});
  };
  check(moved);
  for (const SafetensorsFile& file : files) check(file);
}

TEST_CASE("aligned embedded bytes are not copied") {
  const std::string text = safetensors_bytes(
      R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})" + std::string(10, ' '), "12345678");
  std::vector<uint64_t> aligned(text.size() / 8);
  REQUIRE(aligned.size() * 8 == text.size());
  std::memcpy(aligned.data(), text.data(), text.size());
  const auto bytes = std::as_bytes(std::span(aligned));
  const auto file = SafetensorsFile::from_bytes(bytes, "embedded");
  CHECK(file.tensor("x").raw() == bytes.data() + bytes.size() - 8);
}

TEST_CASE("BOOL is read as u8") {
  const auto text = safetensors_bytes(R"({"m":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})",
                                      std::string_view("\0\1", 2));
  const auto file = SafetensorsFile::from_bytes(bytes_of(text), "masks");
  CHECK(file.tensor("m").data<uint8_t>()[1] == 1);
}

TEST_CASE("a file may have no tensors") {
  TemporaryFolder folder;
  SafetensorsWriter().write(folder / "none.safetensors");
  CHECK(get(folder / "none.safetensors") == safetensors_bytes("{}      ", ""));
  const auto file = SafetensorsFile::open(folder / "none.safetensors");
  CHECK(file.names().empty());
  CHECK_FILE_ERROR(file.tensor("x"), "none.safetensors", "no tensor \"x\"", "it has none");
}

TEST_CASE("the error for a missing tensor lists the tensors of the file") {
  const uint8_t byte = 0;
  SafetensorsWriter writer;
  for (int i = 0; i < 10; ++i) writer.add(fmt::format("t{}", i), {&byte, {1}});
  TemporaryFolder folder;
  writer.write(folder / "ten.safetensors");
  const auto file = SafetensorsFile::open(folder / "ten.safetensors");
  CHECK(!file.has("t10"));
  CHECK_FILE_ERROR(file.tensor("t10"), "ten.safetensors", "\"t10\"", "\"t0\", \"t1\"", "\"t7\" and 2 more");
}

TEST_CASE("rows that are added in parts form one tensor") {
  TemporaryFolder folder;
  const int32_t numbers[] = {1, 2, 3, 4, 5, 6};
  SafetensorsWriter writer;
  writer.add_rows("steps", {{numbers, {1, 2}}, {numbers + 2, {0, 2}}, {numbers + 2, {2, 2}}});
  writer.write(folder / "steps.safetensors");
  const auto file = SafetensorsFile::open(folder / "steps.safetensors");
  const ConstTensorView steps = file.tensor("steps");
  REQUIRE(steps.shape() == Shape{3, 2});
  for (int i = 0; i < 6; ++i) CHECK(steps.data<int32_t>()[i] == numbers[i]);

  const float other[] = {1.0f, 2.0f};
  const ConstTensorView first(numbers, {1, 2});
  CHECK_THROWS_AS(writer.add_rows("a", {}), ShapeError);
  CHECK_THROWS_AS(writer.add_rows("b", {first, ConstTensorView(numbers, {1, 3})}), ShapeError);
  CHECK_THROWS_AS(writer.add_rows("c", {first, ConstTensorView(other, {1, 2})}), ShapeError);
  CHECK_THROWS_AS(writer.add_rows("d", {ConstTensorView(numbers, {})}), ShapeError);
}

TEST_CASE("add() refuses what the format cannot hold") {
  const uint8_t byte = 0;
  SafetensorsWriter writer;
  writer.add("x", {&byte, {1}});
  CHECK_THROWS_WITH_AS(writer.add("x", {&byte, {1}}), "tensor name \"x\" is already used: choose another",
                       UsageError);
  CHECK_THROWS_AS(writer.add("__metadata__", {&byte, {1}}), UsageError);
  CHECK_THROWS_AS(writer.add("\xFF", {&byte, {1}}), UsageError);
  CHECK_THROWS_AS(writer.metadata("\xFF", "v"), UsageError);
  CHECK_THROWS_AS(writer.metadata("k", "\xC3"), UsageError);
}
