// The devices that this program can run the ladder on.
#pragma once

#include <memory>
#include <string>

#include "gpu/driver/runner.h"

namespace lastrow::driver {

/// Why no GPU can be used; empty if there is one.
std::string why_no_gpu();

/// target is "emulated" or, if why_no_gpu() is empty, "cuda".
std::unique_ptr<Runner> make_runner(const std::string& target, const OwnRung& own = {});

}  // namespace lastrow::driver
