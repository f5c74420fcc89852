// NumPy's .npz files. Each holds several arrays with names; numpy.savez writes them.
//
//   NpzFile file = NpzFile::open("qkv.npz");
//   Tensor q = file.tensor("q");                the array that savez(…, q=…) wrote
//
// A .npz file is a zip archive of .npy files (io/npy.h says which arrays can be read). It must not be
// compressed, and must not be larger than 4 GiB. numpy.savez_compressed writes compressed files; for those a
// FileError says what to do. tensor() decodes only the array that it returns, and checks its checksum.
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
  /// Throws FileError if the file has no array of that name. The message lists the names that it has.
  Tensor tensor(std::string_view name) const;

 private:
  struct Entry {
    int64_t header;  // where the local header begins
    int64_t bytes;   // size of the data
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
