// How much memory is still free. A program checks it once, before it starts work that may not fit.
//
//   require_memory(bytes, "random:layers=90 (its weights)", "use fewer layers");
//
// The system hands out more memory than it has, and later kills a program in the middle of its work. So a
// model that is too large is refused here, with one line, before any memory is allocated for it.
//
// Never call this for every allocation, because it reads a few files.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace lastrow {

/// Bytes that this process may still use: the smaller of the system's estimate and what the limit of the
/// control group leaves. Empty if the system gives neither.
std::optional<int64_t> available_memory_bytes();

/// Throws CapacityError "WHAT needs 12.0 GB of memory (… bytes), but 5.3 GB are available: HINT" if `bytes`
/// are more than that.
void require_memory(int64_t bytes, std::string_view what, std::string_view hint);

}  // namespace lastrow
