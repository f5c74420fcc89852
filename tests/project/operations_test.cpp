// A new operation is a file of src/ops, a function in each backend, and the line of the forward that calls it. So
// nothing else names an operation: what watches, counts or explains asks the operation itself.
#include <doctest/doctest.h>

#include <algorithm>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "project/sources.h"

using namespace lastrow::project;

namespace {

/// The alternatives of Op, by the text of src/ops/op.h, without those that may be named anywhere: the cache and
/// attention are what the project is about.
std::set<std::string> operation_names(const std::string& op_header) {
  static const std::regex variant(R"(using Op = std::variant<([^>]*)>)"), name(R"(\w+)");
  std::smatch list;
  if (!std::regex_search(op_header, list, variant)) return {};
  const std::string names = list[1];
  std::set<std::string> all(std::sregex_token_iterator(names.begin(), names.end(), name), {});
  for (const char* anywhere : {"Append", "Attend", "Probe", "ScoreMass"}) all.erase(anywhere);
  return all;
}

bool may_name_operations(const SourceFile& file) {
  return file.is_in("src/ops") || file.is_in("src/backend") || file.is_in("gpu/backend") ||
         file.is_in("gpu/ops") || file.path.starts_with("src/model/decoder.") || file.is_in("tests") ||
         file.is_in("lessons/exercises/checkers");  // a checker judges a student's version of one operation
}

/// "path:line: names Gelu" for each line of code that does.
std::vector<std::string> named_operations(const SourceFile& file, const std::set<std::string>& names) {
  static const std::regex word(R"((^|[^\w:])(\w+)\b)");
  std::vector<std::string> found;
  int number = 0;
  for (const std::string_view line : lines_of(file.text)) {
    ++number;
    const std::string code =
        std::regex_replace(std::string(line.substr(0, line.find("//"))), std::regex(R"("[^"]*")"), "\"\"");
    for (auto it = std::sregex_iterator(code.begin(), code.end(), word); it != std::sregex_iterator(); ++it)
      if (names.contains((*it)[2]))
        found.push_back(file.path + ":" + std::to_string(number) + ": names " + (*it)[2].str());
  }
  return found;
}

}  // namespace

TEST_CASE("the rule, on files made up for it") {
  const std::set<std::string> names =
      operation_names("using Op = std::variant<Embed, Append, Attend,\n  Probe, Gelu>;\n");
  CHECK(names == std::set<std::string>{"Embed", "Gelu"});
  const auto n_named = [&](const char* text) {
    return named_operations({"src/trace/a.cpp", text}, names).size();
  };
  CHECK(n_named("if (std::holds_alternative<Gelu>(op)) {}\n") == 1);
  CHECK(n_named("backend.run(Embed{site, table, batch, x});\n") == 1);
  CHECK(n_named("inner().run(Attend{site, q});\n") == 0);
  CHECK(n_named("// Gelu is named here\nlog(\"Gelu\");\nGeluLike x;\n") == 0);
  CHECK(may_name_operations({"src/model/decoder.cpp", ""}));
  CHECK_FALSE(may_name_operations({"src/trace/tracing.cpp", ""}));
}

TEST_CASE("nothing outside src/ops, the backends and the forward names an operation") {
  std::set<std::string> names;
  for (const SourceFile& file : sources())
    if (file.path == "src/ops/op.h") names = operation_names(file.text);
  REQUIRE(names.size() >= 8);  // the header was found, and read
  std::vector<std::string> complaints;
  for (const SourceFile& file : sources()) {
    if (!file.is_cpp() || may_name_operations(file)) continue;
    const std::vector<std::string> found = named_operations(file, names);
    complaints.insert(complaints.end(), found.begin(), found.end());
  }
  CHECK_MESSAGE(complaints.empty(), joined(complaints));
}
