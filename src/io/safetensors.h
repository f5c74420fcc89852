// Safetensors files: named tensors and a few lines of text, in one file that every framework opens.
//
//   SafetensorsFile file = SafetensorsFile::open("model.safetensors");
//   for (const std::string& name : file.names()) …        in the order of their data
//   ConstTensorView w = file.tensor("lm_head.weight");    valid as long as `file` lives, also after a move
//
//   SafetensorsWriter writer;
//   writer.add("q", q.view());          q must live, unchanged, until write() has returned
//   writer.metadata("causal", "true");
//   writer.write("out.safetensors");    whole or not at all (io/atomic_file.h)
//   writer.write(file);                 the same into an AtomicFile, which the caller commits
//
// Format: header length (u64, little endian), that many bytes of JSON {name: {dtype, shape, data_offsets}},
// then the data without holes. Source: the format section of the safetensors project's README.
//
// A file is checked whole before anything of it is used: each way in which it can be wrong gives its own
// one-line FileError. Invariant: every view lies within its file's data and is aligned to its element.
// Dtypes F64 F32 F16 BF16 F8_E4M3 I64 I32 I8 U8, and BOOL, which is read as u8; at most Shape::kMaxRank
// dimensions. A tensor of another dtype or of more dimensions may stand beside those that are used: only
// tensor() of its name throws.
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
  /// Reads the whole file into memory of its own, so that later changes of the file cannot be seen. Throws
  /// CapacityError if a file that is right does not fit.
  static SafetensorsFile open(const std::filesystem::path& path);
  /// Reads embedded bytes in place: `bytes` stay the caller's and must outlive the result. A tensor whose
  /// elements do not lie aligned is copied; none is if bytes.data() is a multiple of 8 and the file's writer
  /// aligned its data, as SafetensorsWriter does. `source` is the name that messages start with.
  static SafetensorsFile from_bytes(std::span<const std::byte> bytes, std::string source);

  const std::string& source() const { return source_; }
  const std::vector<std::string>& names() const { return names_; }
  bool has(std::string_view name) const { return tensors_.contains(name) || unreadable_.contains(name); }
  /// Throws FileError if there is none of that name, naming some of those there are, and for one of a dtype or
  /// rank that is not read.
  ConstTensorView tensor(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  struct Header;
  static Header read_header(std::string_view text, int64_t data_bytes, const std::string& source);
  SafetensorsFile(Header header, std::span<const std::byte> data, std::string source);

  std::string source_;
  std::vector<std::string> names_;
  std::map<std::string, ConstTensorView, std::less<>> tensors_;
  std::map<std::string, std::string, std::less<>> unreadable_;  // why, by name
  std::map<std::string, std::string> metadata_;
  std::vector<Tensor> owned_;  // the data that was read, and the tensors copied for alignment
};

class SafetensorsWriter {
 public:
  /// Throws UsageError if the name is taken, reserved or not UTF-8.
  void add(const std::string& name, ConstTensorView tensor);
  /// One tensor from the rows of many, in order; they agree in dtype and in every dimension but the first.
  void add_rows(const std::string& name, std::vector<ConstTensorView> parts);
  /// Replaces what the key held before.
  void metadata(const std::string& key, const std::string& value);
  /// Tensors are laid out by falling element size, then in the order of add(), so that each is aligned.
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
