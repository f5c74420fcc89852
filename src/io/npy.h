// NumPy's .npy files: one array each, as numpy.save writes and numpy.load reads.
//
//   Tensor a = read_npy("a.npy");      write_npy("b.npy", b.view());
//
// Read: versions 1.0 and 2.0; '<f8' '<f4' '<f2' '<i8' '<i4' '|i1' '|u1'; C order; at most Shape::kMaxRank
// dimensions. Anything else (big endian, Fortran order, objects, structures, bytes after the data) throws a
// FileError that says what numpy call makes a readable file of it.
// Source: numpy.lib.format in NumPy's documentation.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "core/tensor.h"

namespace lastrow {

Tensor read_npy(const std::filesystem::path& path);
/// The same from memory, which is copied. `source` is the name that messages start with.
Tensor npy_from_bytes(std::span<const std::byte> bytes, const std::string& source);
/// Replaces the file whole or not at all. Throws UsageError for bf16 and fp8, which NumPy does not have.
void write_npy(const std::filesystem::path& path, ConstTensorView tensor);

}  // namespace lastrow
