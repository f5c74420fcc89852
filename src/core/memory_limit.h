// How much memory there still is: asked once, before a program begins what it could not finish.
//
//   require_memory(bytes, "random:layers=90 (its weights)", "use fewer layers");
//
// The system hands out more memory than it has and stops a program later, in the middle of its work. A large
// model is therefore refused here, in one line, before anything is made of it. Not for every allocation: it
// reads a few files.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace lastrow {

/// Bytes that this process may still use, by the system's own estimate and the limit of its control group;
/// none where the system does not say.
std::optional<int64_t> available_memory_bytes();

/// Throws CapacityError "WHAT needs 12.0 GB of memory, 5.3 GB are available: HINT" if they are fewer.
void require_memory(int64_t bytes, std::string_view what, std::string_view hint);

}  // namespace lastrow
