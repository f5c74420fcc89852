// Makes sure that no output of a program overwrites one of its inputs or another output.
//
//   require_different_files({{"--in", o.in}}, {{"--out", o.out}});      before anything is written
//
// Files are compared by identity: "./x" and a symbolic or hard link to x all count as x. This also holds for
// two names of one file that does not exist yet. Standard output and standard error count as outputs. A
// character device such as /dev/null may be given several times, because it holds nothing that could be lost.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace lastrow {

struct NamedFile {
  std::string name;            // "--out"
  std::filesystem::path path;  // "": the option was not given
};

/// Throws UsageError if an output is the same file as an input or another output. The message names both.
void require_different_files(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs);

}  // namespace lastrow
