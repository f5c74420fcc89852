#include "gpu/driver/time_all.h"

#include <chrono>
#include <filesystem>

#include "core/error.h"
#include "gpu/driver/results.h"
#include "io/atomic_file.h"

namespace lastrow::driver {
namespace {

using Clock = std::chrono::steady_clock;

nlohmann::json begun(const TimeJob& job, const DeviceInfo& device, const Bandwidth& bandwidth) {
  if (!job.go_on || !std::filesystem::exists(job.json)) return header(device, bandwidth, job.date);
  nlohmann::json results = read_results(job.json);
  if (results.at("device") != device.device)
    throw UsageError("{} holds times of '{}', this is '{}': write to another file", job.json,
                     results.at("device").get<std::string>(), device.device);
  return results;
}

class TimeAll {
 public:
  TimeAll(const TimeJob& job, Runner& runner)
      : job_(job),
        runner_(runner),
        bandwidth_(runner.bandwidth()),
        report_{begun(job, runner.device(), bandwidth_), false} {}

  TimeReport run() {
    for (const TimedShape& shape : timed_shapes(job_.full)) {
      bool any = false;
      for (const std::string& rung : job_.rungs)
        if (!has_result(report_.results, shape, rung) && runner_.why_not(rung, shape.shape()).empty())
          any |= time(shape, rung);
      if (any) write();
    }
    if (n_left_ > 0) job_.say(fmt::format("{} times are left for another run with --continue", n_left_));
    return std::move(report_);
  }

 private:
  bool is_over() const {
    return lost_ ||
           (job_.seconds > 0 && std::chrono::duration<double>(Clock::now() - start_).count() > job_.seconds);
  }
  bool time(const TimedShape& shape, const std::string& rung) {
    if (is_over()) return ++n_left_, false;
    const std::string what = fmt::format("{}  {}  ", shape.name(), rung);
    try {
      const Timing t = runner_.time(rung, shape.shape());
      add_result(report_.results, shape, rung, t, bandwidth_.read);
      job_.say(fmt::format("{}{:.1f} µs", what, t.median_us));
      return true;
    } catch (const CapacityError& e) {
      job_.say(what + "left out: " + e.what());
    } catch (const Error& e) {
      report_.failed = true;
      lost_ = !runner_.lost().empty();
      job_.say(what + "FAILED: " + e.what() + (lost_ ? "; the device answers nothing any more" : ""));
    }
    return false;
  }
  void write() const {
    if (!job_.json.empty()) write_text_atomically(job_.json, report_.results.dump(1) + "\n");
  }

  const TimeJob& job_;
  Runner& runner_;
  const Clock::time_point start_ = Clock::now();
  const Bandwidth bandwidth_;
  TimeReport report_;
  int64_t n_left_ = 0;
  bool lost_ = false;
};

}  // namespace

TimeReport time_all(const TimeJob& job, Runner& runner) { return TimeAll(job, runner).run(); }

}  // namespace lastrow::driver
