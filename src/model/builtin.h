// The trained models that are built into the library, as the bytes of the files that lessons/train wrote, and
// texts to measure them with.
//
//   for (const BuiltinFile& file : builtin_files()) …     to use a model, call load_model (model/model.h)
//   std::string_view text = held_out_text();              fables that no built-in model was trained on
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

/// 16 fables of 256 tokens, the context of the built-in models. An empty line separates two fables. They are
/// from the grammar of the training, but from a seed that no training uses (lessons/train/evaluate.h).
std::string_view held_out_text();

}  // namespace lastrow
