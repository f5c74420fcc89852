// NumPy's .npy files. Each holds one array; numpy.save writes them and numpy.load reads them.
//
//   Tensor a = read_npy("a.npy");
//   write_npy("b.npy", b.view());
//
// What can be read:
//   versions      1.0 and 2.0
//   types         '<f8' '<f4' '<f2' '<i8' '<i4' '|i1' '|u1'
//   order         C order
//   dimensions    at most Shape::kMaxRank
// Anything else throws FileError: big endian, Fortran order, objects, structures, bytes after the data. The
// message says which NumPy call makes a readable file.
// Source: numpy.lib.format in NumPy's documentation.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "core/tensor.h"

namespace lastrow {

Tensor read_npy(const std::filesystem::path& path);
/// The same from memory. The bytes are copied. Messages start with `source`.
Tensor npy_from_bytes(std::span<const std::byte> bytes, const std::string& source);
/// Writes through an AtomicFile. Throws UsageError for bf16 and fp8, which NumPy does not have.
void write_npy(const std::filesystem::path& path, ConstTensorView tensor);

}  // namespace lastrow
