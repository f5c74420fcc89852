// What lastrow-kernels asks of a device, the same of a GPU and of the emulated one.
//
//   auto runner = cuda::make_runner();             or emulated::, with every check of the emulator on
//   for (const RungInfo& r : runner->rungs()) …
//   runner->why_not("k05", shape)                  empty if the rung takes it
//   runner->load(judged);                          q, rows, tables to the device
//   AttendResult result = runner->attend("k05");   of what was loaded; outputs start as NaN
//   Timing t = runner->time("k11", shape, "k09");  a GPU's alone; its output compared with that of k09
//
// "k12-rounded" is k12 with q and p rounded to the type of K/V, one product where several make it exact: what
// other libraries do, and have to be compared with. Backends never run it.
//
// One thread uses a runner; several may each have one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gpu/kernels/attend_call.h"
#include "judge/judged_case.h"

namespace lastrow::driver {

struct RungInfo {
  std::string name, idea;
};

inline constexpr std::string_view kRounded = "-rounded";
/// By which rule a rung is judged.
inline judge::Products products_of(const std::string& rung) {
  return rung.ends_with(kRounded) ? judge::Products::rounded : judge::Products::exact;
}

struct DeviceInfo {
  std::string target;   // "cuda" or "emulated"
  std::string device;   // "NVIDIA H100 80GB HBM3", or what stands in for it
  std::string driver;   // the CUDA that it knows, "13.0"; empty where there is none
  std::string toolkit;  // likewise
};

/// Microseconds of one call of a rung, all its kernels.
struct Timing {
  double median_us = 0;  // on the device, from one call's start to the next's
  double low_us = 0,
         high_us = 0;           // 10th and 90th percentile of the samples, each the mean of one or more calls
  double launch_us = 0;         // from the host's call until it knows that the result is there
  int32_t registers = 0;        // of a thread, of the kernel that attends
  int64_t shared_bytes = 0;     // of a block, static and dynamic
  std::string compared_with{};  // the other rung
  double difference = 0;        // of the output from the other's (agreement.h); ∞ where one is no number
};

/// GB/s (10⁹), on buffers of several times L2.
struct Bandwidth {
  double read = 0;  // a kernel that only reads
  double copy = 0;  // device to device, bytes read and bytes written both counted
};

class Runner {
 public:
  virtual ~Runner() = default;
  virtual DeviceInfo device() const = 0;
  virtual std::vector<RungInfo> rungs() const = 0;
  virtual std::string why_not(const std::string& rung, const gpu::AttendShape& shape) const = 0;

  virtual void load(const judge::JudgedCase& judged) = 0;
  virtual judge::AttendResult attend(const std::string& rung) = 0;
  /// Asked after a failure: why the device answers nothing any more; empty if it does.
  virtual std::string lost() = 0;

  /// Both throw UsageError under the emulator, time() CapacityError for a shape that does not fit the device.
  virtual Bandwidth bandwidth() = 0;
  virtual Timing time(const std::string& rung, const gpu::AttendShape& shape, const std::string& other) = 0;
};

namespace emulated {
std::unique_ptr<Runner> make_runner();
}
namespace cuda {  // of a build with CUDA
std::unique_ptr<Runner> make_runner();
}

}  // namespace lastrow::driver
