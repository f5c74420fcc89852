#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <nvtx3/nvToolsExt.h>

#include <utility>

#include "gpu/backend/cuda_graph.h"
#include "gpu/backend/device_backend.h"
#include "gpu/cuda_backend.h"

namespace lastrow {
namespace cuda {
namespace {

constexpr int kLeastMajor = 8;  // the oldest architecture that kernels are compiled for

constexpr int64_t kWorkspaceBytes = int64_t{32} << 20;  // cuBLAS's own choice on a compute capability of 9.0

void check_cublas(cublasStatus_t status, const char* expression) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw Error("{} failed with {}: update the driver, or use another backend", expression,
                cublasGetStatusString(status));
}

double gib(size_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

class CudaMemory final : public DeviceMemory {
  void* take(size_t bytes) override {
    void* data = nullptr;
    const cudaError_t code = cudaMalloc(&data, bytes);
    if (code == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // out of memory is no lasting state
      return nullptr;
    }
    LASTROW_CUDA(code);
    return data;
  }
  void give_back(void* data) noexcept override { cudaFree(data); }
  std::pair<int64_t, int64_t> free_and_total() const override {
    size_t free = 0, total = 0;
    LASTROW_CUDA(cudaMemGetInfo(&free, &total));
    return {static_cast<int64_t>(free), static_cast<int64_t>(total)};
  }
};

struct CudaRecording final : Recording {
  CudaRecording(cudaStream_t stream, FunctionRef<void()> ops) : graph(stream, ops) {}
  CudaGraph graph;
};

class CudaRuntime final : public Runtime {
 public:
  CudaRuntime() {
    if (const std::string why = why_no_cuda(); !why.empty())
      throw UsageError("backend 'cuda' cannot be used: {}", why);
    LASTROW_CUDA(cudaGetDeviceProperties(&properties_, 0));
    workspace_ = Tensor(*memory_, DType::u8, {kWorkspaceBytes});
    LASTROW_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    check_cublas(cublasCreate(&cublas_), "cublasCreate");
    check_cublas(cublasSetStream(cublas_, stream_), "cublasSetStream");
    check_cublas(cublasSetWorkspace(cublas_, workspace_.view().raw(), kWorkspaceBytes), "cublasSetWorkspace");
  }
  ~CudaRuntime() override {
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
  int64_t max_shared_bytes() const override {
    return static_cast<int64_t>(properties_.sharedMemPerBlockOptin);
  }

  DeviceMemory& memory() override { return *memory_; }
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

  std::unique_ptr<Recording> record(FunctionRef<void()> ops) override {
    return std::make_unique<CudaRecording>(stream_, ops);
  }
  void play(Recording& recording) override { static_cast<CudaRecording&>(recording).graph.launch(stream_); }

  void begin_range(Site site) override {
    // "L3 attend": the layer where there is one, then the operation.
    const std::string label =
        site.layer < 0 ? std::string(site.name) : fmt::format("L{} {}", site.layer, site.name);
    nvtxRangePushA(label.c_str());
  }
  void end_range() override { nvtxRangePop(); }

 private:
  std::unique_ptr<CudaMemory, DeviceMemory::Release> memory_ = make_memory<CudaMemory>();
  cudaDeviceProp properties_{};
  cudaStream_t stream_ = nullptr;
  cublasHandle_t cublas_ = nullptr;
  Tensor workspace_;  // of cuBLAS, which else would allocate its own while a step is recorded
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
