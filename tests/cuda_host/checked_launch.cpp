// Kernels: how they are registered, which launches the device refuses, and which addresses kernels get.
#include <cxxabi.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "cuda_host/checked_device.h"
#include "cuda_host/ptxas_logs.h"

namespace lastrow::checked_cuda {
namespace {

constexpr int64_t kRegisters = 65536;  // per multiprocessor
constexpr int64_t kUnaskedShared = 48 << 10;
constexpr uintptr_t kHostBegin = uintptr_t{0x500000000000}, kHostEnd = uintptr_t{0x800000000000};

struct Function {
  std::string name;  // demangled
  std::vector<std::string> parameters{};
  CompiledKernel compiled{};
  int64_t asked_shared = -1;  // dynamic bytes that were requested; −1: none
};

/// Kernels of this program, by the address of their host function: registered before main.
std::map<const void*, Function>& functions() {
  static std::map<const void*, Function> f;
  return f;
}

/// The addresses that an argument begins with, which must be of device memory, or a complaint. Structs have
/// their addresses first. What comes after the first word that is not an address may be padding, which can
/// hold anything.
std::string addresses_in(const void* argument, size_t bytes, std::vector<const void*>& found) {
  for (size_t i = 0; i + sizeof(uintptr_t) <= bytes; i += sizeof(uintptr_t)) {
    uintptr_t word = 0;
    std::memcpy(&word, static_cast<const std::byte*>(argument) + i, sizeof word);
    const void* const address = reinterpret_cast<const void*>(word);
    if (on_device(address)) {
      if (!is_allocated(address, 1))
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

/// Whether the type is a pointer, or a view, which is a pointer to the compiler for a GPU.
bool is_address(const std::string& type) {
  return type.ends_with('*') || type.starts_with("lastrow::cuda::Global<");
}

/// If a kernel has one parameter, all of it is searched for addresses; if it has several, those of an address
/// type.
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
  // A warp gets registers in units of 256.
  const int64_t warps = (threads + 31) / 32, warp_registers = (f.compiled.registers * 32 + 255) / 256 * 256;
  if (warps * warp_registers > kRegisters)
    return fmt::format("{} threads of {} registers", threads, f.compiled.registers);
  const int64_t allowed = f.asked_shared >= 0 ? f.asked_shared : kUnaskedShared - f.compiled.static_shared;
  if (static_cast<int64_t>(shared) > allowed || shared_bytes > kMostShared)
    return fmt::format("{} bytes of dynamic shared memory, {} are allowed", shared, allowed);
  return "";
}

cudaError_t launch(const Function& f, dim3 grid, dim3 block, void** args, size_t shared, cudaStream_t stream,
                   bool early) {
  const State& s = state();
  if (!s.failing.empty() && f.name.find(s.failing) != std::string::npos) return result(s.fail_code);
  if (const std::string why = beyond_limits(f, grid, block, shared); !why.empty())
    return mistake(cudaErrorInvalidConfiguration, fmt::format("{}: {}", f.name, why));
  Work work{f.name};
  work.early = early;
  if (const std::string why = addresses_of(f, args, work.addresses); !why.empty())
    return mistake(cudaErrorInvalidValue, fmt::format("{}: {}", f.name, why));
  return put(stream, std::move(work));
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

}  // namespace lastrow::checked_cuda

using namespace lastrow::checked_cuda;

extern "C" {

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
// What the compiler makes of <<<…>>>. Our kernels are started in another way (gpu/target/cuda_launch.h), but
// the stubs of nvcc use these functions.
cudaError_t __cudaGetKernel(cudaKernel_t*, const void*) { return cudaSuccess; }
unsigned __cudaPushCallConfiguration(dim3, dim3, size_t, CUstream_st*) { return 0; }
cudaError_t __cudaPopCallConfiguration(dim3*, dim3*, size_t*, void*) { return cudaErrorNotSupported; }
cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, size_t, cudaStream_t) {
  return mistake(cudaErrorNotSupported, "a launch by <<<…>>>");
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* c, const void* function, void** args) {
  const auto found = functions().find(function);
  if (found == functions().end()) return mistake(cudaErrorInvalidDeviceFunction, "an unknown kernel");
  bool early = false;
  for (unsigned i = 0; i < c->numAttrs; ++i) {
    if (c->attrs[i].id != cudaLaunchAttributeProgrammaticStreamSerialization || state().claims.major < 9)
      return mistake(cudaErrorNotSupported, fmt::format("{}: a launch attribute", found->second.name));
    early = c->attrs[i].val.programmaticStreamSerializationAllowed != 0;
  }
  return launch(found->second, c->gridDim, c->blockDim, args, c->dynamicSmemBytes, c->stream, early);
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  const auto found = functions().find(function);
  if (found == functions().end()) return mistake(cudaErrorInvalidDeviceFunction, "an unknown kernel");
  *attributes = {};
  attributes->ptxVersion = attributes->binaryVersion = 10 * state().claims.major;
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

}  // extern "C"
