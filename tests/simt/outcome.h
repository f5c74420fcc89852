// Runs a kernel under all checks of the emulator and says how it ended.
//
//   const Outcome o = run(kernel, n_threads, args…);    one block; 256 bytes of dynamic shared memory
//   o.found   o.finding   o.message
#pragma once

#include <string>

#include "gpu/target/emulated_launch.h"

namespace lastrow::emulated {

using simt::Finding;

constexpr uint32_t kAll = 0xFFFFFFFFu;  // all lanes of a warp

/// The error that the kernel ended with, or none.
struct Outcome {
  bool found = false;
  Finding finding{};
  std::string message;
};

template <typename... Parameters, typename... Arguments>
Outcome run(void (*function)(Parameters...), uint32_t n_threads, const Arguments&... arguments) {
  simt::Device device(1);
  device.watch({.check = true});
  try {
    launch(Kernel{"broken", function}, {1}, {n_threads}, 256, &device, arguments...);
  } catch (const simt::SimtError& error) {
    return {true, error.finding, error.what()};
  }
  return {};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace lastrow::emulated
