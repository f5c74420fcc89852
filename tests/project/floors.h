// The rule of the floors: a file may include only files of its own folder and of lower floors.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "project/sources.h"

namespace lastrow::project {

struct Floor {
  std::string_view folder;
  int number;
};
using Floors = std::vector<Floor>;

/// The table of the floors. tests/ is above all of them and is not in the table.
const Floors& floors();

/// The floors inside the viewer. By the same rule, no two of its folders can include each other. Files directly
/// in viewer/ (main.cpp) are at the top.
const Floors& viewer_floors();

/// The floors inside gpu/, by the same rule: the emulator knows none of the rooms that use it. Headers directly in
/// gpu/ are what the registry includes.
const Floors& gpu_floors();

/// The wrong includes of one file, each as "path:line: …". `exists(path)` says whether the repository has a
/// file. A table of one top folder judges only includes of that folder's own files.
template <typename Exists>
std::vector<std::string> floor_complaints(const SourceFile& file, const Floors& table, Exists exists);

/// The same for a second rule: which folders may include ImGui, GLFW and CUDA.
std::vector<std::string> window_and_device_complaints(const SourceFile& file);

/// The same for a third rule: panels take a view state, or a part of one, by const reference only.
std::vector<std::string> mutable_state_complaints(const SourceFile& file);

// ---------------------------------------------------------------------------------------------------------

/// The floor with the longest folder that a path belongs to, or nullptr.
const Floor* floor_of(std::string_view path, const Floors& table);

std::string complaint(const SourceFile& file, int line, const std::string& what);

template <typename Exists>
std::vector<std::string> floor_complaints(const SourceFile& file, const Floors& table, Exists exists) {
  std::vector<std::string> complaints;
  const Floor* own = floor_of(file.path, table);
  if (own == nullptr) return complaints;
  // An included name may be relative to src, to the root, to the file's top folder, or to its own folder.
  const std::array<std::string, 4> starts = {"src/", "", file.path.substr(0, file.path.find('/') + 1),
                                             file.path.substr(0, file.path.rfind('/') + 1)};
  for (const Include& include : includes_of(file)) {
    if (!include.quoted) continue;
    std::string target;
    for (const std::string& start : starts)
      if (target.empty() && exists(start + include.name)) target = start + include.name;
    if (target.empty()) {
      complaints.push_back(
          complaint(file, include.line, "\"" + include.name + "\" is no file of ours: use <…>"));
      continue;
    }
    const bool inside = &table == &viewer_floors() || &table == &gpu_floors();
    if (inside && !target.starts_with(starts[2])) continue;
    const Floor* other = floor_of(target, table);
    if (other == nullptr)
      complaints.push_back(complaint(file, include.line, target + " is on no floor"));
    else if (other != own && other->number >= own->number)
      complaints.push_back(complaint(file, include.line,
                                     std::string(own->folder) + " (floor " + std::to_string(own->number) +
                                         ") includes " + target + " (floor " + std::to_string(other->number) +
                                         "): only lower floors and the own folder may be included"));
  }
  return complaints;
}

}  // namespace lastrow::project
