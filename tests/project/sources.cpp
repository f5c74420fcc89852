#include "project/sources.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>
#include <stdexcept>

namespace lastrow::project {
namespace fs = std::filesystem;
namespace {

bool ends_with_any(std::string_view path, std::initializer_list<std::string_view> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return path.ends_with(end); });
}

bool is_text(const fs::path& path) {
  const std::string name = path.filename().string();
  return name == "run" || name == "LICENSE" || name == ".clang-format" || name == ".clang-tidy" ||
         ends_with_any(name,
                       {".h", ".cpp", ".cu", ".cuh", ".cmake", ".in", ".txt", ".md", ".json", ".sh", ".py"});
}

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<SourceFile> read_sources() {
  std::vector<SourceFile> files;
  const auto add = [&](const fs::path& path) {
    if (is_text(path)) files.push_back({fs::relative(path, in_repository("")).generic_string(), read(path)});
  };
  for (const auto& entry : fs::directory_iterator(in_repository("")))
    if (entry.is_regular_file()) add(entry.path());
  for (const char* folder : {"src", "gpu", "viewer", "lessons", "tests", ".ci"}) {
    if (!fs::is_directory(in_repository(folder))) continue;
    for (const auto& entry : fs::recursive_directory_iterator(in_repository(folder)))
      if (entry.is_regular_file()) add(entry.path());
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

}  // namespace

bool SourceFile::is_header() const { return ends_with_any(path, {".h", ".cuh"}); }
bool SourceFile::is_cpp() const { return is_header() || ends_with_any(path, {".cpp", ".cu"}); }
bool SourceFile::is_in(std::string_view folder) const {
  return path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/';
}

const std::vector<SourceFile>& sources() {
  static const std::vector<SourceFile> files = read_sources();
  return files;
}

fs::path in_repository(std::string_view path) { return fs::path(LASTROW_SOURCE_DIR) / path; }

std::vector<Include> includes_of(const SourceFile& file) {
  static const std::regex pattern(R"re(^\s*#\s*include\s*([<"])([^>"]+)[>"])re");
  std::vector<Include> includes;
  int number = 0;
  for (std::string_view line : lines_of(file.text)) {
    ++number;
    std::match_results<std::string_view::const_iterator> match;
    if (line.find("include") != line.npos && std::regex_search(line.begin(), line.end(), match, pattern))
      includes.push_back({match[2].str(), number, match[1].str() == "\""});
  }
  return includes;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string joined(const std::vector<std::string>& complaints) {
  std::string text;
  for (const std::string& complaint : complaints) text += "\n  " + complaint;
  return text;
}

}  // namespace lastrow::project
