#include <cuda_runtime_api.h>
#include <nvtx3/nvToolsExt.h>

#include <cstring>
#include <optional>
#include <utility>

#include "cost/memory.h"
#include "gpu/backend/cublas.h"
#include "gpu/backend/cuda_graph.h"
#include "gpu/backend/device_backend.h"
#include "gpu/cuda_backend.h"

namespace lastrow {
namespace cuda {
namespace {

constexpr int kLeastMajor = 8;  // the oldest architecture that kernels are compiled for

constexpr int64_t kWorkspaceBytes = int64_t{32} << 20;  // as cuBLAS takes on compute capability 9.0

class CudaMemory final : public DeviceMemory {
  void* take(size_t bytes) override {
    void* data = nullptr;
    const cudaError_t code = cudaMalloc(&data, bytes);
    if (code == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // clears the error: the device is usable after it
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

/// A stream that does not wait for the default stream.
class OwnStream {
 public:
  OwnStream() { LASTROW_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~OwnStream() { cudaStreamDestroy(stream_); }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

/// cuBLAS on a stream, with a workspace of ours. Otherwise it would allocate its own while a step is
/// recorded.
class Products {
 public:
  /// Loads cuBLAS. Throws Error if it cannot.
  Products(cudaStream_t stream, Memory& memory) : workspace_(memory, DType::u8, {kWorkspaceBytes}) {
    check(cublas_.create(&handle_), "cublasCreate");
    try {
      // cublasSetStream resets the workspace, so it comes first.
      check(cublas_.set_stream(handle_, stream), "cublasSetStream");
      check(cublas_.set_workspace(handle_, workspace_.view().raw(), kWorkspaceBytes), "cublasSetWorkspace");
    } catch (...) {
      cublas_.destroy(handle_);
      throw;
    }
  }
  ~Products() { cublas_.destroy(handle_); }
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  /// cuBLAS is column-major. Row-major out [n, o] = x [n, i] · weightᵀ is column-major
  /// outᵀ = (weight as stored)ᵀ · (x as stored).
  void linear(ConstTensorView x, ConstTensorView weight, TensorView out) {
    const float one = 1, zero = 0;
    const auto n = static_cast<int>(x.dim(0)), in = static_cast<int>(x.dim(1)),
               o = static_cast<int>(weight.dim(0));
    check(cublas_.sgemm(handle_, CUBLAS_OP_T, CUBLAS_OP_N, o, n, in, &one, weight.data<float>(), in,
                        x.data<float>(), in, &zero, out.data<float>(), o),
          "cublasSgemm");
  }

 private:
  void check(cublasStatus_t status, const char* call) const {
    if (status != CUBLAS_STATUS_SUCCESS)
      throw Error(
          "{} in {}: use another backend, or a cuBLAS that fits the driver (name its file in LASTROW_CUBLAS)",
          cublas_.status_string(status), call);
  }

  const Cublas cublas_ = load_cublas();
  Tensor workspace_;
  cublasHandle_t handle_ = nullptr;
};

/// Host memory that the device reads while the host goes on. Bytes wait here for their turn on the stream.
class Staging {
 public:
  static constexpr int64_t kBytes = int64_t{1} << 20;

  Staging() {
    void* data = nullptr;
    LASTROW_CUDA(cudaMallocHost(&data, static_cast<size_t>(kBytes)));
    data_ = static_cast<std::byte*>(data);
  }
  ~Staging() { cudaFreeHost(data_); }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  bool has_room(int64_t bytes) const { return bytes <= kBytes - used_; }
  /// Keeps a copy of the bytes until clear().
  const void* keep(const void* bytes, int64_t n) {
    std::byte* const at = data_ + used_;
    std::memcpy(at, bytes, static_cast<size_t>(n));
    used_ = std::min(kBytes, (used_ + n + 15) / 16 * 16);
    return at;
  }
  void clear() { used_ = 0; }

 private:
  std::byte* data_ = nullptr;
  int64_t used_ = 0;
};

class CudaRuntime final : public Runtime {
 public:
  CudaRuntime() { LASTROW_CUDA(cudaGetDeviceProperties(&properties_, 0)); }

  const char* name() const override { return "cuda"; }
  std::string description() const override {
    return fmt::format("kernels on an NVIDIA GPU: {}, compute capability {}.{}, {}", properties_.name,
                       properties_.major, properties_.minor,
                       gib_and_gb(static_cast<int64_t>(properties_.totalGlobalMem)));
  }
  int32_t n_threads() const override { return 1; }
  gpu::DeviceLimits limits() const override {
    return {properties_.multiProcessorCount, static_cast<int64_t>(properties_.sharedMemPerBlockOptin)};
  }

  DeviceMemory& memory() override { return *memory_; }
  bool in_host_memory() const override { return false; }
  Stream stream() override { return stream_.get(); }
  void to_device(void* device, const void* host, int64_t bytes) override {
    if (!staging_.has_room(bytes)) wait();
    const bool staged = staging_.has_room(bytes);
    copy(device, staged ? staging_.keep(host, bytes) : host, bytes, cudaMemcpyHostToDevice);
    if (!staged) wait();  // after that the caller may change its bytes
  }
  void to_host(void* host, const void* device, int64_t bytes) override {
    copy(host, device, bytes, cudaMemcpyDeviceToHost);
    wait();
  }
  void on_device(void* to, const void* from, int64_t bytes) override {
    copy(to, from, bytes, cudaMemcpyDeviceToDevice);
  }

  void linear(ConstTensorView x, ConstTensorView weight, TensorView out) override {
    products().linear(x, weight, out);
  }

  std::unique_ptr<Recording> record(FunctionRef<void()> ops) override {
    products();  // made now if it does not exist yet, because a recording must not allocate
    return std::make_unique<CudaRecording>(stream(), ops);
  }
  void play(Recording& recording) override { static_cast<CudaRecording&>(recording).graph.launch(stream()); }

  void begin_range(Site site) override {
    // "L3 attend": the layer, if there is one, then the operation.
    const std::string label =
        site.layer < 0 ? std::string(site.name) : fmt::format("L{} {}", site.layer, site.name);
    nvtxRangePushA(label.c_str());
  }
  void end_range() override { nvtxRangePop(); }

 private:
  void copy(void* to, const void* from, int64_t bytes, cudaMemcpyKind direction) {
    LASTROW_CUDA(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), direction, stream()));
  }
  void wait() {
    LASTROW_CUDA(cudaStreamSynchronize(stream()));
    staging_.clear();
  }
  /// Made when it is first needed, so a program that only attends loads no cuBLAS and needs no workspace.
  Products& products() {
    if (!products_) products_.emplace(stream(), *memory_);
    return *products_;
  }

  std::unique_ptr<CudaMemory, DeviceMemory::Release> memory_ = make_memory<CudaMemory>();
  cudaDeviceProp properties_{};
  OwnStream stream_;
  Staging staging_;
  std::optional<Products> products_;
};

}  // namespace

std::unique_ptr<Runtime> make_runtime(const gpu::DeviceOptions&, int32_t) {
  if (const std::string why = why_no_cuda(); !why.empty())
    throw UsageError("backend 'cuda' cannot be used: {}", why);
  return std::make_unique<CudaRuntime>();
}

}  // namespace cuda

std::string why_no_cuda() {
  int driver = 0, n_devices = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return "no NVIDIA driver is installed";
  if (const cudaError_t code = cudaGetDeviceCount(&n_devices); code != cudaSuccess) {
    cudaGetLastError();
    return fmt::format("{} (run nvidia-smi to see why)", cudaGetErrorString(code));
  }
  if (n_devices == 0) return "no NVIDIA GPU is visible";
  cudaDeviceProp properties{};
  if (cudaGetDeviceProperties(&properties, 0) != cudaSuccess) return "the GPU does not answer";
  if (properties.major < cuda::kLeastMajor)
    return fmt::format("{} has compute capability {}.{}, but {}.0 or later is needed", properties.name,
                       properties.major, properties.minor, cuda::kLeastMajor);
  return "";
}

std::unique_ptr<Backend> make_cuda_backend(const gpu::DeviceOptions& options) {
  return std::make_unique<cuda::DeviceBackend>(options);
}

}  // namespace lastrow
