// How a test of CUDA host code begins and ends.
#pragma once

#include <doctest/doctest.h>

#include "cuda_host/checked_cuda.h"

namespace lastrow {

/// The test's own device. At the end it must be empty and without mistakes.
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
