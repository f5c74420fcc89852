#include "gpu/driver/try_kernel/messages.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <regex>
#include <sstream>

namespace lastrow::driver {
namespace {

/// A place that a line names, and what it says of it.
struct Place {
  std::string path, line, rest;
};

/// gcc and clang begin a line with "path:31:5: error: text", nvcc with "path(31): error: text". gcc says "from
/// path:31" of includes. nvcc ends a line with "at line 31 of path".
std::optional<Place> place_of(const std::string& text) {
  static const std::regex begin(
      R"(^(?:In file included from |\s+from )?([^\s:(][^:(]*)[:(](\d+)\)?(?::\d+)?[:,]?\s*(.*)$)");
  static const std::regex end(R"(^\s.* at line (\d+) of (.*)$)");
  if (text.size() > 2000) return std::nullopt;
  std::smatch m;
  if (std::regex_match(text, m, end)) return Place{m[2], m[1], ""};
  if (std::regex_match(text, m, begin)) return Place{m[1], m[2], m[3]};
  return std::nullopt;
}

}  // namespace

std::string first_message(const std::string& output, const std::string& kind, const OwnSource& source) {
  static const std::regex form(R"(^(?:fatal )?(error|warning)(?: #[\w-]+)?: ?)");
  std::string own_line, text, at;  // own_line: the first line of the source that belongs to the message
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (text.empty() && line.find(": In instantiation of ") != std::string::npos) own_line.clear();
    const auto place = place_of(line);
    if (!place) continue;
    const bool own = place->path == source.path;
    std::smatch m;
    if (std::regex_search(place->rest, m, form)) {
      if (!text.empty()) break;  // the next message
      if (m[1] != kind) {
        own_line.clear();
        continue;
      }
      if (own) return fmt::format("{}:{}: {}", source.file, place->line, m.suffix().str());
      text = m.suffix();
      at = fmt::format("{}:{}", std::filesystem::path(place->path).filename().string(), place->line);
    }
    if (own && own_line.empty()) own_line = place->line;
  }
  if (text.empty()) return "";
  return fmt::format("{}{}{}: {} (at {})", source.file, own_line.empty() ? "" : ":", own_line, text, at);
}

}  // namespace lastrow::driver
