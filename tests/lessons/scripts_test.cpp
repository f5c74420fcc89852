// The viewer scripts of the lessons: each plays without a display, and its expectations hold.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "support/program.h"

using namespace lastrow::testing;
namespace fs = std::filesystem;

namespace {

const fs::path kLessonFolder = fs::path(LASTROW_SOURCE_DIR) / "lessons";

/// The numbers "01", "02", … of the files in a folder with this extension.
std::set<std::string> numbers(const fs::path& folder, const std::string& extension) {
  std::set<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == extension) found.insert(entry.path().stem().string().substr(0, 2));
  return found;
}

}  // namespace

TEST_CASE("every lesson but the ledger has a script, and every script a lesson") {
  std::set<std::string> lessons = numbers(kLessonFolder, ".cpp");
  lessons.erase("00");
  CHECK(numbers(kLessonFolder / "scripts", ".txt") == lessons);
}

TEST_CASE("every script plays, without a display, to its end") {
  const std::string viewer = LASTROW_BIN_DIR "/lastrow-viewer";
  if (!fs::exists(viewer)) {
    MESSAGE("skipped: the viewer is not built here");
    return;
  }
  for (const auto& entry : fs::directory_iterator(kLessonFolder / "scripts")) {
    const Folder folder("lesson_script");
    const Outcome o = shell(folder, "unset DISPLAY WAYLAND_DISPLAY; " + viewer + " --headless --script " +
                                        entry.path().string() + " --out " + folder.string());
    CHECK_MESSAGE(o.exit_code == 0, entry.path().string(), ": ", o.err);
  }
}

TEST_CASE("script 9: where all sums run in one order, every old row shows the same bits") {
  const std::string viewer = LASTROW_BIN_DIR "/lastrow-viewer";
  if (!fs::exists(viewer)) {
    MESSAGE("skipped: the viewer is not built here");
    return;
  }
  const Folder folder("lesson_script_9");
  std::istringstream lines(read_text(kLessonFolder / "scripts" / "09.txt"));
  std::ofstream script(folder / "script");
  int n_sentences = 0;
  for (std::string line; std::getline(lines, line);) {
    script << line << "\n";
    if (line.starts_with("say ")) script << "state after_" << ++n_sentences << ".json\n";
  }
  script.close();
  const Outcome o = shell(folder, "unset DISPLAY WAYLAND_DISPLAY; " + viewer + " --headless --script " +
                                      (folder / "script").string() + " --out " + folder.string());
  REQUIRE_MESSAGE(o.exit_code == 0, o.err);
  // Sentence 1 is about the cache on eigen, sentence 3 about naive.
  const std::pair<const char*, const char*> kExact[] = {
      {"after_1.json", "cached"}, {"after_3.json", "cached"}, {"after_3.json", "recompute"}};
  for (const auto& [file, side] : kExact) {
    CAPTURE(file);
    CAPTURE(side);
    const auto state = nlohmann::json::parse(read_text(folder / file));
    const auto& rows = state.at("panes").at(side).at("k").at("rows");
    REQUIRE(rows.size() == 9);
    for (size_t old = 0; old + 1 < rows.size(); ++old) CHECK(rows[old].at("mark") == "same bits");
  }
}
