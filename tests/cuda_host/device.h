// What a test of CUDA's host code begins with and leaves behind.
#pragma once

#include <doctest/doctest.h>

#include "cuda_host/checked_cuda.h"

namespace lastrow {

/// A device of the test's own, which is to be left empty and without a mistake.
class Device {
 public:
  explicit Device(const checked_cuda::Claims& claims = {}) { checked_cuda::reset(claims); }
  ~Device() {
    for (const std::string& mistake : checked_cuda::mistakes()) FAIL_CHECK(mistake);
    CHECK(checked_cuda::counts().n_live == 0);
    CHECK(checked_cuda::counts().bytes_in_use == 0);
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
};

}  // namespace lastrow
