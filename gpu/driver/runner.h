// What lastrow-kernels needs from a device; the same interface for a GPU and for the emulated one.
//
//   auto runner = cuda::make_runner();             or emulated::, with all checks of the emulator on
//   for (const RungInfo& r : runner->rungs()) …
//   runner->why_not("k05", shape)                  empty if the rung takes it
//   runner->load(judged);                          copies q, rows and tables to the device
//   AttendResult result = runner->attend("k05");   attends to what was loaded; outputs start as NaN
//   runner->count("k05")                           only emulated; attends, and returns the counts of its kernels
//   Timing t = runner->time("k11", shape, "k09");  only on a GPU; also compares the output with that of k09
//
// "k11a-rounded" is k11a, which always rounds. "k12-rounded" is k12 with q and p rounded to the type of K/V: one product, where several make it exact.
// Other libraries do the same, so their times are compared with this one. Backends never run it.
//
// A rung that is not in the ladder can be added under a name of its own (try_kernel/try.h).
//
// Only one thread may use a runner. Several threads may each have one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gpu/parts/attend_call.h"
#include "gpu/simt/traffic.h"
#include "judge/judged_case.h"

namespace lastrow::emulated {
struct Rung;
}
namespace lastrow::cuda {
struct Rung;
}

namespace lastrow::driver {

/// A rung that is not in the ladder. The members have the names of the targets (LASTROW_TARGET).
struct OwnRung {
  std::string name{};                                 // "my.cu"; empty: there is none
  const lastrow::emulated::Rung* emulated = nullptr;  // null: it was not compiled for this target
  const lastrow::cuda::Rung* cuda = nullptr;
};

struct RungInfo {
  std::string name, idea;
};

inline constexpr std::string_view kRounded = "-rounded";
/// The rule by which a rung is judged.
inline judge::Products products_of(const std::string& rung) {
  return rung.ends_with(kRounded) ? judge::Products::rounded : judge::Products::exact;
}

struct DeviceInfo {
  std::string target;   // "cuda" or "emulated"
  std::string device;   // "NVIDIA H100 80GB HBM3"; emulated: a description
  std::string driver;   // the CUDA version of the driver, "13.0"; empty if there is none
  std::string toolkit;  // likewise, of the toolkit
};

/// Microseconds for one call of a rung with all its kernels.
struct Timing {
  double median_us = 0;         // on the device, from the start of one call to the start of the next
  double low_us = 0;            // 10th percentile of the samples, each the mean of one or more calls
  double high_us = 0;           // 90th percentile
  double launch_us = 0;         // on the host, from the call until it knows that the result is there
  int32_t registers = 0;        // of the kernel that attends, per thread
  int64_t shared_bytes = 0;     // of that kernel, per block, static and dynamic
  std::string compared_with{};  // the other rung
  double difference = 0;        // between the two outputs (agreement.h); ∞ if one has NaN
};

/// GB/s (10⁹ bytes), measured on buffers several times as large as L2.
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
  /// To be called after a failure: why the device no longer answers; empty if it answers.
  virtual std::string lost() = 0;

  /// Throws UsageError on a GPU. Counts every block, and looks for no races.
  virtual std::vector<simt::KernelTraffic> count(const std::string& rung) = 0;
  /// Both throw UsageError under the emulator. time() throws CapacityError if the shape does not fit the
  /// device.
  virtual Bandwidth bandwidth() = 0;
  virtual Timing time(const std::string& rung, const gpu::AttendShape& shape, const std::string& other) = 0;
};

namespace emulated {
std::unique_ptr<Runner> make_runner(const OwnRung& own = {});
}
namespace cuda {  // of a build with CUDA
std::unique_ptr<Runner> make_runner(const OwnRung& own = {});
}

}  // namespace lastrow::driver
