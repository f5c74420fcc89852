// The trained models that travel inside the library, byte for byte as lessons/train wrote them.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace lastrow {

struct BuiltinFile {
  std::string_view name;             // "fable-gqa"
  std::span<const std::byte> bytes;  // a safetensors file, 64-byte aligned, alive as long as the program
};

/// In the order in which they are to be listed.
std::span<const BuiltinFile> builtin_files();

}  // namespace lastrow
