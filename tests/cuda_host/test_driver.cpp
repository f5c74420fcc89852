// lastrow-kernels on a device that runs nothing and checks every call: what is timed, what is kept when
// something fails.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cuda_host/device.h"
#include "gpu/driver/check.h"
#include "gpu/driver/results.h"
#include "gpu/driver/time_all.h"
#include "io/json.h"

namespace lastrow::driver {
namespace {

struct File {
  ~File() { std::filesystem::remove(path); }
  std::string path = fmt::format("/tmp/lastrow_times_{}.json", getpid());
};

/// What time_all says, a line each.
struct Said {
  std::vector<std::string> lines;
  std::function<void(const std::string&)> say = [this](const std::string& line) { lines.push_back(line); };
  int64_t count(const std::string& part) const {
    return std::count_if(lines.begin(), lines.end(),
                         [&](const std::string& line) { return line.find(part) != std::string::npos; });
  }
};

size_t n_results(const std::string& path) { return read_json(path).at("results").size(); }

}  // namespace

TEST_CASE("every rung can be timed on every shape of the table, if it fits") {
  const Device device;
  const auto runner = cuda::make_runner();
  TimeJob job{.full = true, .say = [](const std::string&) {}, .rungs = {}};
  for (const RungInfo& rung : runner->rungs()) job.rungs.push_back(rung.name);
  const TimeReport times = time_all(job, *runner);
  CHECK_FALSE(times.failed);
  CHECK(times.results.at("shapes").size() == timed_shapes(true).size());
  CHECK(times.results.at("results").size() > 4000);
  for (const nlohmann::json& r : times.results.at("results")) CHECK(r.at("registers") > 0);
}

TEST_CASE("a shape that does not fit is said, and the others are timed") {
  const Device device({.memory_bytes = int64_t{20} << 30});
  const auto runner = cuda::make_runner();
  Said said;
  const TimeReport times = time_all({.say = said.say, .rungs = {"k09"}}, *runner);
  CHECK_FALSE(times.failed);
  CHECK(said.count("32:32×128 b128 kv32768 bf16  k09  left out: ") == 1);
  CHECK(said.count("of device memory asked for") == said.count("left out"));
  CHECK(times.results.at("results").size() + static_cast<size_t>(said.count("left out")) ==
        timed_shapes(false).size());
}

TEST_CASE("times are kept as they are taken, and another run takes what is left") {
  const Device device;
  const File file;
  const auto runner = cuda::make_runner();
  Said said;
  checked_cuda::fail_launches_of("k11_tensor_decode<lastrow::BFloat16, 64");
  TimeJob job{.json = file.path, .say = said.say, .rungs = {"k09", "k11"}};
  CHECK(time_all(job, *runner).failed);
  const auto n_failed = said.count("  k11  FAILED: cudaErrorLaunchOutOfResources in launch");
  CHECK(n_failed > 0);
  const size_t n_kept = n_results(file.path);

  checked_cuda::fail_launches_of("");
  job.go_on = true;
  CHECK_FALSE(time_all(job, *runner).failed);
  CHECK(n_results(file.path) == n_kept + static_cast<size_t>(n_failed));

  job.go_on = false;  // begins anew
  job.rungs = {"k09"};
  time_all(job, *runner);
  CHECK(n_results(file.path) < n_kept);
}

TEST_CASE("after the seconds that are given nothing is begun, and how much is left is said") {
  const Device device;
  const auto runner = cuda::make_runner();
  Said said;
  const TimeReport times = time_all({.seconds = 1e-9, .say = said.say, .rungs = {"k09"}}, *runner);
  CHECK(times.results.at("results").empty());
  CHECK(said.lines == std::vector<std::string>{fmt::format(
                          "{} times are left for another run with --continue", timed_shapes(false).size())});
}

TEST_CASE("a device that answers nothing any more ends the timing, and what was there is kept") {
  const Device device;
  const File file;
  const auto runner = cuda::make_runner();
  Said said;
  TimeJob job{.json = file.path, .rungs = {"k09"}};
  job.say = [&](const std::string& line) {
    said.say(line);
    if (said.lines.size() == 3) checked_cuda::fail_waits(cudaErrorIllegalAddress);
  };
  CHECK(time_all(job, *runner).failed);
  CHECK(said.lines.size() == 5);  // three times, the failure, what is left
  CHECK(said.count("FAILED: cudaErrorIllegalAddress") == 1);
  CHECK(said.count("the device answers nothing any more") == 1);
  CHECK(n_results(file.path) == 3);
}

TEST_CASE("a check ends at the problem after which the device answers nothing") {
  const Device device;
  const CheckSet set({"k05", "k06"}, [](const std::string&, const gpu::AttendShape&) { return true; });
  int64_t n_cases = 0;
  const CheckReport report = check({.n_cases = 10,
                                    .at = [&](int64_t i) { return set.full(i); },
                                    .make_runner = cuda::make_runner,
                                    .n_threads = 1,
                                    .progress =
                                        [&](int64_t done) {
                                          n_cases = done;
                                          if (done == 4) checked_cuda::fail_waits(cudaErrorIllegalAddress);
                                        }});
  CHECK(n_cases == 5);
  CHECK(report.lost.starts_with("k05 at f32, heads "));
  CHECK(report.lost.find("cudaErrorIllegalAddress") != std::string::npos);
  CHECK_FALSE(passed(report, "k05"));
  CHECK_FALSE(passed(report, "k12"));  // was never run
}

}  // namespace lastrow::driver
