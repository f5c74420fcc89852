#include "cuda_host/checked_device.h"

#include <unistd.h>

namespace lastrow::checked_cuda {
namespace {

/// The allocation that contains [address, address + bytes), or end().
auto holder(const void* address, size_t bytes) {
  auto& memory = state().memory;
  const auto at = reinterpret_cast<uintptr_t>(address);
  auto found = memory.upper_bound(at);
  if (found == memory.begin()) return memory.end();
  --found;
  return at + bytes <= found->first + found->second.bytes ? found : memory.end();
}

}  // namespace

// ---- for tests

void reset(const Claims& claims) {
  state() = {};
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
void hang_waits() { state().hangs = true; }

// ---- for the other parts

State& state() {
  static State s;
  return s;
}

cudaError_t result(cudaError_t code) {
  if (code != cudaSuccess) state().last_error = code;
  return code;
}
cudaError_t mistake(cudaError_t code, const std::string& what) {
  state().mistakes.push_back(what);
  return result(code);
}

bool breaks_recording(const char* call) {
  State& s = state();
  if (s.recording == nullptr) return false;
  s.recording->broken = true;
  mistake(cudaErrorStreamCaptureUnsupported, fmt::format("{} while a stream records", call));
  return true;
}

cudaError_t wait(const char* call) {
  State& s = state();
  if (breaks_recording(call)) return cudaErrorStreamCaptureUnsupported;
  ++s.counts.n_waits;
  while (s.hangs) pause();
  return result(s.wait_code);
}

bool is_allocated(const void* address, size_t bytes) {
  return holder(address, bytes) != state().memory.end();
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

cudaError_t put(cudaStream_t stream, Work work) {
  if (!is_live(stream))
    return mistake(cudaErrorInvalidResourceHandle, work.name + " on a stream that is not");
  if (stream->recording && work.early &&
      (stream->graph->work.empty() || stream->graph->work.back().kind != Work::kernel))
    return mistake(cudaErrorNotSupported,
                   work.name + " may begin early, but the work before it is not a kernel");
  if (stream->recording)
    stream->graph->work.push_back(std::move(work));
  else
    run(work);
  return cudaSuccess;
}

void run(const Work& work) {
  State& s = state();
  ++s.n_work;
  if (work.kind == Work::kernel) ++s.counts.n_launches;
  if (work.early) ++s.counts.n_early;
  if (work.kind == Work::product) ++s.counts.n_products;
}

}  // namespace lastrow::checked_cuda
