#include "gpu/driver/device.h"

#include "core/error.h"
#if LASTROW_WITH_CUDA
#include "gpu/cuda_backend.h"
#endif

namespace lastrow::driver {

std::string why_no_gpu() {
#if LASTROW_WITH_CUDA
  return why_no_cuda();
#else
  return "this build has no CUDA: no toolkit was found";
#endif
}

std::unique_ptr<Runner> make_runner(const std::string& target, const OwnRung& own) {
#if LASTROW_WITH_CUDA
  if (target == "cuda") return cuda::make_runner(own);
#endif
  LASTROW_CHECK(target == "emulated", "target {}", target);
  return emulated::make_runner(own);
}

}  // namespace lastrow::driver
