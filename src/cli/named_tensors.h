// The tensors of a safetensors or .npz file, by their names.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "io/npz.h"
#include "io/safetensors.h"

namespace lastrow::cli {

class NamedTensors {
 public:
  explicit NamedTensors(const std::filesystem::path& path) {
    if (path.extension() == ".npz")
      npz_ = NpzFile::open(path);
    else
      safetensors_ = SafetensorsFile::open(path);
  }
  const std::string& source() const { return npz_ ? npz_->source() : safetensors_->source(); }
  bool has(const char* name) const { return npz_ ? npz_->has(name) : safetensors_->has(name); }
  /// Valid until the next call.
  ConstTensorView tensor(const char* name) {
    if (!npz_) return safetensors_->tensor(name);
    array_ = npz_->tensor(name);
    return std::as_const(array_).view();
  }
  const std::string* metadata(const char* key) const {
    if (npz_) return nullptr;
    const auto found = safetensors_->metadata().find(key);
    return found == safetensors_->metadata().end() ? nullptr : &found->second;
  }

 private:
  std::optional<NpzFile> npz_;
  std::optional<SafetensorsFile> safetensors_;
  Tensor array_;
};

}  // namespace lastrow::cli
