#include "cli/backend_flags.h"

#include "core/error.h"

namespace lastrow::cli {

void BackendFlags::add_to(CLI::App& subcommand) {
  subcommand.add_option("--backend", name_,
                        backend_names() + "; naive-f64 computes in double precision; default eigen");
  subcommand.add_option("--kernel", device_.kernel,
                        "cuda, cuda-emulated: the attention kernel, k01 … k13 (see `lastrow info`); "
                        "default: chosen by shape");
  subcommand.add_flag("--simt-report", device_.report,
                      "cuda-emulated: print the memory accesses of each source line of the kernels");
  subcommand.add_flag("--simt-check", device_.check,
                      "cuda-emulated: find races, and reads of shared memory that was never written");
  subcommand.add_flag("--force", force_, "cuda-emulated: run even if the estimate is more than a minute");
}

std::unique_ptr<Backend> BackendFlags::make(const std::string& name) const {
  gpu::DeviceOptions options = device_;
  if (force_ && !is_emulated(name) && name == name_)
    throw UsageError("backend '{}' has no time limit: --force is only for cuda-emulated", name);
  if (force_) options.limit_seconds = 0;
  return make_backend(name, options);
}

void BackendFlags::require_in_time(const std::string& name, double elapsed_seconds, double share_done) const {
  constexpr double kTellAfterSeconds = 1;
  if (force_ || !is_emulated(name) || elapsed_seconds < kTellAfterSeconds || share_done <= 0) return;
  const double estimate = elapsed_seconds / share_done;
  if (estimate > device_.limit_seconds)
    throw CapacityError(
        "this would take about {:.0f} s in the emulator, but the limit is {:.0f} s: use a smaller shape, or "
        "--force",
        estimate, device_.limit_seconds);
}

std::string BackendFlags::report(const Backend& backend) const {
  return device_.report ? "\n" + traffic_report(backend) : "";
}

}  // namespace lastrow::cli
