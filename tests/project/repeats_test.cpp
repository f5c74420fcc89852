#include "project/repeats.h"

#include <doctest/doctest.h>

#include <vector>

using namespace lastrow::project;

namespace {

const std::string kSix = "int a = 1;\nint b = 2;\nint c = 3;\nint d = 4;\nint e = 5;\nint f = 6;\n";
const std::string kFive = kSix.substr(0, kSix.find("int f"));

std::vector<std::string> found(const std::vector<SourceFile>& files) {
  std::vector<std::string> complaints;
  for (const Repeat& repeat : repeats(files)) complaints.push_back(complaint(repeat));
  return complaints;
}

}  // namespace

TEST_CASE("runs of equal lines, in files made up for it") {
  const auto two = [](const std::string& first, const std::string& second) {
    return found({{"src/a.cpp", first}, {"src/b.cpp", second}});
  };
  CHECK(two(kSix, "int z;\n" + kSix) ==
        std::vector<std::string>{"src/a.cpp:1 and src/b.cpp:2 share 6 lines"});
  CHECK(two(kSix + "int g = 7;\n", kSix + "int g = 7;\n") ==
        std::vector<std::string>{"src/a.cpp:1 and src/b.cpp:1 share 7 lines"});  // once, at its full length
  CHECK(two(kSix, kSix + "int z;\n" + kSix).size() == 2);
  CHECK(two(kFive, kFive).empty());
  CHECK(two(kFive + "int z;\nint f = 6;\n", kSix).empty());
  CHECK(found({{"src/a.cpp", kSix + "int z;\n" + kSix}}).empty());  // one file is another matter
}

TEST_CASE("indentation, comments, includes and brackets do not count") {
  const std::string dressed =
      "{\n  int a = 1;  // one\n\n  int b = 2;\n  // two\n  int c = 3;\n}\n#include <map>\nint d = 4;\nint e "
      "= 5;\n";
  CHECK(found({{"src/a.cpp", kSix}, {"src/b.cpp", dressed + "int f = 6;\n"}}).size() == 1);
  CHECK(found({{"src/a.cpp", kFive + "}\n"}, {"src/b.cpp", dressed + "}\n"}}).empty());
}

TEST_CASE("declarations that override do not count") {
  const std::string five = kFive + "  void run(const Op& op,\n           int n) override;\n";
  CHECK(found({{"src/a.h", five}, {"src/b.h", five}}).empty());
  CHECK(found({{"src/a.h", five + "int f = 6;\n"}, {"src/b.h", five + "int f = 6;\n"}}).size() == 1);
}

TEST_CASE("which files may share lines") {
  const SourceFile k01 = {"gpu/ladder/k01_naive.cu", ""}, k02 = {"gpu/ladder/k02_warp.cu", ""};
  CHECK(are_rungs(k01, k02));
  CHECK_FALSE(are_rungs(k01, {"gpu/ladder/ladder.h", ""}));
  CHECK(is_production(k01));
  CHECK(is_production({"lessons/exercises/checkers/07_score_row.cpp", ""}));
  CHECK_FALSE(is_production({"lessons/exercises/07_score_row.cpp", ""}));
  CHECK_FALSE(is_production({"tests/core/dtype_test.cpp", ""}));
}

TEST_CASE("no two production files share six lines in a row") {
  std::vector<SourceFile> files;
  for (const SourceFile& file : sources())
    if (is_production(file)) files.push_back(file);
  CHECK(files.size() >= 10);  // the repository was found
  std::vector<std::string> complaints;
  for (const Repeat& repeat : repeats(files))
    if (!are_rungs(*repeat.first, *repeat.second)) complaints.push_back(complaint(repeat));
  CHECK_MESSAGE(complaints.empty(), joined(complaints));
}
