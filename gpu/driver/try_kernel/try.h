// lastrow-kernels --template and --try FILE: a kernel of one's own beside the ladder.
//
//   print(template_text());
//   return try_kernel(options, target);       the exit status
//
// The file is compiled for the emulator, checked against naive-f64 and counted. Where target is "cuda" it is
// also compiled with nvcc, checked on the GPU and timed.
#pragma once

#include <string>
#include <string_view>

#include "gpu/driver/options.h"

namespace lastrow::driver {

/// A complete kernel file: own/template.cu.
std::string_view template_text();

/// target is "emulated" or, if why_no_gpu() is empty, "cuda". --target cuda leaves the emulator out. Returns 0
/// if the kernel held its bounds, and 1 if it did not, or never ended, or ended the process that ran it.
/// Throws what add_rung() throws (library.h).
int try_kernel(const Options& o, const std::string& target);

}  // namespace lastrow::driver
