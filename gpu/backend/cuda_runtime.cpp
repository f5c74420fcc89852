#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <nvtx3/nvToolsExt.h>

#include <map>

#include "gpu/backend/device_backend.h"
#include "gpu/cuda_backend.h"
#include "gpu/kernels/cuda_error.h"

namespace lastrow {
namespace cuda {
namespace {

constexpr int kLeastMajor = 8;  // the oldest architecture that kernels are compiled for

void check_cublas(cublasStatus_t status, const char* expression) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw Error("{} failed with {}: update the driver, or use another backend", expression,
                cublasGetStatusString(status));
}

double gib(size_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

class DeviceMemory final : public Memory {
 public:
  void* allocate(size_t bytes) override {
    void* data = nullptr;
    const cudaError_t code = cudaMalloc(&data, bytes == 0 ? 1 : bytes);
    if (code == cudaErrorMemoryAllocation) {
      size_t free = 0, total = 0;
      cudaGetLastError();  // out of memory is no lasting state
      cudaMemGetInfo(&free, &total);
      throw CapacityError(
          "{:.2f} GiB of device memory asked for, {:.2f} of {:.2f} GiB are free: use a shorter "
          "context, fewer sequences or a narrower K/V dtype",
          gib(bytes), gib(free), gib(total));
    }
    LASTROW_CUDA(code);
    return data;
  }
  void free(void* data) noexcept override { cudaFree(data); }
};

Memory& device_memory() {
  static DeviceMemory memory;  // outlives every tensor in it
  return memory;
}

class CudaRuntime final : public Runtime {
 public:
  CudaRuntime() {
    if (const std::string why = why_no_cuda(); !why.empty())
      throw UsageError("backend 'cuda' cannot be used: {}", why);
    LASTROW_CUDA(cudaGetDeviceProperties(&properties_, 0));
    LASTROW_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    check_cublas(cublasCreate(&cublas_), "cublasCreate");
    check_cublas(cublasSetStream(cublas_, stream_), "cublasSetStream");
  }
  ~CudaRuntime() override {
    for (const auto& [key, graph] : graphs_) cudaGraphExecDestroy(graph);
    cublasDestroy(cublas_);
    cudaStreamDestroy(stream_);
  }

  const char* name() const override { return "cuda"; }
  std::string description() const override {
    return fmt::format("kernels on an NVIDIA GPU: {}, compute capability {}.{}, {:.0f} GiB", properties_.name,
                       properties_.major, properties_.minor, gib(properties_.totalGlobalMem));
  }
  int32_t n_threads() const override { return 1; }
  int32_t n_multiprocessors() const override { return properties_.multiProcessorCount; }

  Memory& memory() override { return device_memory(); }
  bool in_host_memory() const override { return false; }
  Stream stream() override { return stream_; }
  void to_device(void* device, const void* host, int64_t bytes) override {
    // From pageable memory: the call returns once the bytes are in the driver's own buffer.
    LASTROW_CUDA(cudaMemcpyAsync(device, host, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream_));
  }
  void to_host(void* host, const void* device, int64_t bytes) override {
    LASTROW_CUDA(cudaMemcpyAsync(host, device, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost, stream_));
    LASTROW_CUDA(cudaStreamSynchronize(stream_));
  }
  void on_device(void* to, const void* from, int64_t bytes) override {
    LASTROW_CUDA(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, stream_));
  }

  /// Row-major out [n, o] = x [n, i] · weightᵀ is column-major outᵀ = (weight as stored)ᵀ · (x as stored).
  void linear(ConstTensorView x, ConstTensorView weight, TensorView out) override {
    const float one = 1, zero = 0;
    const auto n = static_cast<int>(x.dim(0)), in = static_cast<int>(x.dim(1)),
               o = static_cast<int>(weight.dim(0));
    check_cublas(cublasSgemm(cublas_, CUBLAS_OP_T, CUBLAS_OP_N, o, n, in, &one, weight.data<float>(), in,
                             x.data<float>(), in, &zero, out.data<float>(), o),
                 "cublasSgemm");
  }

  /// Records on the first call with a key, replays on later ones.
  void replay(int64_t key, FunctionRef<void()> ops) override {
    const auto known = graphs_.find(key);
    if (known == graphs_.end()) {
      cudaGraph_t graph = nullptr;
      LASTROW_CUDA(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
      try {
        ops();
      } catch (...) {
        cudaStreamEndCapture(stream_, &graph);
        if (graph != nullptr) cudaGraphDestroy(graph);
        throw;
      }
      LASTROW_CUDA(cudaStreamEndCapture(stream_, &graph));
      cudaGraphExec_t recorded = nullptr;
      const cudaError_t code = cudaGraphInstantiate(&recorded, graph, 0);
      cudaGraphDestroy(graph);
      LASTROW_CUDA(code);
      LASTROW_CUDA(cudaGraphLaunch(graphs_.emplace(key, recorded).first->second, stream_));
      return;
    }
    LASTROW_CUDA(cudaGraphLaunch(known->second, stream_));
  }

  void begin_range(Site site) override {
    // "L3 attend": the layer where there is one, then the operation.
    const std::string label =
        site.layer < 0 ? std::string(site.name) : fmt::format("L{} {}", site.layer, site.name);
    nvtxRangePushA(label.c_str());
  }
  void end_range() override { nvtxRangePop(); }

 private:
  cudaDeviceProp properties_{};
  cudaStream_t stream_ = nullptr;
  cublasHandle_t cublas_ = nullptr;
  std::map<int64_t, cudaGraphExec_t> graphs_;
};

}  // namespace

std::unique_ptr<Runtime> make_runtime(const gpu::DeviceOptions&) { return std::make_unique<CudaRuntime>(); }

}  // namespace cuda

std::string why_no_cuda() {
  int driver = 0, n_devices = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return "no NVIDIA driver is installed";
  if (const cudaError_t code = cudaGetDeviceCount(&n_devices); code != cudaSuccess) {
    cudaGetLastError();
    return fmt::format("{}", cudaGetErrorString(code));
  }
  if (n_devices == 0) return "no NVIDIA GPU is visible";
  cudaDeviceProp properties{};
  if (cudaGetDeviceProperties(&properties, 0) != cudaSuccess) return "the GPU does not answer";
  if (properties.major < cuda::kLeastMajor)
    return fmt::format("{} has compute capability {}.{}: {}.0 or later is needed", properties.name,
                       properties.major, properties.minor, cuda::kLeastMajor);
  return "";
}

std::unique_ptr<Backend> make_cuda_backend(const gpu::DeviceOptions& options) {
  return std::make_unique<cuda::DeviceBackend>(options);
}

}  // namespace lastrow
