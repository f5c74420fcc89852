// The times that the header of a rung names are those of the results in gpu/README.md.
//
//   // measured 32:8×128 b1 kv4096 bf16: 12.3 µs, 35 % of read (k06: 1904.0 µs; …)
//
// A time follows a shape, or another kernel's name, which then means the last shape. A rung that has no results says
// "measured not yet". Each number before "µs" and each share "% of read" has to be one of those.
#include <doctest/doctest.h>

#include <map>
#include <regex>

#include "project/rungs.h"

using namespace lastrow::project;

namespace {

struct Result {
  std::string us, share;
};
/// By shape and kernel.
using Results = std::map<std::pair<std::string, std::string>, Result>;

constexpr const char* kShape = "[0-9]+:[0-9]+×[0-9]+ b[0-9]+( q[0-9]+)? kv[0-9]+ [a-z0-9]+( paged[0-9]+)?";
constexpr const char* kKernel = "k[0-9][0-9][a-z]?(-rounded)?";

/// The cells of a row "| a | b |", without spaces around them.
std::vector<std::string> cells(std::string_view line) {
  std::vector<std::string> found;
  while (line.starts_with("| ") && line.size() > 2) {
    const size_t end = line.find(" |", 1);
    if (end == line.npos) break;
    const std::string_view cell = end > 2 ? line.substr(2, end - 2) : "";
    found.emplace_back(cell.substr(0, cell.find_last_not_of(' ') + 1));
    line.remove_prefix(end + 1);
  }
  return found;
}

Results results_in(std::string_view page) {
  Results results;
  const std::regex shape(kShape);
  for (const std::string_view line : lines_of(page))
    if (const auto row = cells(line); row.size() >= 8 && std::regex_match(row[0], shape))
      results[{row[0], row[2]}] = {row[3], row[7]};
  return results;
}

/// What the header says behind "// measured ", in one line; empty if it says nothing.
std::string measured(const std::string& text) {
  std::string said;
  for (const std::string_view line : lines_of(text)) {
    if (said.empty() ? !line.starts_with("// measured ") : !line.starts_with("//   ")) {
      if (!said.empty()) break;
      continue;
    }
    const std::string_view rest = line.substr(said.empty() ? 12 : 2);
    said += " " + std::string(rest.substr(std::min(rest.find_first_not_of(' '), rest.size())));
  }
  return said;
}

std::vector<std::string> wrong_times(const RungFile& rung, const Results& results) {
  std::vector<std::string> complaints;
  const auto complain = [&](const std::string& what) { complaints.push_back(rung.file->path + ": " + what); };
  const std::string said = measured(rung.file->text);
  if (said.empty()) complain("its header has no line \"// measured …\"");
  size_t n_own = 0, n_times = 0, n_checked = 0;
  for (const auto& [key, result] : results)
    n_own += key.second == rung.name || key.second == rung.name + "-rounded";
  if (said.starts_with(" not yet") != (n_own == 0))
    complain(n_own == 0 ? "it has no results: say \"measured not yet\""
                        : "it has results: name some of them");

  const std::regex time("((" + std::string(kShape) + ")|(" + kKernel +
                        ")): ([0-9.]+) µs(, ([0-9]+ %) of read)?");
  std::string shape;
  for (std::sregex_iterator at(said.begin(), said.end(), time), end; at != end; ++at, ++n_checked) {
    const std::smatch& match = *at;
    if (match[2].matched) shape = match[2];
    const std::string kernel = match[5].matched ? match[5].str() : rung.name;
    const auto result = results.find({shape, kernel});
    if (result == results.end())
      complain("the results have no " + kernel + " at '" + shape + "'");
    else if (match[7] != result->second.us || (match[8].matched && match[9] != result->second.share))
      complain(match.str() + ": the results say " + result->second.us + " µs, " + result->second.share);
  }
  const std::regex number("[0-9] (µs|% of read)");
  for (std::sregex_iterator at(said.begin(), said.end(), number), end; at != end; ++at) ++n_times;
  for (std::sregex_iterator at(said.begin(), said.end(), time), end; at != end; ++at)
    n_checked += (*at)[8].matched;
  if (n_checked != n_times)
    complain(
        "a time or a share does not follow a shape or a kernel as in \"32:8×128 b1 kv4096 bf16: 1.2 µs, 3 % "
        "of read\"");
  return complaints;
}

}  // namespace

TEST_CASE("times in headers, on results made up for it") {
  const Results results = results_in(
      "| rung | parent |\n| 1:1×8 b1 kv9 bf16 | 0.1 | k01 | 20.0 | 19–21 | 30.0 | 5 | 7 % | 9 |\n"
      "| 1:1×8 b1 kv9 bf16 | 0.1 | k02 | 10.0 | 9–11 | 30.0 | 5 | 14 % | 9 |\n");
  CHECK(results.size() == 2);
  const auto complaints = [&](const std::string& name, const std::string& header) {
    const SourceFile file{"gpu/ladder/x.cu", "// x\n" + header + "// source\n#include <x>\n"};
    return wrong_times({&file, name, ""}, results).size();
  };
  CHECK(complaints("k02", "// measured 1:1×8 b1 kv9 bf16: 10.0 µs, 14 % of read (k01: 20.0 µs)\n") == 0);
  CHECK(complaints("k02", "// measured 1:1×8 b1\n//          kv9 bf16: 10.0 µs\n") == 0);
  CHECK(complaints("k02", "// measured 1:1×8 b1 kv9 bf16: 10.1 µs\n") == 1);
  CHECK(complaints("k02", "// measured 1:1×8 b1 kv9 bf16: 10.0 µs, 15 % of read\n") == 1);
  CHECK(complaints("k02", "// measured 1:1×8 b1 kv8 bf16: 10.0 µs\n") == 1);
  CHECK(complaints("k02", "// measured 1:1×8 b1 kv9 bf16: 10.0 µs, and once 9 µs\n") == 1);
  CHECK(complaints("k02", "// measured not yet\n") == 1);
  CHECK(complaints("k03", "// measured not yet\n") == 0);
  CHECK(complaints("k03", "// measured soon\n") == 1);
  CHECK(complaints("k03", "// grid\n") == 2);
}

TEST_CASE("each time in the header of a rung is one of the results, and so is each in the list of rungs") {
  const auto page = std::find_if(sources().begin(), sources().end(),
                                 [](const SourceFile& file) { return file.path == "gpu/README.md"; });
  REQUIRE(page != sources().end());
  const Results results = results_in(page->text);
  CHECK(results.size() >= 80);
  std::vector<std::string> complaints;
  const std::vector<RungFile> ladder = rungs(sources());
  for (const RungFile& rung : ladder)
    for (const std::string& complaint : wrong_times(rung, results)) complaints.push_back(complaint);
  CHECK_MESSAGE(complaints.empty(), joined(complaints));

  const std::string listed_shape = "32:8×128 b1 kv4096 bf16";
  size_t n_listed = 0;
  for (const std::string_view line : lines_of(page->text))
    if (const auto row = cells(line); row.size() == 6 && std::regex_match(row[0], std::regex(kKernel))) {
      ++n_listed;
      const auto result = results.find({listed_shape, row[0]});
      const bool elsewhere = std::any_of(results.begin(), results.end(),
                                         [&](const auto& r) { return r.first.second == row[0]; });
      CHECK_MESSAGE(row[5] == (result != results.end() ? result->second.us
                               : elsewhere             ? "–"
                                                       : "not measured"),
                    row[0]);
    }
  CHECK(n_listed == ladder.size());
}
