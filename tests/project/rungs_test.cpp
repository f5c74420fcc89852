#include "project/rungs.h"

#include <doctest/doctest.h>

using namespace lastrow::project;

namespace {

/// A rung of four lines of code and its definition, which are eight lines together.
std::string rung_text(const std::string& header, const std::string& name, const std::string& parent,
                      const std::string& lines) {
  return header + "#include \"gpu/ladder/ladder.h\"\n\n" + lines + "const Rung " + name + "{.name = \"" +
         name + "\",\n   .parent = \"" + parent + "\"};\n";
}

const std::string kLadder = "#include \"gpu/target/stream.h\"\n";

}  // namespace

TEST_CASE("lines that two rungs do not share, on files made up for it") {
  const SourceFile a{"gpu/ladder/k01_one.cu",
                     rung_text("// idea\n", "k01", "", "load k01_one;\n  add;\nadd;\n")},
      b{"gpu/ladder/k02_two.cu",
        rung_text("// other\n// words\n", "k02", "k01", "load k02_two;\n\nadd;\nstore;\n")};
  const std::vector<RungFile> found = rungs({a, b, {"gpu/ladder/ladder.cpp", ""}, {"gpu/ops/k03_x.cu", ""}});
  REQUIRE(found.size() == 2);
  CHECK(found[1].name == "k02");
  CHECK(found[1].parent == "k01");
  // One of two additions, the store, and the line of the parent on both sides.
  const Changed changed = changed_lines(RungFile{&a, "k01", ""}, RungFile{&b, "k02", "k01"});
  CHECK(changed.n_lines == 4);
  CHECK(changed.n_all == 12);
}

TEST_CASE("headers that a rung opens, on files made up for it") {
  const std::vector<SourceFile> files = {
      {"gpu/ladder/ladder.h", kLadder},
      {"gpu/parts/rows.h",
       "#include \"gpu/parts/sums.h\"\n#include \"gpu/target/target.h\"\n#include \"core/x.h\"\n"},
      {"gpu/parts/sums.h", "#include \"gpu/parts/rows.h\"\n#include \"gpu/simt/product_sum.h\"\n"},
      {"gpu/target/target.h", "#include \"gpu/target/cuda_views.h\"\n#include \"gpu/simt/views.h\"\n"},
      {"gpu/ladder/k01_one.cu", "#include \"gpu/ladder/ladder.h\"\n#include \"gpu/parts/rows.h\"\n"}};
  CHECK(opened_headers(files.back(), files) ==
        std::vector<std::string>{"gpu/ladder/ladder.h", "gpu/parts/rows.h", "gpu/parts/sums.h",
                                 "gpu/target/target.h"});
}

TEST_CASE("a rung that is a rewrite says why, and one that is not says nothing") {
  const auto n_complaints = [](const std::string& header, const std::string& lines) {
    const std::vector<SourceFile> files = {
        {"gpu/ladder/k01_one.cu", rung_text("// k01\n", "k01", "", "load;\nadd;\nstore;\n")},
        {"gpu/ladder/k02_two.cu", rung_text(header, "k02", "k01", lines)}};
    return complaints_about(rungs(files), files).size();
  };
  const std::string other = "a;\nb;\nc;\nd;\ne;\n", same = "load;\nadd;\nadd;\nstore;\n";
  CHECK(n_complaints("// k02\n", same) == 0);
  CHECK(n_complaints("// k02\n", other) == 1);
  CHECK(n_complaints("// k02\n// rewrite  Nothing stays.\n// grid\n", other) == 0);
  CHECK(n_complaints("// k02\n// rewrite  Nothing\n//          stays.\n", other) == 0);
  CHECK(n_complaints("// k02\n// rewrite  Nothing stays.\n", same) == 1);
  CHECK(n_complaints("// k02\n// rewrite\n", other) == 1);
  CHECK(n_complaints("// k02\n// headers  Many.\n", same) == 1);
}

TEST_CASE("each rung is one idea more than its parent, or says why it is a rewrite") {
  const std::vector<RungFile> ladder = rungs(sources());
  CHECK(ladder.size() >= 12);  // otherwise the repository was not found
  for (const RungFile& rung : ladder)
    for (const RungFile& parent : ladder)
      if (parent.name == rung.parent) {
        const Changed changed = changed_lines(parent, rung);
        MESSAGE(rung.name, " from ", parent.name, ": ", changed.n_lines, " of ", changed.n_all, " lines, ",
                opened_headers(*rung.file, sources()).size(), " headers");
      }
  const std::vector<std::string> complaints = complaints_about(ladder, sources());
  CHECK_MESSAGE(complaints.empty(), joined(complaints));
}
