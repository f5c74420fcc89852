// .npz files: what numpy.savez writes, byte for byte, and what is refused.
#include <doctest/doctest.h>

#include <string>

#include "io/npz.h"
#include "tests/io/files.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

std::string bytes_of_number(uint64_t x, int n) {
  std::string bytes;
  for (int i = 0; i < n; ++i) bytes += static_cast<char>(x >> (8 * i) & 0xFF);
  return bytes;
}

/// An archive of one array "q" = [1, 2], f32, as numpy.savez writes it: its local header has a zip64 extra.
std::string archive(int method = 0, uint32_t checksum = 0x2de3387f) {
  std::string npy("\x93NUMPY\x01\x00\x46\x00", 10);
  npy += "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
  npy.resize(79, ' ');
  npy += '\n';
  npy += std::string("\x00\x00\x80\x3f\x00\x00\x00\x40", 8);
  const std::string extra = bytes_of_number(1, 2) + bytes_of_number(16, 2) + bytes_of_number(npy.size(), 8) +
                            bytes_of_number(npy.size(), 8);
  std::string local = "PK\x03\x04" + bytes_of_number(45, 2) + bytes_of_number(0, 2) +
                      bytes_of_number(static_cast<uint64_t>(method), 2) + bytes_of_number(0, 4) +
                      bytes_of_number(checksum, 4) + std::string(8, '\xff') + bytes_of_number(5, 2) +
                      bytes_of_number(extra.size(), 2) + "q.npy" + extra + npy;
  std::string entry = "PK\x01\x02" + bytes_of_number(45, 2) + bytes_of_number(45, 2) + bytes_of_number(0, 2) +
                      bytes_of_number(static_cast<uint64_t>(method), 2) + bytes_of_number(0, 4) +
                      bytes_of_number(checksum, 4) + bytes_of_number(npy.size(), 4) +
                      bytes_of_number(npy.size(), 4) + bytes_of_number(5, 2) + std::string(16, '\0') +
                      "q.npy";
  return local + entry + "PK\x05\x06" + std::string(4, '\0') + bytes_of_number(1, 2) + bytes_of_number(1, 2) +
         bytes_of_number(entry.size(), 4) + bytes_of_number(local.size(), 4) + std::string(2, '\0');
}

}  // namespace

TEST_CASE("an array of an .npz by its name") {
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

TEST_CASE("archives that are compressed, damaged or none") {
  TemporaryFolder folder;
  const auto load = [&](const std::string& bytes) {
    put(folder / "a.npz", bytes);
    return NpzFile::open(folder / "a.npz").tensor("q");
  };
  CHECK_FILE_ERROR(load(archive(8)), "is compressed", "numpy.savez instead of savez_compressed");
  CHECK_FILE_ERROR(load(archive(0, 1)), "does not match its checksum");
  CHECK_FILE_ERROR(load("not a zip archive, though it is long enough"), "is no zip archive");
  const std::string whole = archive();
  for (size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    CHECK_FILE_ERROR(load(whole.substr(0, n)), "a.npz");
  }
  for (size_t i = 0; i < whole.size(); ++i) {  // any byte turned round: an error or the array, never a crash
    std::string spoilt = whole;
    spoilt[i] = static_cast<char>(~spoilt[i]);
    try {
      load(spoilt);
    } catch (const FileError&) {
    }
  }
}
