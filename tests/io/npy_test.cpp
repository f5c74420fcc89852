// .npy files that can be checked by eye, then round trips, then what is refused.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "io/npy.h"
#include "tests/io/files.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

/// A file of format version 1.0 with this header and data.
std::string npy_bytes(const std::string& header, std::string_view data = "") {
  std::string file = "\x93NUMPY\x01";
  file += '\0';
  file += static_cast<char>(header.size() & 0xFFu);
  file += static_cast<char>(header.size() >> 8);
  return file.append(header).append(data);
}

Tensor load_npy(const std::string& header, std::string_view data = "12345678") {
  return npy_from_bytes(bytes_of(npy_bytes(header, data)), "bad.npy");
}

Tensor load_typed(const std::string& descr) {
  return load_npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (2,), }\n");
}

Tensor load_shaped(const std::string& shape) {
  return load_npy("{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }\n");
}

}  // namespace

TEST_CASE("an .npy file, byte by byte") {
  // What numpy.save writes for numpy.array([[1], [-2]], numpy.int8):
  // 10 bytes, a header of 118 bytes, two numbers.
  const std::string header = "{'descr': '|i1', 'fortran_order': False, 'shape': (2, 1), }";
  const std::string text = std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header +
                           std::string(117 - header.size(), ' ') + "\n" + std::string("\x01\xFE", 2);
  const Tensor a = npy_from_bytes(bytes_of(text), "by-eye.npy");
  REQUIRE(a.shape() == Shape{2, 1});
  CHECK(a.data<int8_t>()[0] == 1);
  CHECK(a.data<int8_t>()[1] == -2);

  TemporaryFolder folder;
  write_npy(folder / "same.npy", a.view());
  CHECK(npy_from_bytes(bytes_of(get(folder / "same.npy")), "same").data<int8_t>()[1] == -2);
  CHECK(get(folder / "same.npy").size() == 128 + 2);
}

TEST_CASE("every dtype and ugly shapes survive an .npy round trip") {
  TemporaryFolder folder;
  for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::i64, DType::i32, DType::i8, DType::u8})
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{33}, Shape{3, 0}, Shape{7, 5},
                               Shape{2, 3, 4}, Shape{1, 2, 1, 3}}) {
      CAPTURE(name_of(dtype));
      CAPTURE(shape.to_string());
      Tensor t = Tensor::host(dtype, shape);
      auto* bytes = static_cast<unsigned char*>(t.view().raw());
      for (int64_t i = 0; i < t.size_bytes(); ++i) bytes[i] = static_cast<unsigned char>(i * 73 + 1);
      write_npy(folder / "t.npy", t.view());
      const Tensor back = read_npy(folder / "t.npy");
      REQUIRE(back.dtype() == dtype);
      REQUIRE(back.shape() == shape);
      CHECK(std::memcmp(back.view().raw(), bytes, static_cast<size_t>(t.size_bytes())) == 0);
    }
  CHECK(folder.n_entries() == 1);
}

TEST_CASE("headers may have other spaces, quotes and orders") {
  CHECK(load_npy("{\"shape\":(1,2),\"fortran_order\":False,\"descr\":\"<f4\"}").shape() == Shape{1, 2});
  CHECK(load_npy("{ 'descr' : '<i1' , 'shape' : ( 8 ) , 'fortran_order' : False }\n\n").dtype() == DType::i8);
  std::string two = npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "12345678");
  two[6] = 2;
  two.insert(10, 2, '\0');  // version 2 has a longer length
  CHECK(npy_from_bytes(bytes_of(two), "two").shape() == Shape{2});
}

TEST_CASE("arrays of other types are refused, and the message names the type") {
  CHECK_FILE_ERROR(load_typed(">f4"), "bad.npy", "\">f4\" (big endian)", "astype");
  CHECK_FILE_ERROR(load_typed("<i2"), "bad.npy", "\"<i2\"", "<i4");
  CHECK_FILE_ERROR(load_typed("|b1"), "\"|b1\"");
  CHECK_FILE_ERROR(load_typed("|O"), "\"|O\"");
  CHECK_FILE_ERROR(load_typed("<f44"), "\"<f44\"");
  CHECK_FILE_ERROR(load_typed(""), "\"\"");
  CHECK_FILE_ERROR(load_npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}"), "bad.npy",
                   "structures");
  CHECK_FILE_ERROR(load_npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2)}"), "bad.npy",
                   "Fortran order", "ascontiguousarray");
}

TEST_CASE("damaged .npy files") {
  const std::string whole =
      npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", "12345678");
  CHECK(npy_from_bytes(bytes_of(whole), "t").size() == 2);
  for (size_t n = 0; n < whole.size(); ++n)
    CHECK_FILE_ERROR(npy_from_bytes(bytes_of(whole).subspan(0, n), "cut.npy"), "cut.npy: ");
  CHECK_FILE_ERROR(npy_from_bytes(bytes_of(whole + "x"), "t"), "takes 8 bytes, but the file has 9");
  CHECK_FILE_ERROR(npy_from_bytes(bytes_of("PK\x03\x04 an npz file"), "t"), "magic");
  std::string other = whole;
  other[6] = 3;
  CHECK_FILE_ERROR(npy_from_bytes(bytes_of(other), "t"), "version 3.0");
  std::string long_header = whole;
  long_header[6] = 2;
  CHECK_FILE_ERROR(npy_from_bytes(bytes_of(long_header), "t"), "at most 65536");

  CHECK_FILE_ERROR(load_npy(""), "bad.npy", "'{' belongs");
  CHECK_FILE_ERROR(load_npy("{}"), "lacks one of");
  CHECK_FILE_ERROR(load_npy("{'descr': '<f4'"), "'}' belongs");
  CHECK_FILE_ERROR(load_npy("{'descr"), "unterminated");
  CHECK_FILE_ERROR(load_npy("{'descr': '<f4', 'descr': '<f4'}"), "\"descr\"", "once each");
  CHECK_FILE_ERROR(load_npy("{'fortran_order': False, 'fortran_order': True}"), "\"fortran_order\"",
                   "once each");
  CHECK_FILE_ERROR(load_npy("{'fortran_order': 0}"), "neither True nor False");
  CHECK_FILE_ERROR(load_npy("{'other': 1}"), "\"other\"");
  CHECK_FILE_ERROR(load_npy("{'shape': (1,), 'descr': '<f8', 'fortran_order': False} x"), "after its end");
  CHECK_FILE_ERROR(load_npy("{'shape': (1,), 'descr': '\xFF\n'}"), "bad.npy");
}

TEST_CASE("impossible shapes in .npy files") {
  CHECK(load_shaped("(2,)").size() == 2);
  CHECK_FILE_ERROR(load_shaped("2"), "bad.npy", "'(' belongs");
  CHECK_FILE_ERROR(load_shaped("(-2,)"), "negative dimension -2");
  CHECK_FILE_ERROR(load_shaped("(2.0,)"), "bad.npy");
  CHECK_FILE_ERROR(load_shaped("(x)"), "dimension belongs");
  CHECK_FILE_ERROR(load_shaped("(1, 1, 1, 1, 2)"), "5 dimensions", "at most 4");
  CHECK_FILE_ERROR(load_shaped("(9223372036854775808,)"), "overflows 64 bits");
  CHECK_FILE_ERROR(load_shaped("(4294967296, 4294967296)"), "overflows 64 bits");
  CHECK_FILE_ERROR(load_shaped("(4294967296, 4294967296, 0)"), "overflows 64 bits");
  CHECK_FILE_ERROR(load_shaped("(0, 4294967296, 4294967296)"), "overflows 64 bits");
  CHECK_FILE_ERROR(load_shaped("(1000000000000,)"), "takes 4000000000000 bytes, but the file has 8");
}

TEST_CASE("NumPy has no bf16 and no fp8") {
  TemporaryFolder folder;
  for (const DType dtype : {DType::bf16, DType::fp8_e4m3}) {
    const Tensor t = Tensor::host(dtype, {2});
    CHECK_THROWS_AS(write_npy(folder / "t.npy", t.view()), UsageError);
  }
  CHECK(folder.n_entries() == 0);
}
