// The trained models that are built into the library, as the bytes of the files that lessons/train wrote.
//
//   for (const BuiltinFile& file : builtin_files()) …     to use a model, call load_model (model/model.h)
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace lastrow {

struct BuiltinFile {
  std::string_view name;             // "fable-gqa"
  std::span<const std::byte> bytes;  // a safetensors file, 64-byte aligned, valid until the program ends
};

/// In the order in which lists show them.
std::span<const BuiltinFile> builtin_files();

}  // namespace lastrow
