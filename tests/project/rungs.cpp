#include "project/rungs.h"

#include <algorithm>
#include <regex>
#include <set>

namespace lastrow::project {
namespace {

constexpr size_t kMostHeaders = 10;

/// The text of `key` in the definition of a Rung: .name = "k05".
std::string field(const std::string& text, const std::string& key) {
  std::smatch match;
  return std::regex_search(text, match, std::regex("\\." + key + " = \"([^\"]*)\"")) ? match[1].str() : "";
}

std::string without_indent(std::string_view line) {
  const size_t begin = line.find_first_not_of(" \t");
  return begin == line.npos ? "" : std::string(line.substr(begin, line.find_last_not_of(" \t") + 1 - begin));
}

/// The lines that count.
std::vector<std::string> code_lines(const RungFile& rung) {
  const std::regex own_name("\\b" + rung.name + "(_\\w+)?\\b");
  std::vector<std::string> code;
  bool in_header = true;
  for (const std::string_view line : lines_of(rung.file->text)) {
    in_header = in_header && line.starts_with("//");
    const std::string text = without_indent(line);
    if (!in_header && !text.empty()) code.push_back(std::regex_replace(text, own_name, "rung"));
  }
  return code;
}

size_t longest_common(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<size_t> last(b.size() + 1), next(b.size() + 1);
  for (const std::string& line : a) {
    for (size_t i = 0; i < b.size(); ++i)
      next[i + 1] = line == b[i] ? last[i] + 1 : std::max(last[i + 1], next[i]);
    std::swap(last, next);
  }
  return last.back();
}

/// Whether the header comment has a sentence with this first word.
bool has_reason(const SourceFile& file, const std::string& word) {
  const std::regex sentence("(^|\n)// " + word + "  \\S[^\n]*(\n//  +[^\n]*)*\\.(\n|$)");
  return std::regex_search(file.text.substr(0, file.text.find("#include")), sentence);
}

}  // namespace

std::vector<RungFile> rungs(const std::vector<SourceFile>& files) {
  static const std::regex path("^gpu/ladder/(k[0-9][0-9][a-z]?)_[a-z0-9_]+\\.cu$");
  std::vector<RungFile> found;
  for (const SourceFile& file : files)
    if (std::regex_match(file.path, path))
      found.push_back({&file, field(file.text, "name"), field(file.text, "parent")});
  return found;
}

Changed changed_lines(const RungFile& parent, const RungFile& rung) {
  const std::vector<std::string> before = code_lines(parent), after = code_lines(rung);
  const size_t n_all = before.size() + after.size();
  return {n_all - 2 * longest_common(before, after), n_all};
}

std::vector<std::string> opened_headers(const SourceFile& file, const std::vector<SourceFile>& files) {
  std::set<std::string> opened;
  std::vector<const SourceFile*> to_read = {&file};
  while (!to_read.empty()) {
    const SourceFile& next = *to_read.back();
    to_read.pop_back();
    for (const Include& include : includes_of(next)) {
      const bool counts = include.name.starts_with("gpu/") && !include.name.starts_with("gpu/simt/") &&
                          include.name != "gpu/target/stream.h";
      if (!counts || !opened.insert(include.name).second || include.name == "gpu/target/target.h") continue;
      for (const SourceFile& other : files)
        if (other.path == include.name) to_read.push_back(&other);
    }
  }
  return {opened.begin(), opened.end()};
}

std::vector<std::string> complaints_about(const std::vector<RungFile>& rungs,
                                          const std::vector<SourceFile>& files) {
  std::vector<std::string> complaints;
  const auto complain = [&](const RungFile& rung, const std::string& what) {
    complaints.push_back(rung.file->path + ": " + what);
  };
  for (const RungFile& rung : rungs) {
    if (rung.name.empty() || !rung.file->path.starts_with("gpu/ladder/" + rung.name + "_"))
      complain(rung, "its Rung is not named like the file");
    bool rewritten = false;
    if (!rung.parent.empty()) {
      const auto parent = std::find_if(rungs.begin(), rungs.end(),
                                       [&](const RungFile& other) { return other.name == rung.parent; });
      if (parent == rungs.end()) {
        complain(rung, "its parent '" + rung.parent + "' is not in the ladder");
        continue;
      }
      const Changed changed = changed_lines(*parent, rung);
      rewritten = 2 * changed.n_lines > changed.n_all;
      if (rewritten && !has_reason(*rung.file, "rewrite"))
        complain(rung, std::to_string(changed.n_lines) + " of " + std::to_string(changed.n_all) +
                           " lines differ from " + rung.parent +
                           ", more than half: split the idea, or say why in a line \"// rewrite  …\"");
    }
    if (!rewritten && has_reason(*rung.file, "rewrite"))
      complain(rung, "its line \"// rewrite  …\" is not needed");
    const size_t n_headers = opened_headers(*rung.file, files).size();
    const bool many = n_headers > kMostHeaders, says_why = has_reason(*rung.file, "headers");
    if (many && !says_why)
      complain(rung, "it opens " + std::to_string(n_headers) + " headers, more than " +
                         std::to_string(kMostHeaders) +
                         ": include less, or say why in a line \"// headers  …\"");
    if (!many && says_why) complain(rung, "its line \"// headers  …\" is not needed");
  }
  return complaints;
}

}  // namespace lastrow::project
