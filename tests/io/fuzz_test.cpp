// Seeded mutations of valid files, through every loader. A loader must load the file or throw a FileError.
// Run it in the asan build too: that build checks that every byte of every loaded view is readable.
#include <doctest/doctest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/random.h"
#include "io/json.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "tests/io/files.h"
#include "tests/io/loading.h"

using namespace lastrow;
using namespace lastrow::test;
using nlohmann::json;

namespace {

constexpr int kCases = 8000;  // per format
constexpr uint64_t kSeed = 20240607;

/// A number that often breaks sizes, lengths and offsets.
uint64_t edge(Random& random) {
  constexpr uint64_t kEdges[] = {0,          1,          2,          3,          4,           7,
                                 8,          16,         255,        65535,      100'000'000, 1ull << 31,
                                 1ull << 32, 1ull << 61, 1ull << 62, 1ull << 63, ~0ull,       ~0ull - 7};
  const uint64_t at = kEdges[random.below(std::ssize(kEdges))];
  return at + static_cast<uint64_t>(random.below(3)) - 1;
}

std::string flip_bits(std::string file, Random& random) {
  if (file.empty()) return file;
  for (int64_t n = 1 + random.below(8); n > 0; --n) {
    char& byte = file[static_cast<size_t>(random.below(std::ssize(file)))];
    byte = static_cast<char>(byte ^ (1 << random.below(8)));
  }
  return file;
}

std::string truncate(std::string file, Random& random) {
  file.resize(static_cast<size_t>(random.below(std::ssize(file) + 1)));
  return file;
}

/// Puts a piece of `other` over or between the bytes of `file`.
std::string splice(std::string file, const std::string& other, Random& random) {
  const auto from = static_cast<size_t>(random.below(std::ssize(other) + 1));
  const auto to = static_cast<size_t>(random.below(std::ssize(file) + 1));
  const auto length = static_cast<size_t>(random.below(32));
  const size_t replaced = random.below(2) == 0 ? 0 : length;
  return file.replace(to, replaced, other.substr(from, length));
}

/// Replaces one of the numbers that are written in digits.
std::string change_number(std::string file, Random& random) {
  std::vector<size_t> starts;
  const auto is_digit = [&](size_t i) { return file[i] >= '0' && file[i] <= '9'; };
  for (size_t i = 0; i < file.size(); ++i)
    if (is_digit(i) && (i == 0 || !is_digit(i - 1))) starts.push_back(i);
  if (starts.empty()) return file;
  const size_t at = starts[static_cast<size_t>(random.below(std::ssize(starts)))];
  size_t end = at;
  while (end < file.size() && is_digit(end)) ++end;
  const uint64_t n = edge(random);
  return file.replace(at, end - at, random.below(4) == 0 ? fmt::format("-{}.5", n) : fmt::format("{}", n));
}

std::string mutated(const std::vector<std::string>& files, Random& random) {
  const auto any = [&] { return files[static_cast<size_t>(random.below(std::ssize(files)))]; };
  std::string file = any();
  for (int64_t n = 1 + random.below(2); n > 0; --n) switch (random.below(4)) {
      case 0:
        file = flip_bits(file, random);
        break;
      case 1:
        file = truncate(file, random);
        break;
      case 2:
        file = splice(file, any(), random);
        break;
      default:
        file = change_number(file, random);
    }
  return file;
}

/// A value that does not belong in a header.
json stray(Random& random) {
  switch (random.below(9)) {
    case 0:
      return nullptr;
    case 1:
      return edge(random);
    case 2:
      return -static_cast<int64_t>(edge(random) >> 1);
    case 3:
      return 0.5;
    case 4:
      return "F16";
    case 5:
      return json::array({0, edge(random)});
    case 6:
      return json::object();
    case 7:
      return json::array({1, 1, 1, 1, 1});
    default:
      return json::array();
  }
}

/// Replaces, removes or adds one thing somewhere in the JSON value.
void disturb(json& j, Random& random) {
  if (!j.is_structured() || j.empty() || random.below(8) == 0) {
    j = stray(random);
    return;
  }
  const auto at = std::next(j.begin(), random.below(std::ssize(j)));
  switch (random.below(8)) {
    case 0:
      j.erase(at);
      return;
    case 1: {
      const json copy = *at;
      if (j.is_array())
        j.push_back(copy);
      else
        j[fmt::format("new {}", random.below(3))] = copy;
      return;
    }
    default:
      disturb(*at, random);
  }
}

/// A safetensors file whose header is valid JSON with wrong content, or whose header length is wrong.
std::string with_other_header(const std::string& file, Random& random) {
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  if (random.below(8) == 0) {
    std::string lying = file;
    const uint64_t n =
        random.below(2) == 0 ? edge(random) : length + static_cast<uint64_t>(random.below(17)) - 8;
    std::memcpy(lying.data(), &n, 8);
    return lying;
  }
  json header = json::parse(file.substr(8, length));
  disturb(header, random);
  return safetensors_bytes(header.dump(), std::string_view(file).substr(8 + length));
}

/// Exactly these bytes on the heap, so that a sanitizer detects a read past their end.
std::vector<std::byte> exactly(const std::string& text) {
  const auto bytes = bytes_of(text);
  return {bytes.begin(), bytes.end()};
}

std::vector<std::string> valid_safetensors() {
  TemporaryFolder folder;
  std::vector<std::string> files;
  const double numbers[16] = {1, 2, 3};
  for (const std::vector<DType>& dtypes :
       {std::vector<DType>{}, {DType::f32}, {DType::u8, DType::f64, DType::bf16}, {DType::i8, DType::i8}}) {
    SafetensorsWriter writer;
    int n = 0;
    for (const DType dtype : dtypes)
      writer.add(fmt::format("layer.{}", n++), {static_cast<const void*>(numbers), dtype, {2, 1, 3}});
    if (n != 1) writer.metadata("schema", "1");
    if (n > 1) writer.add("none", {numbers, {0, 4}});
    writer.write(folder / "valid");
    files.push_back(get(folder / "valid"));
  }
  return files;
}

std::vector<std::string> valid_npy() {
  TemporaryFolder folder;
  std::vector<std::string> files;
  const double numbers[16] = {1, 2, 3};
  for (const DType dtype : {DType::f64, DType::f16, DType::u8})
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 0, 2}, Shape{1, 2, 3, 2}}) {
      write_npy(folder / "valid", {static_cast<const void*>(numbers), dtype, shape});
      files.push_back(get(folder / "valid"));
    }
  return files;
}

struct Outcome {
  int loaded = 0, refused = 0;
  void count(bool did_load) { ++(did_load ? loaded : refused); }
};

}  // namespace

TEST_CASE("mutated safetensors files load or are refused") {
  const auto files = valid_safetensors();
  for (const std::string& file : files) REQUIRE(load_safetensors(exactly(file)));
  Random random(kSeed, 1);
  Outcome bytes, headers;
  for (int i = 0; i < kCases; ++i) {
    bytes.count(load_safetensors(exactly(mutated(files, random))));
    const auto& file = files[static_cast<size_t>(random.below(std::ssize(files)))];
    headers.count(load_safetensors(exactly(with_other_header(file, random))));
  }
  // Both outcomes must occur often. Otherwise the mutations are too weak or too strong to find anything.
  for (const Outcome& o : {bytes, headers}) {
    CHECK(o.loaded > kCases / 100);
    CHECK(o.refused > kCases / 2);
  }
}

TEST_CASE("mutated safetensors files on disk load or are refused") {
  const auto files = valid_safetensors();
  TemporaryFolder folder;
  Random random(kSeed, 2);
  Outcome outcome;
  for (int i = 0; i < 1000; ++i) {
    const std::string file = i % 2 == 0 ? mutated(files, random) : with_other_header(files[1], random);
    put(folder / "mutated", file);
    const std::string message = message_of([&] {
      const auto opened = SafetensorsFile::open(folder / "mutated");
      for (const std::string& name : opened.names()) {
        const uint64_t sum = sum_of_bytes(opened.tensor(name));  // throws if the type or rank cannot be read
        CHECK(sum < UINT64_MAX);
      }
    });
    CHECK(message.empty() == load_safetensors(exactly(file)));  // open() and from_bytes() agree
    outcome.count(message.empty());
  }
  CHECK(outcome.loaded > 10);
  CHECK(outcome.refused > 500);
}

TEST_CASE("mutated .npy files load or are refused") {
  const auto files = valid_npy();
  for (const std::string& file : files) REQUIRE(load_npy(exactly(file)));
  Random random(kSeed, 3);
  Outcome outcome;
  for (int i = 0; i < kCases; ++i) outcome.count(load_npy(exactly(mutated(files, random))));
  CHECK(outcome.loaded > kCases / 100);
  CHECK(outcome.refused > kCases / 2);
}

TEST_CASE("mutated JSON parses or is refused") {
  const std::vector<std::string> texts = {R"({"a":[1,-2.5e3,true,null,{"b":"\u00e9\n"}],"c":{}})",
                                          "[[[[]]],{}]",
                                          "{\n \"name\": \"f\xC3\xBC"
                                          "chse\",\n \"sizes\": [1, 22, 333]\n}\n"};
  for (const std::string& text : texts) REQUIRE(load_json(exactly(text)));
  Random random(kSeed, 4);
  Outcome outcome;
  for (int i = 0; i < kCases; ++i) {
    const auto bytes = exactly(mutated(texts, random));
    const bool loaded = load_json(bytes);
    outcome.count(loaded);
    // If we accept a text, the library's own parser accepts it too.
    if (loaded)
      CHECK(json::accept(reinterpret_cast<const char*>(bytes.data()),
                         reinterpret_cast<const char*>(bytes.data()) + bytes.size()));
  }
  CHECK(outcome.loaded > kCases / 100);
  CHECK(outcome.refused > kCases / 2);
}
