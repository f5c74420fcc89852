// Safetensors files: named tensors and some text, in one file that every framework can open.
//
//   SafetensorsFile file = SafetensorsFile::open("model.safetensors");
//   for (const std::string& name : file.names()) …        in the order of their data
//   ConstTensorView w = file.tensor("lm_head.weight");    valid as long as `file` exists, also after a move
//
//   SafetensorsWriter writer;
//   writer.add("q", q.view());            q must exist, unchanged, until write() returns
//   writer.metadata("causal", "true");
//   writer.write("out.safetensors");      whole or not at all (io/atomic_file.h)
//   writer.write(file);                   the same into an AtomicFile, which the caller commits
//
// The format is:
//   8 bytes           length of the header (u64, little endian)
//   header            JSON {name: {dtype, shape, data_offsets}}
//   data              the tensors, without holes between them
// Source: the format section of the safetensors project's README.
//
// The whole header is checked before any tensor is used. Each kind of error has its own one-line FileError.
// What can be read: F64 F32 F16 BF16 F8_E4M3 I64 I32 I8 U8, and BOOL as u8; at most Shape::kMaxRank
// dimensions. A file may also hold other tensors: only tensor() of such a name throws.
// Invariant: every view lies within its file's data and is aligned to its element.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace lastrow {

class AtomicFile;

class SafetensorsFile {
 public:
  /// Reads the whole file into memory. So later changes of the file do not matter. Throws CapacityError if
  /// the file is valid but does not fit.
  static SafetensorsFile open(const std::filesystem::path& path);
  /// Uses embedded bytes in place. The caller keeps `bytes`, which must outlive the result. A tensor whose
  /// elements are not aligned is copied. No tensor is copied if bytes.data() is a multiple of 8 and the
  /// file's writer aligned the data, as SafetensorsWriter does. Messages start with `source`.
  static SafetensorsFile from_bytes(std::span<const std::byte> bytes, std::string source);

  const std::string& source() const { return source_; }
  const std::vector<std::string>& names() const { return names_; }
  bool has(std::string_view name) const { return tensors_.contains(name) || unreadable_.contains(name); }
  /// Throws FileError if there is no tensor of that name (the message lists some names), or if its dtype or
  /// number of dimensions cannot be read.
  ConstTensorView tensor(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  struct Header;
  static Header read_header(std::string_view text, int64_t data_bytes, const std::string& source);
  SafetensorsFile(Header header, std::span<const std::byte> data, std::string source);

  std::string source_;
  std::vector<std::string> names_;
  std::map<std::string, ConstTensorView, std::less<>> tensors_;
  std::map<std::string, std::string, std::less<>> unreadable_;  // name → what tensor() throws
  std::map<std::string, std::string> metadata_;
  std::vector<Tensor> owned_;  // the data of open(), and the tensors copied for alignment
};

class SafetensorsWriter {
 public:
  /// Throws UsageError if the name is already used, reserved or not UTF-8.
  void add(const std::string& name, ConstTensorView tensor);
  /// Adds one tensor that consists of the rows of several tensors, in order. Their dtypes and all dimensions
  /// but the first must be equal.
  void add_rows(const std::string& name, std::vector<ConstTensorView> parts);
  /// Replaces an earlier value of the key.
  void metadata(const std::string& key, const std::string& value);
  /// Orders the tensors by element size, largest first, so that each is aligned. Tensors with equal element
  /// size keep the order of add().
  void write(const std::filesystem::path& path) const;
  void write(AtomicFile& file) const;

 private:
  struct Entry {
    std::string name;
    DType dtype;
    Shape shape;
    std::vector<ConstTensorView> parts;
  };
  std::vector<Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace lastrow
