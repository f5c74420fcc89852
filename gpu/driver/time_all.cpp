#include "gpu/driver/time_all.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "core/error.h"
#include "gpu/driver/agreement.h"
#include "gpu/driver/results.h"
#include "gpu/driver/watchdog.h"
#include "io/atomic_file.h"

namespace lastrow::driver {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

constexpr int32_t kEarlyMostKeys = 4096;  // most keys for k01 to k04, which would need seconds for more
constexpr int64_t kMostLosses = 2;        // per rung; a rung that broke the device in its check has one

json begun(const TimeJob& job, const DeviceInfo& device, const Bandwidth& bandwidth) {
  if (!job.go_on || !std::filesystem::exists(job.json)) return header(device, bandwidth, job.date);
  json results = read_results(job.json);
  if (results.at("device") != device.device)
    throw UsageError("{} holds times of '{}', but this device is '{}': name another file", job.json,
                     results.at("device").get<std::string>(), device.device);
  if (results.contains("running")) {
    const json running = results.at("running");
    results.erase("running");
    if (!job.retry)
      add_loss(results, running.at("shape"), running.at("kernel"), "the process ended while it was timed");
  }
  return results;
}

bool is_early(const std::string& rung) { return rung >= "k01" && rung <= "k04"; }

class TimeAll {
 public:
  TimeAll(const TimeJob& job, Runner& runner)
      : job_(job),
        runner_(runner),
        watchdog_(job.patience),
        bandwidth_(measured()),
        end_{.results = begun(job, runner.device(), bandwidth_)} {}

  TimeEnd run() {
    for (const bool broke : {false, true})
      for (const TimedShape& shape : job_.shapes)
        for (const std::string& rung : job_.rungs)
          if (broke_device(rung) == broke && is_wanted(shape, rung)) time(shape, rung);
    write();
    if (end_.n_left > 0)
      job_.say(fmt::format("{} times are left for another run with --continue", end_.n_left));
    return std::move(end_);
  }

 private:
  Bandwidth measured() {
    const auto watch = watchdog_.watch("the read and copy bandwidth");
    return runner_.bandwidth();
  }
  bool broke_device(const std::string& rung) const {
    return result_of(job_.checked, rung) == CheckResult::ended;
  }
  bool is_wanted(const TimedShape& shape, const std::string& rung) const {
    if (is_early(rung) && shape.kv_len > kEarlyMostKeys) return false;
    const json& losses = end_.results.at("lost");
    const bool was_lost = std::any_of(losses.begin(), losses.end(), [&](const json& l) {
      return l.at("shape") == shape.name() && l.at("kernel") == rung;
    });
    return !was_lost && n_losses(end_.results, rung) < (broke_device(rung) ? 1 : kMostLosses) &&
           !has_result(end_.results, shape, rung) && runner_.why_not(rung, shape.shape()).empty();
  }
  bool is_over() const {
    return end_.lost ||
           (job_.seconds > 0 && std::chrono::duration<double>(Clock::now() - start_).count() > job_.seconds);
  }
  /// The rung to compare with: it takes the shape and is not known to be wrong. The rung itself if there is
  /// no other.
  std::string compared_with(const TimedShape& shape, const std::string& rung) const {
    for (const char* other : kComparedWith) {
      const CheckResult known = result_of(job_.checked, other);
      const bool is_wrong = known == CheckResult::failed || known == CheckResult::ended;
      if (rung != other && !is_wrong && runner_.why_not(other, shape.shape()).empty()) return other;
    }
    return rung.substr(0, rung.find('-'));
  }

  void time(const TimedShape& shape, const std::string& rung) {
    if (is_over()) return static_cast<void>(++end_.n_left);
    const std::string what = fmt::format("{}  {}  ", shape.name(), rung);
    forget_failure(end_.results, shape.name(), rung);
    end_.results["running"] = {{"shape", shape.name()}, {"kernel", rung}};
    write();
    try {
      const auto watch = watchdog_.watch(what + "timed");
      const Timing t = runner_.time(rung, shape.shape(), compared_with(shape, rung));
      add_result(end_.results, shape, rung, t, result_of(job_.checked, rung), bandwidth_.read);
      job_.say(fmt::format("{}{:.1f} µs{}", what, t.median_us,
                           t.difference <= agreement_bound(rung)
                               ? ""
                               : fmt::format("; its output DIFFERS from that of {} by {:.2g} of its size",
                                             t.compared_with, t.difference)));
    } catch (const CapacityError& e) {
      job_.say(what + "left out: " + e.what());
    } catch (const std::exception& e) {
      end_.failed = true;
      end_.lost = !runner_.lost().empty();
      (end_.lost ? add_loss : add_failure)(end_.results, shape.name(), rung, e.what());
      job_.say(what + "FAILED: " + e.what() + (end_.lost ? "; the device no longer answers" : ""));
    }
    end_.results.erase("running");
  }
  void write() const {
    if (!job_.json.empty()) write_text_atomically(job_.json, end_.results.dump(1) + "\n");
  }

  const TimeJob& job_;
  Runner& runner_;
  const Clock::time_point start_ = Clock::now();
  Watchdog watchdog_;
  const Bandwidth bandwidth_;
  TimeEnd end_;
};

}  // namespace

TimeEnd time_all(const TimeJob& job, Runner& runner) { return TimeAll(job, runner).run(); }

}  // namespace lastrow::driver
