// Notes what each launch uses of the device, for the timer.
//
//   std::vector<LaunchNote> notes;
//   note_launches(&notes);  rung.launch(call, stream);  note_launches(nullptr);
#pragma once

#include <cstdint>
#include <vector>

namespace lastrow::cuda {

struct LaunchNote {
  const char* kernel;
  int32_t registers;     // per thread
  int64_t shared_bytes;  // per block, static and dynamic
};

/// Adds this thread's launches to *notes, until it is called with null.
void note_launches(std::vector<LaunchNote>* notes);

}  // namespace lastrow::cuda
