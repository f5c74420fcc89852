// The rule that no output of a program overwrites one of its inputs, or another of its outputs.
//
//   require_different_files({{"--in", o.in}}, {{"--out", o.out}});      before anything is written
//
// Files are compared by identity: "./x", a symbolic link and a hard link to x are x. Two names of one file that
// does not exist yet are one file, too. Standard output and standard error count as outputs.
// /dev/null and other character devices hold nothing that could be lost: they may be given several times.
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

/// Throws UsageError that names both, if an output is the same file as an input or another output.
void require_different_files(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs);

}  // namespace lastrow
