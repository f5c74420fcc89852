// Traffic as a table for people: one paragraph per kernel, one line per source line.
#pragma once

#include <span>
#include <string>

#include "gpu/simt/traffic.h"

namespace lastrow::simt {

/// Empty if nothing was counted.
std::string report(std::span<const KernelTraffic> kernels);

}  // namespace lastrow::simt
