// The viewer scripts of the lessons: each plays without a display, and its expectations hold.
#include <doctest/doctest.h>

#include <filesystem>
#include <set>

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
