// Rules for the whole repository: its top level, its headers, and text that no file may contain.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <regex>

#include "project/floors.h"
#include "project/sources.h"

using namespace lastrow::project;

TEST_CASE("the top level holds the design's folders and nothing else") {
  constexpr std::array allowed = {"src",      "gpu",     "viewer",         "lessons",
                                  "tests",    "LICENSE", "CMakeLists.txt", "CMakePresets.json",
                                  "README.md"};
  for (const auto& entry : std::filesystem::directory_iterator(in_repository(""))) {
    const std::string name = entry.path().filename().string();
    const bool ignored_by_git = name == "build" || name.starts_with("build-") ||
                                name == "compile_commands.json" || name == "CMakeUserPresets.json";
    CHECK_MESSAGE((name.starts_with('.') || ignored_by_git ||
                   std::find(allowed.begin(), allowed.end(), name) != allowed.end()),
                  name << " has no place at the top level");
  }
}

TEST_CASE("every header is guarded by #pragma once, after at most its comment") {
  for (const SourceFile& file : sources()) {
    if (!file.is_header()) continue;
    const auto lines = lines_of(file.text);
    const auto first_code = std::find_if(lines.begin(), lines.end(), [](std::string_view line) {
      return !line.empty() && !line.starts_with("//");
    });
    CHECK_MESSAGE((first_code != lines.end() && *first_code == "#pragma once"), file.path);
  }
}

TEST_CASE("a source includes its own header first, so that compiling it proves the header complete") {
  for (const SourceFile& file : sources()) {
    if (!file.path.ends_with(".cpp")) continue;
    const std::string header = file.path.substr(0, file.path.size() - 4) + ".h";
    if (!std::filesystem::exists(in_repository(header))) continue;
    const auto includes = includes_of(file);
    CHECK_MESSAGE(
        (!includes.empty() && includes[0].quoted && ("/" + header).ends_with("/" + includes[0].name)),
        file.path << " does not begin with " << header);
  }
}

TEST_CASE("nothing is left to be done later, and no path of one machine stands in a file") {
  // The words are put together here, so that this file does not contain them itself.
  const std::string later =
      "\\b(TO"
      "DO|FIX"
      "ME|XX"
      "X)\\b";
  const std::string machine =
      "(^|[\\s\"'(=`:])(/ho"
      "me|/ro"
      "ot|/Us"
      "ers|/wo"
      "rk)/";
  const std::regex pattern(later + "|" + machine);
  const auto finds = [&](std::string_view line) {
    return std::regex_search(line.begin(), line.end(), pattern);
  };
  CHECK(
      finds("// TO"
            "DO: later"));
  CHECK(
      finds("open(\"/ho"
            "me/someone/file\")"));
  CHECK_FALSE(finds("viewer/homework/file, todos, src/work/"));

  std::vector<std::string> complaints;
  for (const SourceFile& file : sources()) {
    int number = 0;
    for (std::string_view line : lines_of(file.text)) {
      ++number;
      if (line.size() < 4000 && finds(line)) complaints.push_back(complaint(file, number, std::string(line)));
    }
  }
  CHECK_MESSAGE(complaints.empty(), joined(complaints));
}

TEST_CASE("text ends with a newline and holds neither tabs nor spaces at line ends") {
  std::vector<std::string> complaints;
  for (const SourceFile& file : sources()) {
    if (!file.is_cpp() && !file.path.ends_with(".md") && !file.path.ends_with("run") &&
        !file.path.ends_with(".txt"))
      continue;
    if (!file.text.empty() && file.text.back() != '\n')
      complaints.push_back(file.path + ": no newline at its end");
    int number = 0;
    for (std::string_view line : lines_of(file.text)) {
      ++number;
      if (line.ends_with(' ') || line.ends_with('\r') || line.find('\t') != line.npos)
        complaints.push_back(complaint(file, number, "tab, or space at the end"));
    }
  }
  CHECK_MESSAGE(complaints.empty(), joined(complaints));
}
