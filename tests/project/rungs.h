// Each rung of the ladder adds one idea to the rung that it names as its parent. Two numbers of its text show whether a
// reader can follow: how much of the two files differs, and how many headers they have to open.
//
//   for (const RungFile& rung : rungs(sources())) …
//   complaints_about(rungs, sources())       each as "path: …"; empty if all keep the bounds
//
// * Lines: the code, without the header comment, indentation and blank lines, and with the rung's own name replaced. All
//   lines of the two files that the other does not have, in its order, over all lines of both: at most one half.
// * Headers: those under gpu/ that the rung includes, and that these include: at most ten. gpu/target/target.h counts
//   as one, as the language in which kernels are written: what it includes does not count, and no header of simt/.
//
// A rung that cannot keep a bound says why, in one sentence of its header comment, which begins with "// rewrite  " or
// "// headers  " and may go on in lines that are indented. A sentence that is not needed is wrong too.
#pragma once

#include <string>
#include <vector>

#include "project/sources.h"

namespace lastrow::project {

struct RungFile {
  const SourceFile* file;
  std::string name, parent;  // as its Rung says; the parent of the first is ""
};

/// The files gpu/ladder/kNN… of these, sorted by path.
std::vector<RungFile> rungs(const std::vector<SourceFile>& files);

struct Changed {
  size_t n_lines, n_all;
};
Changed changed_lines(const RungFile& parent, const RungFile& rung);

/// The headers that the file pulls in, without what does not count.
std::vector<std::string> opened_headers(const SourceFile& file, const std::vector<SourceFile>& files);

std::vector<std::string> complaints_about(const std::vector<RungFile>& rungs,
                                          const std::vector<SourceFile>& files);

}  // namespace lastrow::project
