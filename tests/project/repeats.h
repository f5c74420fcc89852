// The rule: no two production files share six lines of code in a row.
// Code that two files need is written once, where both can use it.
//
// Lines are compared without their indentation and comments. Includes, blank lines and lines with only brackets do not
// count. Declarations that end in `override` do not count, because they must repeat their interface. A rung of the
// kernels' ladder may repeat the rungs that it was made from, because the diff of two rungs is the lesson. The
// exercises may repeat the code that they ask for.
#pragma once

#include <string>
#include <vector>

#include "project/sources.h"

namespace lastrow::project {

constexpr int kLeastRepeat = 6;

struct Repeat {
  const SourceFile* first;
  int first_line;
  const SourceFile* second;
  int second_line;
  int n_lines;  // of those that count
};

/// Every longest run of at least kLeastRepeat equal lines in two of the files, sorted by path and line.
std::vector<Repeat> repeats(const std::vector<SourceFile>& files);

/// src, gpu, viewer and lessons, without the exercises.
bool is_production(const SourceFile& file);

/// Both are rungs of the ladder, gpu/ladder/kNN_….
bool are_rungs(const SourceFile& a, const SourceFile& b);

/// "src/a.cpp:3 and src/b.cpp:10 share 8 lines"
std::string complaint(const Repeat& repeat);

}  // namespace lastrow::project
