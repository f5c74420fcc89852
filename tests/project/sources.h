// The text files of the repository, for the tests of the project's rules.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lastrow::project {

struct SourceFile {
  std::string path;  // from the repository's root, with '/': "src/core/tensor.h"
  std::string text;

  bool is_header() const;
  bool is_cpp() const;                        // C++ or CUDA
  bool is_in(std::string_view folder) const;  // "src/core" holds "src/core/tensor.h"
};

/// Every text file of src/, gpu/, viewer/, lessons/, tests/ and the top level, sorted by path.
const std::vector<SourceFile>& sources();

/// The absolute path of a file of the repository.
std::filesystem::path in_repository(std::string_view path);

struct Include {
  std::string name;
  int line;
  bool quoted;  // "core/tensor.h" rather than <vector>
};
std::vector<Include> includes_of(const SourceFile& file);

/// The lines, without their line ends.
std::vector<std::string_view> lines_of(std::string_view text);

/// "src/a.h:3: what is wrong" joined by newlines, for a failure message.
std::string joined(const std::vector<std::string>& complaints);

}  // namespace lastrow::project
