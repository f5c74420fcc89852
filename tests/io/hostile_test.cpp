// Damaged and hostile safetensors files. Each gives a one-line message that names the file and the problem.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <string>

#include "io/safetensors.h"
#include "tests/io/files.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

/// Loads this header and data from memory. open() makes the same checks.
SafetensorsFile load(std::string_view header, std::string_view data = "") {
  static std::string text;  // the views refer to it
  text = safetensors_bytes(header, data);
  return SafetensorsFile::from_bytes(bytes_of(text), "bad.safetensors");
}

/// A header with one tensor, "x".
SafetensorsFile load_x(std::string_view fields, std::string_view data = "12345678") {
  return load(fmt::format(R"({{"x":{{{}}}}})", fields), data);
}

}  // namespace

TEST_CASE("files that do not exist or are not regular files") {
  TemporaryFolder folder;
  CHECK_FILE_ERROR(SafetensorsFile::open(folder / "missing.safetensors"), "missing.safetensors",
                   "No such file", "check the path");
  CHECK_FILE_ERROR(SafetensorsFile::open(folder.path()), folder.path().string(), "is a folder");
  CHECK_FILE_ERROR(SafetensorsFile::open("/dev/zero"), "/dev/zero", "not a regular file");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_FILE_ERROR(SafetensorsFile::open(folder / "pipe"), "pipe",
                   "not a regular file");  // and it does not hang
}

TEST_CASE("files that are too short") {
  TemporaryFolder folder;
  put(folder / "empty", "");
  CHECK_FILE_ERROR(SafetensorsFile::open(folder / "empty"), "empty: has 0 bytes, too few");
  put(folder / "seven", "1234567");
  CHECK_FILE_ERROR(SafetensorsFile::open(folder / "seven"), "seven: has 7 bytes, too few");

  const std::string whole =
      safetensors_bytes(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "12345678");
  for (size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    put(folder / "cut", std::string_view(whole).substr(0, n));
    CHECK_FILE_ERROR(SafetensorsFile::open(folder / "cut"), "cut: ");
    CHECK_FILE_ERROR(SafetensorsFile::from_bytes(bytes_of(whole).subspan(0, n), "memory"), "memory: ");
  }
  CHECK_FILE_ERROR(SafetensorsFile::from_bytes(bytes_of(whole).subspan(0, whole.size() - 1), "memory"),
                   "tensor \"x\" ends at byte 8 of 7", "cut short");
  CHECK_FILE_ERROR(SafetensorsFile::from_bytes(bytes_of(whole).subspan(0, 20), "memory"), "claims 54 bytes",
                   "12 follow");
}

TEST_CASE("a sparse file of a terabyte is refused before memory is allocated") {
  TemporaryFolder folder;
  put(folder / "sparse", safetensors_bytes(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", ""));
  std::error_code error;
  std::filesystem::resize_file(folder / "sparse", uintmax_t{1} << 40, error);
  if (error) {
    MESSAGE("skipped: no sparse files here: " << error.message());
    return;
  }
  CHECK_FILE_ERROR(SafetensorsFile::open(folder / "sparse"),
                   "sparse: 1099511627706 bytes after the last tensor");
}

TEST_CASE("wrong header lengths") {
  const auto with_length = [](uint64_t length) {
    std::string text(reinterpret_cast<const char*>(&length), 8);
    text += "{}";
    return message_of([&] { SafetensorsFile::from_bytes(bytes_of(text), "bad.safetensors"); });
  };
  CHECK(with_length(2) == "");
  CHECK(with_length(3).find("claims 3 bytes, but 2 follow") != std::string::npos);
  CHECK(with_length(100'000'000).find("claims 100000000 bytes, but 2 follow") != std::string::npos);
  CHECK(with_length(100'000'001).find("but the format allows at most 100000000") != std::string::npos);
  CHECK(with_length(UINT64_MAX).find("but the format allows") != std::string::npos);
  CHECK(with_length(uint64_t{1} << 63).find("but the format allows") != std::string::npos);
  CHECK(with_length(0).find("does not begin with '{'") != std::string::npos);
}

TEST_CASE("headers that are not valid JSON objects") {
  CHECK_FILE_ERROR(load("PK\x03\x04 zipped pickle"), "bad.safetensors", "does not begin with '{'");
  CHECK_FILE_ERROR(load(" {}"), "does not begin with '{'");
  CHECK_FILE_ERROR(load("[]"), "does not begin with '{'");
  CHECK_FILE_ERROR(load("{"), "bad.safetensors (header)", "line 1", "syntax error");
  CHECK_FILE_ERROR(load("{}x"), "bad.safetensors (header)", "column 3");
  CHECK_FILE_ERROR(load(std::string_view("{}\0x", 4)), "NUL");
  CHECK_FILE_ERROR(load("{\"\xFF\":1}"), "ill-formed UTF-8");
  CHECK_FILE_ERROR(load(R"({"x":1})"), "bad.safetensors", "\"x\"", "not described by an object");
  CHECK_FILE_ERROR(load_x(R"("shape":[2],"data_offsets":[0,8])"), "\"x\" has no dtype");
  CHECK_FILE_ERROR(load_x(R"("dtype":"F32","data_offsets":[0,8])"), "\"x\" has no shape");
  CHECK_FILE_ERROR(load_x(R"("dtype":"F32","shape":[2])"), "\"x\" has no data_offsets");
}

TEST_CASE("JSON bombs") {
  const std::string deep = "{\"x\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  CHECK_FILE_ERROR(load(deep), "bad.safetensors", "nested more than 3 deep");
  CHECK_FILE_ERROR(load(R"({"x":{"shape":[[2]]}})"), "nested more than 3 deep");
  std::string wide = "{";
  for (int i = 0; i <= 1 << 20; ++i) wide += fmt::format("\"{}\":0,", i);
  wide.back() = '}';
  CHECK_FILE_ERROR(load(wide), "bad.safetensors", "more than 1048576 values");
  std::string ones = R"({"x":{"dtype":"F32","shape":[1)";
  for (int i = 0; i <= 1 << 20; ++i) ones += ",1";
  CHECK_FILE_ERROR(load(ones + "]}}"), "more than 1048576 values");
}

TEST_CASE("keys that occur twice") {
  CHECK_FILE_ERROR(load(R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{}})"), "bad.safetensors",
                   "\"x\" occurs twice");
  CHECK_FILE_ERROR(load_x(R"("dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8])"),
                   "\"dtype\" occurs twice");
  CHECK_FILE_ERROR(load(R"({"__metadata__":{"a":"1","\u0061":"2"}})"), "\"a\" occurs twice");
}

TEST_CASE("dtypes lastrow does not read") {
  for (const char* dtype : {"I16", "U16", "F8_E5M2", "f32", "", "F32 "})
    CHECK_FILE_ERROR(
        load_x(fmt::format(R"("dtype":"{}","shape":[8],"data_offsets":[0,8])", dtype)).tensor("x"),
        "bad.safetensors", "tensor \"x\"", fmt::format("dtype \"{}\"", dtype), "convert it to F32");
  CHECK_FILE_ERROR(load_x(R"("dtype":7,"shape":[8],"data_offsets":[0,8])"), "\"x\": dtype is not text");
}

TEST_CASE("a tensor that cannot be read does not affect the others") {
  const SafetensorsFile file = load(
      R"({"q":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"odd":{"dtype":"U16","shape":[2],"data_offsets":[4,8]},"deep":{"dtype":"U8","shape":[1,1,1,1,4],"data_offsets":[8,12]}})",
      std::string("\0\0\x80\x3f", 4) + "12345678");
  CHECK(file.tensor("q").data<float>()[0] == 1);
  CHECK(file.has("odd"));
  CHECK(file.names() == std::vector<std::string>{"q", "odd", "deep"});
  CHECK_FILE_ERROR(file.tensor("odd"), "bad.safetensors", "dtype \"U16\"");
  CHECK_FILE_ERROR(file.tensor("deep"), "has 5 dimensions");
}

TEST_CASE("impossible shapes") {
  const auto shape = [](std::string_view dims) {
    return load_x(fmt::format(R"("dtype":"F32","shape":{},"data_offsets":[0,8])", dims));
  };
  CHECK_FILE_ERROR(shape("2"), "bad.safetensors", "\"x\": shape is not an array");
  CHECK_FILE_ERROR(shape("[-2]"), "\"x\": shape holds \"-2\"", "whole number");
  CHECK_FILE_ERROR(shape("[2.0]"), "shape holds \"2.0\"");
  CHECK_FILE_ERROR(shape("[1e1]"), "shape holds \"10.0\"");
  CHECK_FILE_ERROR(shape("[true]"), "shape holds \"true\"");
  CHECK_FILE_ERROR(shape("[null]"), "shape holds \"null\"");
  CHECK_FILE_ERROR(shape("[\"2\"]"), "shape holds", "2", "whole number");
  CHECK_FILE_ERROR(shape("[1,1,1,1,2]").tensor("x"), "has 5 dimensions", "at most 4");
  CHECK_FILE_ERROR(shape("[9223372036854775807]"), "overflows 64 bits");
  CHECK_FILE_ERROR(shape("[9223372036854775808]"), "overflows 64 bits");
  CHECK_FILE_ERROR(shape("[18446744073709551615]"), "overflows 64 bits");
  CHECK_FILE_ERROR(shape("[18446744073709551616]"), "whole number");
  CHECK_FILE_ERROR(shape("[4294967296,4294967296]"), "overflows 64 bits");
  CHECK_FILE_ERROR(shape("[4294967296,4294967296,0]"), "overflows 64 bits");
  CHECK_FILE_ERROR(shape("[0,4294967296,4294967296]"), "overflows 64 bits");
  CHECK_FILE_ERROR(shape("[2305843009213693952]"),
                   "overflows 64 bits");  // 2^61 fits, but 2^61 · 4 bytes do not
  CHECK_FILE_ERROR(shape("[3]"), "[3] is 12 bytes", "data_offsets span 8");
  CHECK_FILE_ERROR(shape("[0]"), "[0] is 0 bytes", "data_offsets span 8");
  CHECK_FILE_ERROR(shape("[]"), "[] is 4 bytes", "data_offsets span 8");
  CHECK(shape("[2]").tensor("x").size() == 2);
}

TEST_CASE("impossible offsets") {
  const auto offsets = [](std::string_view pair) {
    return load_x(fmt::format(R"("dtype":"F32","shape":[2],"data_offsets":{})", pair));
  };
  CHECK_FILE_ERROR(offsets("8"), "bad.safetensors", "data_offsets is not an array");
  CHECK_FILE_ERROR(offsets("[]"), "not [begin, end]");
  CHECK_FILE_ERROR(offsets("[0]"), "not [begin, end]");
  CHECK_FILE_ERROR(offsets("[0,8,8]"), "not [begin, end]");
  CHECK_FILE_ERROR(offsets("[8,0]"), "begin ≤ end");
  CHECK_FILE_ERROR(offsets("[-8,0]"), "data_offsets holds \"-8\"");
  CHECK_FILE_ERROR(offsets("[0,8.0]"), "data_offsets holds \"8.0\"");
  CHECK_FILE_ERROR(offsets("[0,18446744073709551615]"), "overflows 64 bits");
  CHECK_FILE_ERROR(offsets("[8,16]"), "\"x\" ends at byte 16 of 8");
  CHECK_FILE_ERROR(offsets("[9223372036854775799,9223372036854775807]"),
                   "ends at byte 9223372036854775807 of 8");
  CHECK(offsets("[0,8]").tensor("x").size() == 2);
}

TEST_CASE("data that belongs to two tensors or to none") {
  const auto two = [](std::string_view a, std::string_view b) {
    return load(fmt::format(R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":{}}},)"
                            R"("b":{{"dtype":"U8","shape":[4],"data_offsets":{}}}}})",
                            a, b),
                "123456789");
  };
  CHECK_FILE_ERROR(two("[0,4]", "[0,4]"), "bad.safetensors", "\"b\" begins at byte 0, overlapping",
                   "ends at 4");
  CHECK_FILE_ERROR(two("[0,4]", "[3,7]"), "\"b\" begins at byte 3, overlapping", "ends at 4");
  CHECK_FILE_ERROR(two("[5,9]", "[0,4]"), "\"a\" begins at byte 5, leaving a hole", "ends at 4");
  CHECK_FILE_ERROR(two("[1,5]", "[5,9]"), "\"a\" begins at byte 1, leaving a hole", "ends at 0");
  CHECK_FILE_ERROR(two("[0,4]", "[4,8]"), "1 bytes after the last tensor");
  CHECK_FILE_ERROR(load("{}", "1"), "1 bytes after the last tensor");
}

TEST_CASE("metadata that is not text") {
  CHECK_FILE_ERROR(load(R"({"__metadata__":[]})"), "bad.safetensors", "__metadata__ is not an object");
  CHECK_FILE_ERROR(load(R"({"__metadata__":{"steps":3}})"), "metadata \"steps\" is not text");
  CHECK_FILE_ERROR(load(R"({"__metadata__":{"steps":null}})"), "metadata \"steps\" is not text");
  CHECK_FILE_ERROR(load(R"({"__metadata__":{"steps":{}}})"), "metadata \"steps\" is not text");
}

TEST_CASE("names with control characters in the message") {
  CHECK_FILE_ERROR(load(R"({"a\nb\u001b[2J":1})"), "\"a\\nb\\u001b[2J\"");
  CHECK_FILE_ERROR(load("{\"" + std::string(1'000'000, 'n') + "\":1}"), "nnn\"…");
  CHECK_FILE_ERROR(load("{\"x\":" + std::string(1'000'000, '9') + "}"), "bad.safetensors");
  CHECK_FILE_ERROR(load("{\"x\":" + std::string(1'000'000, 'q') + "}"), "bad.safetensors");
}
