#include "viewer/view_model/run/file_choices.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "io/checked.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

namespace fs = std::filesystem;

constexpr size_t kShown = 12;
constexpr int kMostRead = 10'000;  // entries of a folder; a larger one is listed in part

std::string file_detail(const fs::directory_entry& entry) {
  std::error_code unknown;
  const auto size = entry.file_size(unknown);
  return unknown ? "" : bytes(static_cast<int64_t>(size));
}

FileBox::Entry folder_above(const std::string& folder) {
  const bool climbs = folder.empty() || folder.ends_with("../");  // ends in no name that could be removed
  const size_t parent = climbs ? 0 : folder.substr(0, folder.size() - 1).rfind('/') + 1;
  const std::string path = climbs ? folder + "../" : folder.substr(0, parent);
  return {"../", path, "folder above", true};
}

}  // namespace

std::string with_home(const std::string& path) {
  const char* home = std::getenv("HOME");
  return home != nullptr && path.starts_with("~/") ? home + path.substr(1) : path;
}

bool is_folder(const std::string& path) {
  std::error_code unknown;
  return fs::is_directory(path, unknown);
}

FileBox file_choices(const std::string& typed) {
  FileBox box;
  box.open = true;
  box.path = typed;
  box.help = "Type the path of a model file (.safetensors), or click one. Enter opens it.";
  const size_t slash = typed.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : typed.substr(0, slash + 1);
  const std::string begun = typed.substr(folder.size());
  std::error_code error;
  const fs::path listed = folder.empty() ? fs::path(".") : fs::path(with_home(folder));
  fs::directory_iterator at(listed, error);
  if (error) {
    box.more = fmt::format("{}: {}", escaped(folder), error.message());
    return box;
  }
  const fs::path whole = fs::absolute(listed, error).lexically_normal();
  box.place = "Model files in " + escaped(whole.string());
  std::vector<FileBox::Entry> files, folders;
  for (int n = 0; at != fs::directory_iterator() && n < kMostRead && !error; at.increment(error), ++n) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(begun) || (name.starts_with('.') && begun.empty())) continue;
    std::error_code unknown;
    if (at->is_directory(unknown))
      folders.push_back({escaped(name) + "/", folder + name + "/", "folder", true});
    else if (name.ends_with(".safetensors"))
      files.push_back({escaped(name), folder + name, file_detail(*at), false});
  }
  const auto by_name = [](const FileBox::Entry& a, const FileBox::Entry& b) { return a.name < b.name; };
  std::sort(files.begin(), files.end(), by_name);
  std::sort(folders.begin(), folders.end(), by_name);
  if (begun.empty() && whole.has_relative_path()) folders.insert(folders.begin(), folder_above(folder));
  box.entries = std::move(files);
  box.entries.insert(box.entries.end(), folders.begin(), folders.end());
  if (box.entries.empty()) box.more = "No model file here begins like this.";
  if (box.entries.size() > kShown) {
    box.more = fmt::format("and {} more: type the first letters of a name", box.entries.size() - kShown);
    box.entries.resize(kShown);
  }
  return box;
}

}  // namespace lastrow::view
