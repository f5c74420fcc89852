// What each loader must do with any bytes: load them, so that everything in them can be read, or throw a
// one-line FileError that names the source. The seeded mutations and libFuzzer (fuzz/) use this.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace lastrow::test {

/// Returns whether the bytes could be loaded. Aborts (LASTROW_CHECK) if the loader breaks a promise. Does not
/// catch other exceptions.
bool load_safetensors(std::span<const std::byte> bytes);
bool load_npy(std::span<const std::byte> bytes);
bool load_json(std::span<const std::byte> bytes);

}  // namespace lastrow::test
