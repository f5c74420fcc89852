// What must hold for any bytes whatsoever: each loader loads them, and then all of it can be read, or throws
// a FileError of one line that names the source. Used by the seeded mutations and by libFuzzer (fuzz/).
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace lastrow::test {

/// Whether the bytes loaded. Aborts (LASTROW_CHECK) if a promise is broken; any other exception goes through.
bool load_safetensors(std::span<const std::byte> bytes);
bool load_npy(std::span<const std::byte> bytes);
bool load_json(std::span<const std::byte> bytes);

}  // namespace lastrow::test
