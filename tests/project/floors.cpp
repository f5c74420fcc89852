#include "project/floors.h"

#include <regex>

namespace lastrow::project {

const Floors& floors() {
  static const Floors table = {
      {"src/core", 0},    {"src/io", 1},    {"src/cache", 1},   {"src/attention", 1},
      {"src/cost", 2},    {"src/ops", 3},   {"src/backend", 4}, {"src/trace", 5},
      {"src/model", 5},   {"src/judge", 6}, {"gpu", 7},         {"src/registry", 8},
      {"src/session", 8}, {"src/cli", 9},   {"viewer", 9},      {"lessons", 9},
  };
  return table;
}

const Floors& viewer_floors() {
  static const Floors table = {
      {"viewer/view_model/state", 0},
      {"viewer/view_model/describe", 1},
      {"viewer/view_model/script", 2},
      {"viewer/view_model/run", 3},
      {"viewer/imgui", 4},
      {"viewer/draw", 5},
      {"viewer/platform", 5},
      {"viewer/panels", 6},
      {"viewer/app", 7},
      {"viewer", 8},
  };
  return table;
}

const Floors& gpu_floors() {
  static const Floors table = {
      {"gpu/simt", 0}, {"gpu/target", 1}, {"gpu/parts", 2},   {"gpu/ladder", 3},
      {"gpu/ops", 3},  {"gpu", 4},        {"gpu/backend", 5}, {"gpu/driver", 6},
  };
  return table;
}

const Floor* floor_of(std::string_view path, const Floors& table) {
  const Floor* found = nullptr;
  for (const Floor& floor : table)
    if (path.starts_with(floor.folder) && path.substr(floor.folder.size()).starts_with('/') &&
        (found == nullptr || floor.folder.size() > found->folder.size()))
      found = &floor;
  return found;
}

std::string complaint(const SourceFile& file, int line, const std::string& what) {
  return file.path + ":" + std::to_string(line) + ": " + what;
}

std::vector<std::string> window_and_device_complaints(const SourceFile& file) {
  static const std::regex window(R"((^|/)(imgui|GLFW/|glfw|GL/|stb_))"),
      cuda(R"((^|/)(cuda|cublas|nvtx|cooperative_groups))");
  std::vector<std::string> complaints;
  for (const Include& include : includes_of(file)) {
    const bool drawing = file.is_in("viewer") && !file.is_in("viewer/view_model");
    if (std::regex_search(include.name, window) && !drawing && !file.is_in("tests/viewer"))
      complaints.push_back(
          complaint(file, include.line, "only the viewer's drawing code may include " + include.name));
    const bool draws =
        file.is_in("viewer/draw") || file.is_in("viewer/platform") || file.is_in("viewer/panels");
    if (draws && include.name.starts_with("viewer/view_model/") &&
        !include.name.starts_with("viewer/view_model/state/"))
      complaints.push_back(complaint(file, include.line,
                                     "drawing code may include only view_model/state, not " + include.name));
    if (!include.quoted && std::regex_search(include.name, cuda) &&
        (!file.is_in("gpu") || file.path.ends_with("_backend.h")))
      complaints.push_back(complaint(
          file, include.line, include.name + ": only gpu/ may include CUDA, and never in *_backend.h"));
    if (include.name.starts_with("gpu/") && file.is_in("src/registry") && file.is_header())
      complaints.push_back(
          complaint(file, include.line, "headers of the registry must not include gpu/: " + include.name));
    if (include.name.starts_with("gpu/") && include.name.ends_with("_backend.h") && !file.is_in("gpu") &&
        !file.is_in("src/registry") && !file.is_in("tests"))
      complaints.push_back(complaint(file, include.line, "only registry includes " + include.name));
  }
  return complaints;
}

std::vector<std::string> mutable_state_complaints(const SourceFile& file) {
  // A parameter or local variable such as "view::PaneState& pane". With "const" in front it is allowed.
  static const std::regex reference(R"((const\s+)?\b(view::\w+|(View|Pane)State|Controller)\s*[&*])");
  std::vector<std::string> complaints;
  int number = 0;
  for (std::string_view line : lines_of(file.text)) {
    ++number;
    const std::string_view code = line.substr(0, line.find("//"));
    std::match_results<std::string_view::const_iterator> match;
    for (auto from = code.begin(); std::regex_search(from, code.end(), match, reference);
         from = match[0].second)
      if (!match[1].matched)
        complaints.push_back(complaint(file, number, "a panel takes its state const: " + match[0].str()));
  }
  return complaints;
}

}  // namespace lastrow::project
