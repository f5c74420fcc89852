// A rehearsal of gpu/measure: the same script as on a real GPU, with stand-ins for all that such a machine
// has. The program lastrow-kernels is the rehearsed one (rehearsal/device.cpp), which fails as
// LASTROW_REHEARSAL says.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "io/json.h"
#include "support/program.h"

namespace lastrow::testing {
namespace {

/// A folder with the programs that gpu/measure looks for; its folder packed/ has the packed programs.
class Machine {
 public:
  Machine() : folder_("measure") {
    std::filesystem::create_directories(folder_ / "bin");
    std::filesystem::create_directories(folder_ / "packed");
    program("bin/nvidia-smi", "echo 'GPU 0: a stand-in'");
    // Its own options end where the program begins.
    program("bin/compute-sanitizer",
            "while [[ $1 == --* ]]; do [[ $1 != --log-file ]] || log=$2; shift 2; done\n"
            "echo 'ERROR SUMMARY: '${ERRORS:-0}' errors' > $log\nexec \"$@\"");
    program("bin/python-with-torch", "[[ $1 == -c ]] || echo \"torch ran $*\" >&2");
    program("packed/test_cuda_device", "echo generations ran");
    program("packed/test_backend", "echo operations ran");
    std::filesystem::create_symlink(LASTROW_BIN_DIR "/rehearsal/lastrow-kernels",
                                    folder_ / "packed/lastrow-kernels");
  }
  /// Runs gpu/measure OUT with every 40th problem of the check.
  Outcome measure(const std::string& environment, const std::string& arguments) const {
    return shell(
        folder_,
        fmt::format("PATH={}:$PATH EVERY=40 PATIENCE=4 PYTHON=python-with-torch {} " LASTROW_SOURCE_DIR
                    "/gpu/measure {} {}",
                    (folder_ / "bin").string(), environment, out(""), arguments));
  }
  std::string packed() const { return "--prebuilt " + (folder_ / "packed").string(); }
  std::string program_path() const { return (folder_ / "packed/lastrow-kernels").string(); }
  std::string out(const std::string& file) const { return (folder_ / "out" / file).string(); }
  void program(const std::string& name, const std::string& script) const {
    remove(name);  // it may be a link
    std::ofstream(folder_ / name) << "#!/bin/bash\n" << script << "\n";
    std::filesystem::permissions(folder_ / name, std::filesystem::perms::owner_all);
  }
  void remove(const std::string& name) const { std::filesystem::remove(folder_ / name); }

 private:
  Folder folder_;
};

/// The lines of a text with this beginning.
int64_t n_lines(const std::string& text, const std::string& begin) {
  std::istringstream lines("\n" + text);
  int64_t n = 0;
  for (std::string line; std::getline(lines, line);) n += line.starts_with(begin);
  return n;
}

}  // namespace

TEST_CASE("other rungs keep their results if a rung fails, one hangs and one breaks the device") {
  const Machine machine;
  const Outcome run = machine.measure("LASTROW_REHEARSAL=fail=k03,hang=k05,break=k06",
                                      machine.packed() + " check times early torch");
  CAPTURE(run.err);
  CHECK(run.exit_code == 1);

  const std::string check = read_text(machine.out("check.txt"));
  CAPTURE(check);
  CHECK(has(check, "FAILED, first: "));  // k03
  CHECK(n_lines(check, "k05           BROKE THE DEVICE") == 1);
  CHECK(n_lines(check, "k06           BROKE THE DEVICE") == 1);
  for (const char* rung :
       {"k01 ", "k02 ", "k04 ", "k07 ", "k08 ", "k09 ", "k10 ", "k11 ", "k12 ", "k12-rounded "}) {
    CAPTURE(std::string(rung));
    CHECK(n_lines(check, rung) > 0);
  }

  const nlohmann::json times = read_json(machine.out("times.json"));
  const auto n_times = [&](const std::string& rung) {
    return std::count_if(times.at("results").begin(), times.at("results").end(),
                         [&](const nlohmann::json& r) { return r.at("kernel") == rung; });
  };
  CHECK(times.at("results").at(0).at("kernel") == "k12");  // prefill is the first
  CHECK(n_times("k12") == 2);
  CHECK(n_times("k11") == 12);
  CHECK(n_times("k09") == 12);
  CHECK(n_times("k12-rounded") == 2);
  CHECK(n_times("k11-rounded") == 12);
  CHECK(n_times("k01") == 4);
  CHECK(n_times("k07") == 4);
  CHECK(n_times("k05") == 0);
  CHECK(n_times("k06") == 0);
  CHECK(times.at("lost").size() == 2);  // one try each, because both broke the device in the check
  CHECK_FALSE(times.contains("running"));
  for (const nlohmann::json& r : times.at("results")) {
    CHECK(r.at("compared_with") != "k05");  // k05 is known to hang
    CHECK(r.at("check") == (r.at("kernel") == "k03" ? "failed" : "held"));
  }

  const std::string page = read_text(machine.out("README.md"));
  CHECK(has(page, "| k03 ✗ |"));
  CHECK(has(page,
            "✗ k03 at 32:8×128 b1 kv512 bf16: missed its bound in the check; its output differs by 0.5 "));
  CHECK(has(page, "k05 at 32:8×128 b1 kv512 bf16: no time: the process ended while it was timed."));
  CHECK(has(read_text(machine.out("log.txt")), "torch ran "));
  const std::string summary = read_text(machine.out("summary.txt"));
  CHECK(n_lines(summary, "check") == 1);
  CHECK(n_lines(run.err, "== the device was lost") == 2 + 2);  // in the check, and among the early rungs
  CHECK(has(run.err, "failed: check;"));
  CHECK(std::distance(std::filesystem::directory_iterator(machine.out("")), {}) <= 6);
}

TEST_CASE("if the seconds are too few, the last steps are left out") {
  const Machine machine;
  // Steps need 10 s to begin; the first one takes at least 5 s of the 14 s, on however fast a machine.
  machine.program("bin/compute-sanitizer", "sleep 5");
  const Outcome run =
      machine.measure("", machine.packed() + " --seconds 14 memcheck check times early torch");
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);  // a step that was cut has not failed
  const std::string summary = read_text(machine.out("summary.txt"));
  CAPTURE(summary);
  CHECK(has(summary, "GPU 0: a stand-in"));
  CHECK(has(summary, ": read "));  // GB/s
  CHECK(has(summary, "cut: its seconds were over"));
  CHECK(summary.find("cut: its seconds") > summary.find("memcheck"));
  CHECK_FALSE(std::filesystem::exists(machine.out("check.jsonl")));
}

TEST_CASE("a second call continues with the times and the check of the first") {
  const Machine machine;
  machine.measure("", machine.packed() + " check");
  CHECK(has(read_text(machine.out("check.txt")), " runs against naive-f64, 0 failed"));
  const Outcome run = machine.measure("", machine.packed() + " early");
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  for (const nlohmann::json& r : read_json(machine.out("times.json")).at("results"))
    CHECK(r.at("check") == "held");
  CHECK(n_lines(read_text(machine.out("log.txt")), "==== gpu/measure ") == 2);
}

TEST_CASE("a signal ends the running step, and what was measured is kept") {
  const Machine machine;
  machine.measure("PATIENCE=60 LASTROW_REHEARSAL=hang=k02 timeout -s TERM 6", machine.packed() + " check");
  const std::string summary = read_text(machine.out("summary.txt"));
  CAPTURE(summary);
  CHECK(n_lines(summary, "check            -    ended by SIGTERM") == 1);
  CHECK(std::filesystem::exists(machine.out("rest.tar.gz")));
  CHECK_FALSE(std::filesystem::exists(machine.out("check.jsonl")));
  const Folder folder("measure_left");
  CHECK(shell(folder, "pgrep -f '^" + machine.program_path() + "'").exit_code == 1);  // nothing of ours runs
}

TEST_CASE("a finding of compute-sanitizer is a failure, whatever the program's own status") {
  const Machine machine;
  const Outcome clean = machine.measure("", machine.packed() + " memcheck");
  CAPTURE(clean.err);
  CHECK(clean.exit_code == 0);
  const Outcome run = machine.measure("ERRORS=2", machine.packed() + " memcheck");
  CHECK(run.exit_code == 1);
  CHECK(has(run.err, "failed: memcheck;"));
}

TEST_CASE("if the packed programs do not start, they are built on the machine") {
  const Machine machine;
  machine.program("packed/lastrow-kernels", "echo 'no such library' >&2; exit 127");
  machine.program(
      "bin/cmake",
      "for a in \"$@\"; do [[ $previous != -B && $previous != --build ]] || build=$a; previous=$a; done\n"
      "mkdir -p $build/bin; ln -sf " LASTROW_BIN_DIR "/rehearsal/lastrow-kernels $build/bin/");
  const Outcome run = machine.measure("", machine.packed() + " generations");
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(has(run.err, "do not start (see log.txt): building here"));
  CHECK(has(read_text(machine.out("log.txt")), "no such library"));
  CHECK(has(read_text(machine.out("summary.txt")), "left out: no test_backend"));
}

TEST_CASE("gpu/measure refuses arguments that make no sense, in one line") {
  const Machine machine;
  const auto refused = [&](const std::string& arguments, const std::string& why) {
    const Outcome run = machine.measure("", arguments);
    CAPTURE(run.err);
    CHECK(run.exit_code == 2);
    CHECK(has(run.err, why));
    CHECK(n_lines(run.err, "gpu/measure: ") == 1);
    CHECK_FALSE(std::filesystem::exists(machine.out("log.txt")));
  };
  refused("--seconds soon", "--seconds is 'soon', not a number of seconds");
  refused("--seconds", "--seconds needs a value");
  refused("--prebuilt /nonexistent", "there is no folder '/nonexistent'");
  refused("lunch", "steps: memcheck check times");
  machine.remove("bin/nvidia-smi");
  machine.program("bin/nvidia-smi", "exit 9");
  refused("", "no NVIDIA GPU answers");
}

}  // namespace lastrow::testing
