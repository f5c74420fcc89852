// Each solution passes its checker. Each unfinished exercise fails, and so do common mistakes, with the words
// that their files name.
#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>

#include "lessons/lesson_run.h"
#include "lessons/support/screen.h"

using namespace lastrow::testing;

namespace {

namespace fs = std::filesystem;
const fs::path kRepository = LASTROW_SOURCE_DIR;
const std::string kAnswers = kLessons + "answers/";

/// The files NN_… of a folder, sorted.
std::vector<fs::path> numbered_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file() &&
        std::isdigit(static_cast<unsigned char>(entry.path().filename().string()[0])))
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

/// The text with single spaces and no line breaks.
std::string in_one_line(const std::string& text) {
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word;) line += (line.empty() ? "" : " ") + word;
  return line;
}

/// The texts after "// Told: " in a file, with the following lines of each comment.
std::vector<std::string> told_in(const fs::path& file) {
  std::vector<std::string> told;
  std::istringstream lines(read_text(file));
  const std::string comment = "// ", mark = comment + "Told: ";
  for (std::string line; std::getline(lines, line) && line.starts_with(comment);)
    if (line.starts_with(mark))
      told.push_back(in_one_line(line.substr(mark.size())));
    else if (!told.empty())
      told.back() += " " + in_one_line(line.substr(comment.size()));
  return told;
}

Outcome check(const std::string& program, const std::string& options = "") {
  const Folder folder("exercise_" + fs::path(program).filename().string());
  Outcome o =
      shell(folder, "ASAN_OPTIONS=handle_segv=0 " + program + " " + options);  // the checker reports crashes
  CAPTURE(o.out);
  std::istringstream lines(o.out);
  for (std::string line; std::getline(lines, line);)
    CHECK_MESSAGE(lastrow::lessons::columns_of(line) <= 80, line);
  CHECK(o.out.find('\x1b') == std::string::npos);  // not a terminal: plain
  return o;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const std::vector<fs::path> kExercises = numbered_files(kRepository / "lessons/exercises");

}  // namespace

TEST_CASE("every exercise has a checker and a solution, and says how to check it") {
  CHECK(kExercises.size() >= 8);
  std::set<std::string> solved;
  for (const fs::path& file : numbered_files(kRepository / "tests/lessons/solutions"))
    solved.insert(file.stem().string());
  for (const fs::path& file : kExercises) {
    CAPTURE(file.string());
    CHECK(solved.contains(file.stem().string()));
    CHECK(fs::exists(kRepository / "lessons/exercises/checkers" / (file.stem().string() + ".cpp")));
    const std::string text = read_text(file);
    CHECK(contains(text, "lessons/check " + file.stem().string().substr(0, 2)));
  }
}

TEST_CASE("every solution passes its checker") {
  for (const fs::path& file : kExercises) {
    CAPTURE(file.string());
    const Outcome o = check(kAnswers + "solved_" + file.stem().string());
    CAPTURE(o.out);
    CHECK(o.exit_code == 0);
    CHECK(contains(o.out, "✓ Done."));
    CHECK(!contains(o.out, "✗"));
    const Outcome line = check(kAnswers + "solved_" + file.stem().string(), "--line");
    CHECK(line.exit_code == 0);
    CHECK(line.out.starts_with("  " + file.stem().string().substr(0, 2) + "  done     "));
    CHECK(std::count(line.out.begin(), line.out.end(), '\n') == 1);
  }
}

TEST_CASE("every unfinished exercise fails its checker, which names the first thing that is wrong") {
  for (const fs::path& file : kExercises) {
    CAPTURE(file.string());
    const std::string text = read_text(file), mark = "// Your turn: ";
    if (!contains(text, mark)) {
      MESSAGE("skipped: ", file.filename().string(), " has been filled in (no line says \"Your turn\")");
      continue;
    }
    CHECK(text.find(mark) == text.rfind(mark));
    const Outcome o = check(kLessons + "check_" + file.stem().string());
    CAPTURE(o.out);
    REQUIRE_MESSAGE(o.exit_code == 1, "filled in? Then take the line \"Your turn\" away.");
    const std::string words = in_one_line(o.out);
    CHECK(contains(words, "✗"));
    CHECK(contains(words, "expected"));
    CHECK(contains(words, "Hint: "));
    CHECK(contains(words, "Not yet. Edit lessons/exercises/" + file.filename().string()));
    const Outcome line = check(kLessons + "check_" + file.stem().string(), "--line");
    CHECK(line.exit_code == 1);
    CHECK(line.out.starts_with("  " + file.stem().string().substr(0, 2) + "  not yet  "));
    CHECK(line.err.empty());
  }
}

TEST_CASE("every common mistake is found, with the words that its file names") {
  for (const fs::path& file : numbered_files(kRepository / "tests/lessons/solutions/wrong")) {
    CAPTURE(file.string());
    const Outcome o = check(kAnswers + "wrong_" + file.stem().string());
    CAPTURE(o.out);
    CAPTURE(o.err);
    CHECK(o.exit_code == 1);
    const auto told = told_in(file);
    CHECK(!told.empty());
    for (const std::string& words : told) CHECK_MESSAGE(contains(in_one_line(o.out), words), words);
  }
}

TEST_CASE(
    "a whole kernel is judged and counted beside the ladder, and a wrong one is named with its problem") {
  const Folder folder("exercise_whole_kernel");
  const std::string text = read_text(kRepository / "tests/lessons/solutions/whole/warp_per_row.cu");
  const auto judge = [&](const std::string& kernel) {
    write_text(folder / "my.cu", kernel);
    return shell(folder, "cd " + (folder / "").string() + " && " + kLessons +
                             "check_07_score_row my.cu --target emulated --every 20 --patience 200");
  };
  const Outcome right = judge(text);
  CAPTURE(right.out);
  CAPTURE(right.err);
  CHECK(right.exit_code == 0);
  CHECK(contains(right.out, " runs against naive-f64, 0 failed"));
  CHECK(contains(right.out, "\nmy.cu          4.0 ×        4.0 × "));  // the template moves 8 times the bytes
  for (const char* rung : {"\nk01 ", "\nk02 "}) CHECK(contains(right.out, rung));

  std::string unscaled = text;
  const std::string scaled = "warp_sum(part) * o.score.query_factor()";
  REQUIRE(contains(text, scaled));
  unscaled.replace(text.find(scaled), scaled.size(), "warp_sum(part)");
  const Outcome wrong = judge(unscaled);
  CAPTURE(wrong.out);
  CHECK(wrong.exit_code == 1);
  CHECK(contains(wrong.out, "FAILED, first: "));

  const Outcome missing = shell(folder, kLessons + "check_07_score_row none.cu --target emulated");
  CHECK(missing.exit_code == 2);
  CHECK(contains(missing.err, "none.cu"));
}

TEST_CASE("a checker refuses unknown options, and lessons/check lists the exercises") {
  const Folder folder("exercise_options");
  const Outcome wrong = shell(folder, kLessons + "check_01_causal_mask --lin");
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.out.empty());
  const std::string script = (kRepository / "lessons/check").string();
  const Outcome help = shell(folder, script + " --help");
  CHECK(help.exit_code == 0);
  CHECK(contains(help.out, "lessons/check NN"));
  const Outcome none = shell(folder, script + " 99");
  CHECK(none.exit_code == 2);
  for (const fs::path& file : kExercises) CHECK(contains(none.err, file.stem().string().substr(0, 2) + "  "));
}
