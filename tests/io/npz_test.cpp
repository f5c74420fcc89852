// .npz files: what numpy.savez writes, byte for byte, and what is refused.
#include <doctest/doctest.h>

#include <string>

#include "io/npz.h"
#include "tests/io/files.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

std::string little_endian(uint64_t x, int n) {
  std::string bytes;
  for (int i = 0; i < n; ++i) bytes += static_cast<char>(x >> (8 * i) & 0xFF);
  return bytes;
}

/// An archive with one array "q" = [1, 2], f32, as numpy.savez writes it: the local header has a zip64 field.
std::string archive(int method = 0, uint32_t checksum = 0x2de3387f) {
  std::string npy("\x93NUMPY\x01\x00\x46\x00", 10);
  npy += "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
  npy.resize(79, ' ');
  npy += '\n';
  npy += std::string("\x00\x00\x80\x3f\x00\x00\x00\x40", 8);
  const std::string extra = little_endian(1, 2) + little_endian(16, 2) + little_endian(npy.size(), 8) +
                            little_endian(npy.size(), 8);
  std::string local = "PK\x03\x04" + little_endian(45, 2) + little_endian(0, 2) +
                      little_endian(static_cast<uint64_t>(method), 2) + little_endian(0, 4) +
                      little_endian(checksum, 4) + std::string(8, '\xff') + little_endian(5, 2) +
                      little_endian(extra.size(), 2) + "q.npy" + extra + npy;
  std::string entry = "PK\x01\x02" + little_endian(45, 2) + little_endian(45, 2) + little_endian(0, 2) +
                      little_endian(static_cast<uint64_t>(method), 2) + little_endian(0, 4) +
                      little_endian(checksum, 4) + little_endian(npy.size(), 4) +
                      little_endian(npy.size(), 4) + little_endian(5, 2) + std::string(16, '\0') + "q.npy";
  return local + entry + "PK\x05\x06" + std::string(4, '\0') + little_endian(1, 2) + little_endian(1, 2) +
         little_endian(entry.size(), 4) + little_endian(local.size(), 4) + std::string(2, '\0');
}

}  // namespace

TEST_CASE("reading an array of an .npz file by name") {
  TemporaryFolder folder;
  put(folder / "a.npz", archive());
  const NpzFile file = NpzFile::open(folder / "a.npz");
  CHECK(file.has("q"));
  CHECK_FALSE(file.has("k"));
  const Tensor q = file.tensor("q");
  CHECK(q.shape() == Shape{2});
  CHECK(q.data<float>()[0] == 1);
  CHECK(q.data<float>()[1] == 2);
  CHECK_FILE_ERROR(file.tensor("k"), "a.npz: has no array \"k\"; it has \"q\"");
}

TEST_CASE("archives that are compressed or damaged, and files that are not archives") {
  TemporaryFolder folder;
  const auto load = [&](const std::string& bytes) {
    put(folder / "a.npz", bytes);
    return NpzFile::open(folder / "a.npz").tensor("q");
  };
  CHECK_FILE_ERROR(load(archive(8)), "is compressed", "numpy.savez instead of savez_compressed");
  CHECK_FILE_ERROR(load(archive(0, 1)), "does not match its checksum");
  CHECK_FILE_ERROR(load("not a zip archive, though it is long enough"), "is not a zip archive");
  const std::string whole = archive();
  for (size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    CHECK_FILE_ERROR(load(whole.substr(0, n)), "a.npz");
  }
  for (size_t i = 0; i < whole.size(); ++i) {  // invert any byte: an error or the array, never a crash
    std::string spoilt = whole;
    spoilt[i] = static_cast<char>(~spoilt[i]);
    try {
      load(spoilt);
    } catch (const FileError&) {
    }
  }
}
