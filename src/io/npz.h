// NumPy's .npz files: several arrays under their names, as numpy.savez writes them.
//
//   NpzFile file = NpzFile::open("qkv.npz");
//   Tensor q = file.tensor("q");              the array that savez(…, q=…) wrote
//
// A .npz is a zip archive of .npy files (io/npy.h says which arrays are read). Archives that are not
// compressed are read, up to 4 GiB; numpy.savez_compressed writes the other kind, and a FileError says so.
// Only what is asked for is decoded; its checksum is compared.
// Source: PKWARE's .ZIP file format specification, APPNOTE 6.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "core/tensor.h"

namespace lastrow {

class NpzFile {
 public:
  static NpzFile open(const std::filesystem::path& path);
  const std::string& source() const { return source_; }
  bool has(std::string_view name) const { return entries_.contains(name); }
  /// Throws FileError naming those there are, if there is none of that name.
  Tensor tensor(std::string_view name) const;

 private:
  struct Entry {
    int64_t header, bytes;  // where its local header begins; of its data
    uint32_t checksum;
    bool compressed;
  };
  NpzFile() = default;
  void read_directory();

  std::string source_;
  Tensor bytes_;  // u8, the whole file
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace lastrow
