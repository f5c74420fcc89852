#include "gpu/driver/try_kernel/source.h"

#include <filesystem>
#include <regex>
#include <sstream>
#include <vector>

#include "core/error.h"
#include "io/input_file.h"

namespace lastrow::driver {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 20;

std::vector<std::string> rungs_in(const std::string& text) {
  static const std::regex definition(R"(^\s*(?:extern\s+)?const\s+Rung\s+([A-Za-z_]\w*)\s*[{=(])");
  std::vector<std::string> names;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (std::smatch match; line.size() < 1000 && std::regex_search(line, match, definition))
      names.push_back(match[1]);
  return names;
}

}  // namespace

OwnSource read_own_source(const std::string& file) {
  const std::vector<std::string> rungs = rungs_in(read_text(file, kMostBytes));
  if (rungs.empty())
    throw UsageError(
        "{}: defines no rung: add a line such as the last ones of `lastrow-kernels --template`: "
        "const Rung mine_rung{{\"mine\", …}};",
        file);
  if (rungs.size() > 1)
    throw UsageError("{}: defines {} rungs ({}): keep one", file, rungs.size(), fmt::join(rungs, ", "));
  const std::filesystem::path path = std::filesystem::absolute(file).lexically_normal();
  if (path.string().find_first_of("\"\\\n") != std::string::npos)
    throw UsageError("{}: its path has a character that an #include cannot hold: rename it", path.string());
  return {file, path.filename().string(), path.string(), rungs.front()};
}

}  // namespace lastrow::driver
