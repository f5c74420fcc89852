// Work of a stream, recorded once and run any number of times.
//
//   CudaGraph graph(stream, [&] { … });     records what this puts on the stream, and does not run it
//   graph.launch(stream);
//
// The recorded function must not allocate, free or wait. If it throws, the recording ends and the stream is
// usable again.
#pragma once

#include <cuda_runtime_api.h>

#include "core/function_ref.h"
#include "gpu/target/cuda_error.h"

namespace lastrow::cuda {

class CudaGraph {
 public:
  CudaGraph(cudaStream_t stream, FunctionRef<void()> work) {
    Capture capture(stream);
    work();
    LASTROW_CUDA(cudaGraphInstantiate(&graph_, capture.end(), 0));
  }
  ~CudaGraph() { cudaGraphExecDestroy(graph_); }
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;
  void launch(cudaStream_t stream) { LASTROW_CUDA(cudaGraphLaunch(graph_, stream)); }

 private:
  /// The stream records from its construction to end().
  class Capture {
   public:
    explicit Capture(cudaStream_t stream) : stream_(stream) {
      LASTROW_CUDA(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
    }
    ~Capture() {
      if (!ended_) {  // work() has thrown
        cudaStreamEndCapture(stream_, &graph_);
        cudaGetLastError();
      }
      if (graph_ != nullptr) cudaGraphDestroy(graph_);
    }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    cudaGraph_t end() {
      ended_ = true;
      LASTROW_CUDA(cudaStreamEndCapture(stream_, &graph_));
      return graph_;
    }

   private:
    cudaStream_t stream_;
    cudaGraph_t graph_ = nullptr;
    bool ended_ = false;
  };

  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace lastrow::cuda
