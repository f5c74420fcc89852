// The only way to start a kernel under the emulator. cuda_launch.h has the same interface for a GPU.
//
//   launch(Kernel{"k05_vector_loads", k05_vector_loads<float, 64>}, grid, block, shared_bytes, stream, args…)
//
// Arguments are copied to every thread, as on a GPU. It returns when all blocks have run, or at once if the
// device keeps launches (device.h). Throws SimtError.
#pragma once

#include "gpu/simt/device.h"
#include "gpu/target/stream.h"

namespace lastrow::emulated {

using gpu::Begins;  // has no effect: here two kernels never run at the same time
using gpu::Kernel;
using simt::Dim3;

template <typename... Parameters, typename... Arguments>
void launch(Kernel<Parameters...> kernel, Dim3 grid, Dim3 block, int64_t shared_bytes, Stream stream,
            const Arguments&... arguments) {
  const auto run = [=] {
    stream->run({kernel.name, grid, block, shared_bytes}, [&] { kernel.function(arguments...); });
  };
  if (auto* const kept = stream->kept_launches())
    kept->emplace_back(run);
  else
    run();
}

}  // namespace lastrow::emulated
