#include "project/repeats.h"

#include <map>
#include <regex>

#include "project/floors.h"

namespace lastrow::project {
namespace {

struct Line {
  std::string_view code;
  int number;
};

std::string_view trimmed(std::string_view line) {
  const size_t from = line.find_first_not_of(" \t\r");
  if (from == line.npos) return {};
  return line.substr(from, line.find_last_not_of(" \t\r") - from + 1);
}

bool ends_statement(std::string_view code) {
  return code.ends_with(';') || code.ends_with('{') || code.ends_with('}') || code.ends_with(':');
}

std::vector<Line> counted_lines(const SourceFile& file) {
  std::vector<Line> lines;
  int number = 0;
  for (const std::string_view line : lines_of(file.text)) {
    ++number;
    const std::string_view code = trimmed(line.substr(0, line.find("//")));
    if (code.find_first_not_of("(){}[]<>;, ") == code.npos) continue;
    if (code.starts_with("#include") || code == "#pragma once") continue;
    lines.push_back({code, number});
    if (!code.ends_with("override;") && !code.ends_with("override {}")) continue;
    do lines.pop_back();  // the declaration, all its lines
    while (!lines.empty() && !ends_statement(lines.back().code));
  }
  return lines;
}

}  // namespace

std::vector<Repeat> repeats(const std::vector<SourceFile>& files) {
  struct Place {
    size_t file, line;
  };
  std::vector<std::vector<Line>> lines;
  for (const SourceFile& file : files) lines.push_back(counted_lines(file));
  const auto equal = [&](Place a, Place b) {
    return a.line < lines[a.file].size() && b.line < lines[b.file].size() &&
           lines[a.file][a.line].code == lines[b.file][b.line].code;
  };

  // kLeastRepeat lines → where they stand in earlier files.
  std::map<std::string, std::vector<Place>> places_of;
  std::vector<Repeat> found;
  for (size_t f = 0; f < files.size(); ++f) {
    std::vector<std::pair<std::string, Place>> own;
    for (size_t l = 0; l + kLeastRepeat <= lines[f].size(); ++l) {
      std::string window;
      for (size_t i = l; i < l + kLeastRepeat; ++i) window.append(lines[f][i].code).push_back('\n');
      const auto earlier = places_of.find(window);
      own.push_back({std::move(window), {f, l}});
      if (earlier == places_of.end()) continue;
      for (const Place place : earlier->second) {
        if (l > 0 && place.line > 0 && equal({f, l - 1}, {place.file, place.line - 1}))
          continue;  // begins before
        size_t n = kLeastRepeat;
        while (equal({f, l + n}, {place.file, place.line + n})) ++n;
        found.push_back({&files[place.file], lines[place.file][place.line].number, &files[f],
                         lines[f][l].number, static_cast<int>(n)});
      }
    }
    for (auto& [window, place] : own) places_of[std::move(window)].push_back(place);
  }
  return found;
}

bool is_production(const SourceFile& file) {
  static const std::regex exercise("^lessons/exercises/[0-9].*");
  return file.is_cpp() && floor_of(file.path, floors()) != nullptr && !std::regex_match(file.path, exercise);
}

bool are_rungs(const SourceFile& a, const SourceFile& b) {
  static const std::regex rung("^gpu/ladder/k[0-9][0-9][a-z]?_[^/]*$");
  return std::regex_match(a.path, rung) && std::regex_match(b.path, rung);
}

std::string complaint(const Repeat& r) {
  return r.first->path + ":" + std::to_string(r.first_line) + " and " + r.second->path + ":" +
         std::to_string(r.second_line) + " share " + std::to_string(r.n_lines) + " lines";
}

}  // namespace lastrow::project
