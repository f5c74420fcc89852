// src, viewer and lessons also compile with clang 14 or later: each source that this build compiles is read by clang
// with the same options, by syntax alone. About 210 s of processor time, spread over all cores.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Outcome {
  int status;  // of exit; −1 if it was killed
  std::string said;
};

Outcome run(const std::string& command) {
  std::string said;
  FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, pipe)) > 0;) said.append(part, n);
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, said};
}

/// The command of the first clang of version 14 or later; empty if there is none.
std::string clang() {
  for (const char* name : {"clang++-14", "clang++"}) {
    std::smatch version;
    const std::string said = run(std::string(name) + " --version").said;
    if (std::regex_search(said, version, std::regex("clang version ([0-9]+)")) && std::stoi(version[1]) >= 14)
      return name;
  }
  return "";
}

/// What the build says of a source with clang in place of its compiler, and nothing written.
std::string with_clang(const std::string& compiler, const std::string& command) {
  const size_t options = command.find(" -"), output = command.rfind(" -o "), source = command.rfind(" -c ");
  REQUIRE((options < output && output < source && source != command.npos));
  return compiler + " -w -fsyntax-only" + command.substr(options, output - options) + command.substr(source);
}

/// By source, the commands of src, viewer and lessons.
std::map<std::string, std::string> commands_of_build() {
  std::ifstream file(LASTROW_BUILD_DIR "/compile_commands.json");
  REQUIRE_MESSAGE(file, "no " LASTROW_BUILD_DIR "/compile_commands.json");
  std::map<std::string, std::string> commands;
  for (const auto& entry : nlohmann::json::parse(file)) {
    const std::string path = entry.at("file").get<std::string>();
    for (const char* folder : {"/src/", "/viewer/", "/lessons/"})
      if (path.starts_with(std::string(LASTROW_SOURCE_DIR) + folder) && path.ends_with(".cpp"))
        commands[path] = entry.at("command").get<std::string>();
  }
  return commands;
}

}  // namespace

TEST_CASE("a command of the build, as clang is given it") {
  CHECK(with_clang("clang++", "/usr/bin/ccache /usr/bin/c++ -DA=1 -I/b -O3 -o a.dir/a.cpp.o -c /b/a.cpp") ==
        "clang++ -w -fsyntax-only -DA=1 -I/b -O3 -c /b/a.cpp");
}

TEST_CASE("clang refuses text that is not C++") {
  const std::string compiler = clang();
  if (compiler.empty()) return;
  CHECK(run("echo 'int a = 1;' | " + with_clang(compiler, "c++ -x c++ -o a.o -c -")).status == 0);
  CHECK(run("echo 'int a = ;' | " + with_clang(compiler, "c++ -x c++ -o a.o -c -")).status != 0);
}

TEST_CASE("clang also compiles each source of src, viewer and lessons that this build compiles") {
  const std::string compiler = clang();
  if (compiler.empty()) {
    fmt::print("skipped: no clang++ of version 14 or later is installed (Debian's package: clang-14)\n");
    return;
  }
  const auto commands = commands_of_build();
  CHECK(commands.size() >= 100);  // the build was found

  std::atomic<size_t> next = 0;
  std::mutex mutex;
  std::string refused;
  const auto work = [&] {
    for (size_t i; (i = next++) < commands.size();) {
      const auto& [path, command] = *std::next(commands.begin(), static_cast<std::ptrdiff_t>(i));
      const Outcome outcome = run("cd " LASTROW_BUILD_DIR " && " + with_clang(compiler, command));
      if (outcome.status == 0) continue;
      const std::lock_guard lock(mutex);
      refused += fmt::format("\n{}:\n{}", path, outcome.said.substr(0, 2000));
    }
  };
  std::vector<std::jthread> workers;
  for (unsigned i = 1; i < std::max(1u, std::thread::hardware_concurrency()); ++i) workers.emplace_back(work);
  work();
  workers.clear();  // waits for them
  CHECK_MESSAGE(refused.empty(), refused);
}
