#include "cuda_host/checked_cuda.h"

#include <cublas_v2.h>
#include <cxxabi.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <set>

#include "cuda_host/ptxas_logs.h"

// What CUDA's handles point to: callers never look into it.
struct CUstream_st {
  bool recording = false, broken = false;
  struct CUgraph_st* graph = nullptr;
};
struct CUevent_st {
  int64_t at = -1;  // pieces of work before it
};

namespace lastrow::checked_cuda {
namespace {

/// One piece of recorded work.
struct Node {
  std::string name;
  bool is_kernel = true;
  std::vector<const void*> addresses{};  // of device memory, that it uses
};

}  // namespace
}  // namespace lastrow::checked_cuda

struct CUgraph_st {
  std::vector<lastrow::checked_cuda::Node> nodes;
};
struct CUgraphExec_st {
  std::vector<lastrow::checked_cuda::Node> nodes;
};
struct cublasContext {
  cudaStream_t stream = nullptr;
  bool has_workspace = false;
};

namespace lastrow::checked_cuda {
namespace {

constexpr int64_t kRegisters = 65536;  // of a multiprocessor
constexpr int64_t kUnaskedShared = 48 << 10, kMostShared = 227 << 10;
constexpr uintptr_t kDeviceBegin = uintptr_t{0x200000000000}, kDeviceEnd = uintptr_t{0x300000000000};
constexpr uintptr_t kHostBegin = uintptr_t{0x500000000000}, kHostEnd = uintptr_t{0x800000000000};
constexpr size_t kMostCopied = size_t{64} << 10;  // beyond it a copy is checked and left out
constexpr float kMsOfWork = 20;

struct Allocation {
  size_t bytes = 0;
  std::byte* shadow = nullptr;  // the same bytes where the host can reach them
};

struct Function {
  std::string name;  // as people read it
  std::vector<std::string> parameters{};
  CompiledKernel compiled{};
  int64_t asked_shared = -1;  // dynamic, if more than comes unasked was asked for
};

struct State {
  Claims claims;
  Counts counts;
  std::vector<std::string> mistakes;
  std::map<uintptr_t, Allocation> memory;
  std::set<const void*> live;  // handles
  uintptr_t next = kDeviceBegin;
  int64_t n_work = 0;
  std::string failing;
  cudaError_t fail_code = cudaSuccess, wait_code = cudaSuccess, last_error = cudaSuccess;
  cudaStream_t recording = nullptr;
  struct {
    dim3 grid, block;
    size_t shared = 0;
    cudaStream_t stream = nullptr;
  } pushed;
};

State& state() {
  static State s;
  return s;
}
/// Kernels of this program, by the address of their host function: registered before main.
std::map<const void*, Function>& functions() {
  static std::map<const void*, Function> f;
  return f;
}

cudaError_t result(cudaError_t code) {
  if (code != cudaSuccess) state().last_error = code;
  return code;
}
cudaError_t mistake(cudaError_t code, const std::string& what) {
  state().mistakes.push_back(what);
  return result(code);
}

template <typename Handle, typename... Args>
Handle* make_handle(Args&&... args) {
  auto* made = new Handle{std::forward<Args>(args)...};
  state().live.insert(made);
  return made;
}
template <typename Handle>
cudaError_t drop_handle(Handle* handle, const char* what) {
  if (state().live.erase(handle) == 0)
    return mistake(cudaErrorInvalidResourceHandle, fmt::format("{} given back twice or never made", what));
  delete handle;
  return cudaSuccess;
}
bool is_live(const void* handle) { return state().live.contains(handle); }

// ---- memory

/// The allocation that holds [address, address + bytes), or end.
auto holder(const void* address, size_t bytes) {
  auto& memory = state().memory;
  const auto at = reinterpret_cast<uintptr_t>(address);
  auto found = memory.upper_bound(at);
  if (found == memory.begin()) return memory.end();
  --found;
  return at + bytes <= found->first + found->second.bytes ? found : memory.end();
}
bool on_device(const void* address) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  return at >= kDeviceBegin && at < kDeviceEnd;
}
std::byte* shadow(const void* address, size_t bytes) {
  const auto found = holder(address, bytes);
  if (found == state().memory.end()) return nullptr;
  return found->second.shadow + (reinterpret_cast<uintptr_t>(address) - found->first);
}

/// Calls that a stream does not allow while it records.
bool breaks_recording(const char* call) {
  State& s = state();
  if (s.recording == nullptr) return false;
  s.recording->broken = true;
  mistake(cudaErrorStreamCaptureUnsupported, fmt::format("{} while a stream records", call));
  return true;
}

// ---- work

void run(const Node& node) {
  State& s = state();
  ++s.n_work;
  ++(node.is_kernel ? s.counts.n_launches : s.counts.n_products);
}

cudaError_t put(cudaStream_t stream, Node node) {
  if (!is_live(stream))
    return mistake(cudaErrorInvalidResourceHandle, node.name + " on a stream that is not");
  if (stream->recording)
    stream->graph->nodes.push_back(std::move(node));
  else
    run(node);
  return cudaSuccess;
}

/// The addresses that an argument begins with, all of device memory, or a complaint. Structs have theirs in
/// front; what comes after the first word that is none may be padding, which holds anything.
std::string addresses_in(const void* argument, size_t bytes, std::vector<const void*>& found) {
  for (size_t i = 0; i + sizeof(uintptr_t) <= bytes; i += sizeof(uintptr_t)) {
    uintptr_t word = 0;
    std::memcpy(&word, static_cast<const std::byte*>(argument) + i, sizeof word);
    const void* const address = reinterpret_cast<const void*>(word);
    if (on_device(address)) {
      if (holder(address, 1) == state().memory.end())
        return fmt::format("an address of freed memory, {} bytes into an argument", i);
      found.push_back(address);
    } else if (word >= kHostBegin && word < kHostEnd) {
      return fmt::format("an address of the host, {} bytes into an argument", i);
    } else if (address != nullptr) {
      break;
    }
  }
  return "";
}

/// Is it a pointer, or a view, which a GPU's compiler sees as one?
bool is_address(const std::string& type) {
  return type.ends_with('*') || type.starts_with("lastrow::cuda::Global<");
}

/// Of a kernel of one parameter all of it is looked through, of others what is an address by its type.
std::string addresses_of(const Function& f, void** args, std::vector<const void*>& found) {
  if (f.parameters.size() == 1) return addresses_in(args[0], f.compiled.parameter_bytes, found);
  for (size_t i = 0; i < f.parameters.size(); ++i)
    if (is_address(f.parameters[i]))
      if (std::string why = addresses_in(args[i], sizeof(void*), found); !why.empty()) return why;
  return "";
}

std::string beyond_limits(const Function& f, dim3 grid, dim3 block, size_t shared) {
  const int64_t threads = int64_t{block.x} * block.y * block.z,
                shared_bytes = static_cast<int64_t>(shared) + f.compiled.static_shared;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || threads == 0) return "an empty grid or block";
  if (grid.x > 0x7FFFFFFFU || grid.y > 65535 || grid.z > 65535)
    return fmt::format("a grid of ({}, {}, {})", grid.x, grid.y, grid.z);
  if (block.x > 1024 || block.y > 1024 || block.z > 64 || threads > 1024)
    return fmt::format("a block of {} threads", threads);
  // Registers are given to a warp, 256 at a time.
  const int64_t warps = (threads + 31) / 32, warp_registers = (f.compiled.registers * 32 + 255) / 256 * 256;
  if (warps * warp_registers > kRegisters)
    return fmt::format("{} threads of {} registers", threads, f.compiled.registers);
  const int64_t allowed = f.asked_shared >= 0 ? f.asked_shared : kUnaskedShared - f.compiled.static_shared;
  if (static_cast<int64_t>(shared) > allowed || shared_bytes > kMostShared)
    return fmt::format("{} bytes of dynamic shared memory, {} are allowed", shared, allowed);
  return "";
}

cudaError_t launch(const Function& f, dim3 grid, dim3 block, void** args, size_t shared,
                   cudaStream_t stream) {
  const State& s = state();
  if (!s.failing.empty() && f.name.find(s.failing) != std::string::npos) return result(s.fail_code);
  if (const std::string why = beyond_limits(f, grid, block, shared); !why.empty())
    return mistake(cudaErrorInvalidConfiguration, fmt::format("{}: {}", f.name, why));
  Node node{f.name};
  if (const std::string why = addresses_of(f, args, node.addresses); !why.empty())
    return mistake(cudaErrorInvalidValue, fmt::format("{}: {}", f.name, why));
  return put(stream, std::move(node));
}

cudaError_t wait(const char* call) {
  State& s = state();
  if (breaks_recording(call)) return cudaErrorStreamCaptureUnsupported;
  ++s.counts.n_waits;
  return result(s.wait_code);
}

/// "void f<int>(A<int, 3>, float*)" → {"A<int, 3>", "float*"}
std::vector<std::string> parameters_of(const std::string& signature) {
  std::vector<std::string> found;
  const size_t end = signature.rfind(')');
  size_t begin = end;
  for (int depth = 1; depth > 0 && begin > 0;) {
    --begin;
    depth += signature[begin] == ')' ? 1 : signature[begin] == '(' ? -1 : 0;
  }
  std::string one;
  int depth = 0;
  for (size_t i = begin + 1; i < end; ++i) {
    const char c = signature[i];
    depth += c == '<' || c == '(' ? 1 : c == '>' || c == ')' ? -1 : 0;
    if (c == ',' && depth == 0)
      found.push_back(std::exchange(one, ""));
    else if (c != ' ' || !one.empty())
      one += c;
  }
  if (!one.empty()) found.push_back(one);
  return found;
}

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(abi::__cxa_demangle(name, nullptr, nullptr, &status),
                                                         &std::free);
  return text ? text.get() : name;
}

}  // namespace

void reset(const Claims& claims) {
  state() = {};
  for (auto& [host, function] : functions()) function.asked_shared = -1;
  state().claims = claims;
}
void set_memory(int64_t bytes) { state().claims.memory_bytes = bytes; }
Counts counts() {
  Counts c = state().counts;
  c.n_live = static_cast<int64_t>(state().live.size() + state().memory.size());
  return c;
}
const std::vector<std::string>& mistakes() { return state().mistakes; }
void fail_launches_of(const std::string& part, cudaError_t code) {
  state().failing = part, state().fail_code = code;
}
void fail_waits(cudaError_t code) { state().wait_code = code; }

}  // namespace lastrow::checked_cuda

using namespace lastrow::checked_cuda;

extern "C" {

// ---- what nvcc's host code calls

void** __cudaRegisterFatBinary(void*) {
  static void* handle = nullptr;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, uint3*, uint3*, dim3*,
                            dim3*, int*) {
  const std::string text = demangled(name);
  functions()[host] = {text, parameters_of(text), compiled_kernel(name)};
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(host));
  return functions().contains(host) ? cudaSuccess : result(cudaErrorInvalidDeviceFunction);
}
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, CUstream_st* stream) {
  state().pushed = {grid, block, shared, stream};
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared, void* stream) {
  const auto& p = state().pushed;
  *grid = p.grid, *block = p.block, *shared = p.shared;
  *static_cast<cudaStream_t*>(stream) = p.stream;
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** args, size_t shared,
                               cudaStream_t stream) {
  return launch(functions().at(reinterpret_cast<const void*>(kernel)), grid, block, args, shared, stream);
}

// ---- the device

cudaError_t cudaDriverGetVersion(int* version) { return *version = state().claims.driver, cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* n) { return *n = state().claims.n_devices, cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  *p = {};
  std::strcpy(p->name, "no GPU: every call is checked, nothing is run");
  p->major = state().claims.major, p->minor = 0;
  p->multiProcessorCount = 132;
  p->totalGlobalMem = static_cast<size_t>(state().claims.memory_bytes);
  p->sharedMemPerBlockOptin = kMostShared;
  p->l2CacheSize = 50 << 20;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return std::exchange(state().last_error, cudaSuccess); }

// ---- memory

cudaError_t cudaMalloc(void** address, size_t bytes) {
  State& s = state();
  if (breaks_recording("cudaMalloc")) return cudaErrorStreamCaptureUnsupported;
  constexpr size_t kPage = 4096;
  const size_t mapped = (bytes + kPage - 1) / kPage * kPage;
  if (bytes == 0 || s.counts.bytes_in_use + static_cast<int64_t>(bytes) > s.claims.memory_bytes)
    return result(cudaErrorMemoryAllocation);
  void* const reserved = mmap(reinterpret_cast<void*>(s.next), mapped, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  void* const shadow =
      mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED || shadow == MAP_FAILED) std::abort();
  s.next += mapped + kPage;  // an address is never used again, so that one of freed memory is known
  s.memory[reinterpret_cast<uintptr_t>(reserved)] = {bytes, static_cast<std::byte*>(shadow)};
  s.counts.bytes_in_use += static_cast<int64_t>(bytes);
  ++s.counts.n_allocations;
  *address = reserved;
  return cudaSuccess;
}
cudaError_t cudaFree(void* address) {
  State& s = state();
  if (address == nullptr) return cudaSuccess;
  if (breaks_recording("cudaFree")) return cudaErrorStreamCaptureUnsupported;
  const auto found = s.memory.find(reinterpret_cast<uintptr_t>(address));
  if (found == s.memory.end()) return mistake(cudaErrorInvalidValue, "memory freed twice or never allocated");
  munmap(address, found->second.bytes);
  munmap(found->second.shadow, found->second.bytes);
  s.counts.bytes_in_use -= static_cast<int64_t>(found->second.bytes);
  s.memory.erase(found);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = static_cast<size_t>(state().claims.memory_bytes);
  *free = static_cast<size_t>(state().claims.memory_bytes - state().counts.bytes_in_use);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  State& s = state();
  if (bytes == 0) return cudaSuccess;
  if (!is_live(stream)) return mistake(cudaErrorInvalidResourceHandle, "a copy on a stream that is not");
  const bool to_device = kind != cudaMemcpyDeviceToHost, from_device = kind != cudaMemcpyHostToDevice;
  if (to_device != on_device(to) || from_device != on_device(from))
    return mistake(cudaErrorInvalidValue, "a copy in another direction than its addresses say");
  void* const into = to_device ? shadow(to, bytes) : to;
  const void* const out_of = from_device ? shadow(from, bytes) : from;
  if (into == nullptr || out_of == nullptr)
    return mistake(cudaErrorInvalidValue, fmt::format("a copy of {} bytes beyond an allocation", bytes));
  if (stream->recording) {
    if (kind != cudaMemcpyDeviceToDevice)
      return breaks_recording("a copy from or to the host"), cudaErrorStreamCaptureUnsupported;
    stream->graph->nodes.push_back({"a copy", true, {to, from}});
    return cudaSuccess;
  }
  s.counts.n_uploads += from_device ? 0 : 1;
  s.counts.n_downloads += to_device ? 0 : 1;
  ++s.n_work;
  if (bytes <= kMostCopied) std::memmove(into, out_of, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int, size_t bytes, cudaStream_t stream) {
  if (!is_live(stream)) return mistake(cudaErrorInvalidResourceHandle, "a memset on a stream that is not");
  if (shadow(to, bytes) == nullptr) return mistake(cudaErrorInvalidValue, "a memset beyond an allocation");
  return cudaSuccess;
}

// ---- streams and events

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return *stream = make_handle<CUstream_st>(), cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) { return drop_handle(stream, "a stream"); }
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (!is_live(stream)) return mistake(cudaErrorInvalidResourceHandle, "a wait for a stream that is not");
  return wait("cudaStreamSynchronize");
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return *event = make_handle<CUevent_st>(), cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return drop_handle(event, "an event"); }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (!is_live(event) || !is_live(stream))
    return mistake(cudaErrorInvalidResourceHandle, "an event that is not");
  if (breaks_recording("cudaEventRecord")) return cudaErrorStreamCaptureUnsupported;
  return event->at = state().n_work, cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return wait("cudaEventSynchronize"); }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  if (start->at < 0 || end->at < start->at)
    return mistake(cudaErrorInvalidResourceHandle,
                   "a time between events that were not recorded in this order");
  return *ms = kMsOfWork * static_cast<float>(end->at - start->at), cudaSuccess;
}

// ---- graphs

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  State& s = state();
  if (!is_live(stream) || stream->recording)
    return mistake(cudaErrorIllegalState, "a recording on a stream that is not, or that records");
  stream->recording = true, stream->broken = false, stream->graph = make_handle<CUgraph_st>();
  s.recording = stream;
  ++s.counts.n_recordings;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!is_live(stream) || !stream->recording)
    return mistake(cudaErrorIllegalState, "the end of a recording that never began");
  state().recording = nullptr;
  stream->recording = false;
  *graph = std::exchange(stream->graph, nullptr);
  if (!stream->broken) return cudaSuccess;
  drop_handle(*graph, "a graph");
  *graph = nullptr;
  return result(cudaErrorStreamCaptureInvalidated);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  if (!is_live(graph)) return mistake(cudaErrorInvalidValue, "a graph that is not");
  return *exec = make_handle<CUgraphExec_st>(graph->nodes), cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return drop_handle(graph, "a graph"); }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) { return drop_handle(exec, "an executable graph"); }
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  State& s = state();
  if (!is_live(exec) || !is_live(stream))
    return mistake(cudaErrorInvalidValue, "a graph or stream that is not");
  if (breaks_recording("cudaGraphLaunch")) return cudaErrorStreamCaptureUnsupported;
  for (const Node& node : exec->nodes) {
    for (const void* address : node.addresses)
      if (holder(address, 1) == s.memory.end())
        return mistake(cudaErrorIllegalAddress,
                       fmt::format("a graph runs {}, whose memory was freed", node.name));
    run(node);
  }
  ++s.counts.n_graph_launches;
  return cudaSuccess;
}

// ---- functions

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  const auto found = functions().find(function);
  if (found == functions().end()) return mistake(cudaErrorInvalidDeviceFunction, "an unknown kernel");
  *attributes = {};
  attributes->numRegs = static_cast<int>(found->second.compiled.registers);
  attributes->sharedSizeBytes = static_cast<size_t>(found->second.compiled.static_shared);
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  const auto found = functions().find(function);
  if (found == functions().end()) return mistake(cudaErrorInvalidDeviceFunction, "an unknown kernel");
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value + found->second.compiled.static_shared > kMostShared)
    return mistake(cudaErrorInvalidValue,
                   fmt::format("{}: {} bytes of shared memory", found->second.name, value));
  found->second.asked_shared = value;
  return cudaSuccess;
}

// ---- cuBLAS

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  return *handle = make_handle<cublasContext>(), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  return drop_handle(handle, "a cuBLAS handle") == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                               : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream, handle->has_workspace = false;  // as documented: back to the library's own
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, size_t bytes) {
  handle->has_workspace = shadow(workspace, bytes) != nullptr;
  return handle->has_workspace ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                              int m, int n, int k, const float*, const float* a, int lda, const float* b,
                              int ldb, const float*, float* c, int ldc) {
  // Column-major, as cuBLAS has it: a leading dimension counts the rows of what is stored.
  const auto bytes = [](int rows, int columns, int ld) {
    return sizeof(float) *
           (static_cast<size_t>(ld) * static_cast<size_t>(columns - 1) + static_cast<size_t>(rows));
  };
  const int a_rows = transa == CUBLAS_OP_N ? m : k, a_columns = transa == CUBLAS_OP_N ? k : m,
            b_rows = transb == CUBLAS_OP_N ? k : n, b_columns = transb == CUBLAS_OP_N ? n : k;
  if (m <= 0 || n <= 0 || k <= 0 || lda < a_rows || ldb < b_rows || ldc < m) {
    mistake(cudaErrorInvalidValue, fmt::format("a product of m {} n {} k {} with leading dimensions {} {} {}",
                                               m, n, k, lda, ldb, ldc));
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (shadow(a, bytes(a_rows, a_columns, lda)) == nullptr ||
      shadow(b, bytes(b_rows, b_columns, ldb)) == nullptr || shadow(c, bytes(m, n, ldc)) == nullptr) {
    mistake(cudaErrorInvalidValue, "a product beyond an allocation");
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (handle->stream->recording && !handle->has_workspace)
    breaks_recording("a product without a workspace of the caller's");
  return put(handle->stream, {"a product", false, {a, b, c}}) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                                             : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
