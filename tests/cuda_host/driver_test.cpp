// lastrow-kernels on a device that runs nothing and checks every call: what is timed, and what is kept if
// something fails.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cuda_host/device.h"
#include "gpu/driver/check.h"
#include "gpu/driver/results.h"
#include "gpu/driver/table.h"
#include "gpu/driver/time_all.h"
#include "io/json.h"

namespace lastrow::driver {
namespace {

struct File {
  ~File() { std::filesystem::remove(path); }
  std::string path = fmt::format("/tmp/lastrow_times_{}.json", getpid());
};

/// The lines that time_all says.
struct Said {
  std::vector<std::string> lines;
  std::function<void(const std::string&)> say = [this](const std::string& line) { lines.push_back(line); };
  int64_t count(const std::string& part) const {
    return std::count_if(lines.begin(), lines.end(),
                         [&](const std::string& line) { return line.find(part) != std::string::npos; });
  }
};

size_t n_results(const std::string& path) { return read_json(path).at("results").size(); }
size_t n_lost(const std::string& path) { return read_json(path).at("lost").size(); }

/// Times these rungs on a set of shapes.
TimeJob job_of(ShapeSet set, std::vector<std::string> rungs, const Said& said, const std::string& json = "") {
  return {.shapes = timed_shapes(set), .rungs = std::move(rungs), .json = json, .say = said.say};
}

/// The first n problems of the full set for k05 and k06, on one thread.
CheckJob check_job(const CheckSet& set, int64_t n) {
  return {.n_cases = n,
          .at = [&](int64_t i) { return set.full(i); },
          .make_runner = [] { return cuda::make_runner(); },
          .n_threads = 1,
          .one_device = true};
}
CheckSet k05_and_k06() {
  return {{"k05", "k06"}, [](const std::string&, const gpu::AttendShape&) { return true; }};
}

}  // namespace

TEST_CASE("every rung can be timed on every shape, if it fits") {
  const Device device;
  const auto runner = cuda::make_runner();
  const Said said;
  TimeJob job = job_of(ShapeSet::full, {}, said);
  for (const RungInfo& rung : runner->rungs()) job.rungs.push_back(rung.name);
  const TimeEnd times = time_all(job, *runner);
  CHECK_FALSE(times.failed);
  CHECK(times.results.at("shapes").size() == job.shapes.size());
  CHECK(times.results.at("results").size() > 3500);
  for (const nlohmann::json& r : times.results.at("results")) CHECK(r.at("registers") > 0);
}

TEST_CASE("the first rungs are timed with at most 4,096 keys, and no shape has more than 4 GB of K and V") {
  for (const TimedShape& shape : timed_shapes(ShapeSet::full)) CHECK(shape.kv_bytes() <= 4'000'000'000);
  CHECK(timed_shapes(ShapeSet::few).size() == 14);
  const Device device;
  const auto runner = cuda::make_runner();
  const Said said;
  const TimeEnd times = time_all(job_of(ShapeSet::table, {"k01", "k04", "k05"}, said), *runner);
  int64_t n_early = 0, n_long = 0;
  for (const nlohmann::json& r : times.results.at("results")) {
    const bool is_long = r.at("shape").get<std::string>().find("kv32768") != std::string::npos;
    n_early += r.at("kernel") != "k05";
    n_long += is_long;
    CHECK((r.at("kernel") == "k05" || !is_long));
  }
  CHECK(n_early > 0);
  CHECK(n_long > 0);
}

TEST_CASE("shapes are chosen by words of their names, in the order of the choices") {
  const auto names = [](const std::vector<std::string>& choices) {
    std::vector<std::string> found;
    for (const TimedShape& shape : chosen_shapes(ShapeSet::few, choices)) found.push_back(shape.name());
    return found;
  };
  using Names = std::vector<std::string>;
  CHECK(names({"paged16", "prefill 64:8x128"}) ==
        Names{"32:8×128 b32 kv4096 bf16 paged16", "64:8×128 b1 q4096 kv4096 bf16"});
  CHECK(names({"32:8×128 b1 kv4096 decode", "32:8×128 b1"}) ==
        Names{"32:8×128 b1 kv4096 bf16", "32:8×128 b1 q4096 kv4096 bf16", "32:8×128 b1 kv32768 bf16"});
  CHECK(names({}).size() == 14);
  CHECK_THROWS_WITH_AS(names({"b77"}), doctest::Contains("no shape fits --only 'b77'"), UsageError);
}

TEST_CASE("a shape that does not fit is reported, and the others are timed") {
  const Device device({.memory_bytes = int64_t{3} << 30});
  const auto runner = cuda::make_runner();
  const Said said;
  const TimeEnd times = time_all(job_of(ShapeSet::table, {"k09"}, said), *runner);
  CHECK_FALSE(times.failed);
  CHECK(said.count("32:8×128 b128 kv4096 bf16  k09  ") == 1);
  CHECK(said.count("left out: ") > 0);
  CHECK(said.count("of device memory: ") == said.count("left out"));
  CHECK(times.results.at("results").size() + static_cast<size_t>(said.count("left out")) ==
        timed_shapes(ShapeSet::table).size());
}

TEST_CASE("each time is kept as soon as it is taken, and another run takes those that are left") {
  const Device device;
  const File file;
  const auto runner = cuda::make_runner();
  const Said said;
  checked_cuda::fail_launches_of("k11_tensor_decode<lastrow::BFloat16, 64");
  TimeJob job = job_of(ShapeSet::table, {"k09", "k11"}, said, file.path);
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

TEST_CASE("after the given seconds nothing is begun, and the number of times left is said") {
  const Device device;
  const auto runner = cuda::make_runner();
  const Said said;
  TimeJob job = job_of(ShapeSet::few, {"k09"}, said);
  job.seconds = 1e-9;
  CHECK(time_all(job, *runner).results.at("results").empty());
  CHECK(said.lines == std::vector<std::string>{"14 times are left for another run with --continue"});
}

TEST_CASE("a device that no longer answers ends the timing, and earlier times are kept") {
  const Device device;
  const File file;
  const auto runner = cuda::make_runner();
  Said said;
  TimeJob job = job_of(ShapeSet::few, {"k09"}, said, file.path);
  job.say = [&](const std::string& line) {
    said.say(line);
    if (said.lines.size() == 3) checked_cuda::fail_waits(cudaErrorIllegalAddress);
  };
  CHECK(time_all(job, *runner).lost);
  CHECK(said.lines.size() == 5);  // three times, the failure, what is left
  CHECK(said.count("FAILED: cudaErrorIllegalAddress") == 1);
  CHECK(said.count("the device no longer answers") == 1);
  CHECK(n_results(file.path) == 3);

  // A new process continues after the time that was lost.
  checked_cuda::fail_waits(cudaSuccess);
  job.say = said.say;
  job.go_on = true;
  CHECK_FALSE(time_all(job, *runner).lost);
  CHECK(n_lost(file.path) == 1);
  CHECK(n_results(file.path) == 13);
}

TEST_CASE(
    "if a process ends while a time is taken, that time is lost; after two losses the rung is not timed") {
  const Device device;
  const File file;
  const auto runner = cuda::make_runner();
  const Said said;
  TimeJob job = job_of(ShapeSet::few, {"k09"}, said, file.path);
  nlohmann::json left = time_all(job, *runner).results;
  const size_t n_all = left.at("results").size();
  left["running"] = {{"shape", left.at("results").at(1).at("shape")}, {"kernel", "k09"}};
  left["results"].erase(1);
  std::ofstream(file.path) << left;

  job.go_on = true;
  job.rungs = {"k10", "k09"};
  time_all(job, *runner);
  const nlohmann::json after = read_json(file.path);
  CHECK_FALSE(after.contains("running"));
  CHECK(after.at("lost").at(0).at("why") == "the process ended while it was timed");
  CHECK(n_losses(after, "k09") == 1);

  left = after;
  left["running"] = {{"shape", "any"}, {"kernel", "k10"}};
  left["lost"].push_back({{"shape", "some"}, {"kernel", "k10"}, {"why", "it hung"}});
  left["results"] = nlohmann::json::array();
  std::ofstream(file.path) << left;
  time_all(job, *runner);
  const nlohmann::json last = read_json(file.path);
  CHECK(n_losses(last, "k10") == 2);
  for (const nlohmann::json& r : last.at("results")) CHECK(r.at("kernel") == "k09");
  CHECK(n_results(file.path) == n_all - 1);
}

TEST_CASE("a timed output that is not written, or not right, is marked") {
  const Device device;  // its kernels write nothing, so outputs stay NaN
  const auto runner = cuda::make_runner();
  const Said said;
  TimeJob job = job_of(ShapeSet::few, {"k09"}, said);
  job.shapes.resize(3);
  job.checked.lines[{"k09", DType::bf16}] = {.n_problems = 5, .n_failed = 1, .first_failure = "at some"};
  const nlohmann::json results = time_all(job, *runner).results;
  CHECK(said.count("its output DIFFERS from that of k05") == 3);
  for (const nlohmann::json& r : results.at("results")) {
    CHECK(r.at("compared_with") == "k05");
    CHECK(r.at("difference").is_null());
    CHECK_FALSE(r.at("agrees").get<bool>());
    CHECK(r.at("check") == "failed");
  }
  const std::string text = table(results);
  CHECK(text.find("| k09 ✗ |") != std::string::npos);
  CHECK(text.find(
            "✗ k09 at 32:8×128 b1 q4096 kv4096 bf16: missed its bound in the check; its output cannot be ") !=
        std::string::npos);
}

TEST_CASE("a check ends where the device no longer answers, and a new process continues with the next rung") {
  const Device device;
  const File file;
  const CheckSet set = k05_and_k06();
  CheckJob job = check_job(set, 10);
  int64_t n_cases = 0;
  job.progress = [&](int64_t done) {
    n_cases = done;
    if (done == 4) checked_cuda::fail_waits(cudaErrorIllegalAddress);
  };
  {
    CheckJournal journal(file.path, {"full", 10});
    const CheckEnd end = check(job, journal);
    CHECK(n_cases == 5);
    CHECK(end.lost.starts_with("k05 at f32, heads "));
    CHECK(end.lost.find("cudaErrorIllegalAddress") != std::string::npos);
    const CheckReport report = make_report(journal);
    CHECK(result_of(report, "k05") == CheckResult::ended);
    CHECK(result_of(report, "k12") == CheckResult::not_checked);
  }
  checked_cuda::fail_waits(cudaSuccess);
  job.progress = [](int64_t) {};
  CheckJournal journal(file.path, {"full", 10});
  CHECK(check(job, journal).lost.empty());
  const CheckReport report = make_report(journal);
  CHECK(report.ended.at("k05").starts_with("f32, heads "));
  CHECK(report.lines.at({"k05", DType::f32}).n_problems == 5);
  CHECK(report.lines.at({"k06", DType::f32}).n_problems == 10);
}

TEST_CASE("if a process ends in the middle, its journal says which rung ran") {
  const File file;
  {
    CheckJournal journal(file.path, {"quick", 7});
    journal.begin("k05", 0, "here");
    journal.end({"k05", DType::bf16, 0, 0.25, ""});
    journal.begin("k06", 0, "there");
  }
  {
    CheckJournal journal(file.path, {"quick", 7});
    CHECK(journal.ended_by("k06") == "there");
    journal.begin("k07", 0, "elsewhere");
    journal.end({"k07", DType::bf16, 0, 0.25, ""});
  }
  std::ofstream(file.path, std::ios::app) << "{\"begin\": \"k0";  // a line that was cut off
  CheckJournal journal(file.path, {"quick", 7});
  CHECK(journal.knows("k05", 0));
  CHECK_FALSE(journal.knows("k05", 1));
  CHECK(journal.ended_by("k05").empty());
  CHECK(journal.ended_by("k06") == "there");
  CHECK(result_of(make_report(journal), "k05") == CheckResult::held);
  CHECK_THROWS_WITH_AS(CheckJournal(file.path, {"quick", 8}), doctest::Contains("name another file"),
                       FileError);

  std::ofstream(file.path) << "something else\n";
  CHECK_THROWS_WITH_AS(CheckJournal(file.path, {"quick", 7}), doctest::Contains("is not a journal"),
                       FileError);
}

TEST_CASE("a check begins nothing after its seconds, and says how many problems are left") {
  const Device device;
  const CheckSet set = k05_and_k06();
  CheckJob job = check_job(set, 10);
  job.seconds = 1e-9;
  CheckJournal journal("", {"full", 10});
  CHECK(check(job, journal).n_left == 10);
  CHECK(journal.outcomes().empty());
}

}  // namespace lastrow::driver
