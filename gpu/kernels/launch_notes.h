// What each launch takes of the device, for whoever measures.
//
//   std::vector<LaunchNote> notes;
//   note_launches(&notes);  rung.launch(call, stream);  note_launches(nullptr);
#pragma once

#include <cstdint>
#include <vector>

namespace lastrow::cuda {

struct LaunchNote {
  const char* kernel;
  int32_t registers;     // of a thread
  int64_t shared_bytes;  // of a block, static and dynamic
};

/// Notes this thread's launches until it is called with null.
void note_launches(std::vector<LaunchNote>* notes);

}  // namespace lastrow::cuda
