// Which devices this program can run the ladder on.
#pragma once

#include <memory>
#include <string>

#include "gpu/driver/runner.h"

namespace lastrow::driver {

/// Empty if there is a GPU that can be used.
std::string why_no_gpu();

/// target is "cuda", which why_no_gpu() must allow, or "emulated".
std::unique_ptr<Runner> make_runner(const std::string& target);

}  // namespace lastrow::driver
