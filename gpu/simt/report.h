// Traffic as a table for people: a paragraph a kernel, a line a source line.
#pragma once

#include <span>
#include <string>

#include "gpu/simt/traffic.h"

namespace lastrow::simt {

/// Empty if nothing was counted.
std::string report(std::span<const KernelTraffic> kernels);

}  // namespace lastrow::simt
