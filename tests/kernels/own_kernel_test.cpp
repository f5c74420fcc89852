// lastrow-kernels --template and --try: a kernel of one's own, right and wrong in every way that a student's
// first kernel is.
#include <doctest/doctest.h>

#include <algorithm>

#include "gpu/driver/try_kernel/messages.h"
#include "support/program.h"

namespace lastrow::testing {
namespace {

/// A folder with my.cu, which is the template with one text replaced. `at` is the number of that line.
class OwnKernel {
 public:
  explicit OwnKernel(const std::string& from = "", const std::string& to = "") {
    std::filesystem::create_directory(folder_ / "tmp");
    text_ = shell(folder_, LASTROW_BIN_DIR "/lastrow-kernels --template").out;
    if (!from.empty()) replace(from, to);
    write_text(folder_ / "my.cu", text_);
  }
  explicit OwnKernel(const std::filesystem::path& rung) : OwnKernel() {
    text_ = read_text(rung);
    write_text(folder_ / "my.cu", text_);
  }
  void replace(const std::string& from, const std::string& to) {
    const size_t begin = text_.find(from);
    REQUIRE(begin != std::string::npos);
    at = 1 + std::count(text_.begin(), text_.begin() + static_cast<int64_t>(begin), '\n');
    text_.replace(begin, from.size(), to);
    write_text(folder_ / "my.cu", text_);
  }
  /// Checks also that nothing is left in the folder for temporary files.
  Outcome try_it(const std::string& options = "--every 12", const std::string& environment = "") const {
    const Outcome outcome = shell(
        folder_, "cd " + folder_.string() + " && env TMPDIR=" + folder_.file("tmp") + " " + environment +
                     " " LASTROW_BIN_DIR "/lastrow-kernels --target emulated " + options + " --try my.cu");
    CHECK(std::filesystem::is_empty(folder_ / "tmp"));
    return outcome;
  }
  std::string line() const { return "my.cu:" + std::to_string(at); }
  std::string log() const { return read_text(folder_ / "my.cu.log"); }
  const std::string& text() const { return text_; }

  int64_t at = 0;

 private:
  Folder folder_{"own_kernel"};
  std::string text_;
};

/// Expects exit status 2, one line on standard error that has this text, and no results.
void expect_refused(const Outcome& outcome, const std::string& why) {
  CAPTURE(outcome.err);
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.err.starts_with("lastrow-kernels: "));
  CHECK(has(outcome.err, why));
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  CHECK(outcome.out.empty());
}

/// Expects exit status 1, and this text in the results.
void expect_failed(const Outcome& outcome, const std::string& why) {
  CAPTURE(outcome.out);
  CAPTURE(outcome.err);
  CHECK(outcome.exit_code == 1);
  CHECK(has(outcome.out, "FAILED"));
  CHECK(has(outcome.out, why));
  CHECK_FALSE(has(outcome.out, "Counted at"));
}

}  // namespace

TEST_CASE("the template holds its bounds, and is counted beside the ladder") {
  const Outcome outcome = OwnKernel().try_it();
  CAPTURE(outcome.err);
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.err.empty());
  CHECK(has(outcome.out, "my.cu  f32 "));
  CHECK(has(outcome.out, "my.cu  bf16 "));
  CHECK(has(outcome.out, " runs against naive-f64, 0 failed"));
  CHECK(has(outcome.out, "Counted at f32, heads 8:2, head_dim 64, contiguous, queries/keys 1/300"));
  CHECK(has(outcome.out, "mine   grid (1, 1, 1) of 64 threads"));
  // Four query heads read the same row: 4 times the bytes of K and V; lanes read rows that are far apart.
  CHECK(has(outcome.out, "\nmy.cu          4.0 ×        8.0 × "));
  for (const char* rung : {"\nk01 ", "\nk02 "}) CHECK(has(outcome.out, rung));
}

TEST_CASE("a wrong result is named with its problem, index and both values") {
  const OwnKernel kernel("score *= o.score.query_factor();", "score *= 1.001f * o.score.query_factor();");
  const Outcome outcome = kernel.try_it();
  expect_failed(outcome, "first: f32, heads ");
  CHECK(has(outcome.out, " at "));
  CHECK(has(outcome.out, " instead of "));
}

TEST_CASE("an access out of bounds is named with its line") {
  const OwnKernel kernel("decode(o.g_k.load(kv + d))",
                         "decode(o.g_k.load(kv - row_offset(o.layout, 1000, 0)))");
  expect_failed(kernel.try_it(), kernel.line() + ": out of bounds: reads g_k[-");
}

TEST_CASE("a kernel that does not end, and one that ends its process, are named with their problem") {
  const OwnKernel hangs("i < keys.count(); ++i", "i < keys.count(); i += 0");
  const Outcome hung = hangs.try_it("--patience 1");
  expect_failed(hung, "it did not end within 1 s (--patience): does every loop end?");
  CHECK(has(hung.out, "my.cu  FAILED at "));
  const OwnKernel crashes("float score = 0;", "float score = 0; __builtin_trap();");
  const Outcome crashed = crashes.try_it();
  expect_failed(crashed, "it ended its process (");
  CHECK(has(crashed.out, "my.cu  FAILED at "));
}

TEST_CASE("a file that does not compile is refused with its line, and the compiler's output is kept") {
  const OwnKernel unknown("float score = 0;", "float score = zero;");
  expect_refused(unknown.try_it(), unknown.line() + ": 'zero' was not declared in this scope");
  CHECK(has(unknown.log(), "float score = zero;"));
  CHECK(has(unknown.try_it().err, "the whole output of the compiler is in my.cu.log"));
  // An error in a header, which this line asks for.
  const OwnKernel wide("o.g_k.load(kv + d)", "o.g_k.template load_vec<64>(kv + d).x[0]");
  const Outcome outcome = wide.try_it();
  expect_refused(outcome, wide.line() + ": ");
  CHECK(has(outcome.err, " (at "));
  const OwnKernel missing("#include \"gpu/ladder/ladder.h\"", "#include \"gpu/ladder/adder.h\"");
  expect_refused(missing.try_it(), missing.line() + ": gpu/ladder/adder.h: No such file");
}

TEST_CASE("the line of a message, in what three compilers print") {
  const driver::OwnSource source{"a/my.cu", "my.cu", "/x/a/my.cu", "mine"};
  const auto first = [&](const std::string& output) {
    return driver::first_message(output, "error", source);
  };
  CHECK(first("/x/a/my.cu:3:5: warning: w\n/x/a/my.cu:4:5: error: e\n/x/a/my.cu:5:5: error: f\n") ==
        "a/my.cu:4: e");
  CHECK(first("/x/a/my.cu(4): error: identifier \"e\" is undefined\n") ==
        "a/my.cu:4: identifier \"e\" is undefined");
  CHECK(first("/x/a/my.cu(4): error #20-D: e\n") == "a/my.cu:4: e");
  CHECK(first("In file included from /x/b.h:1,\n                 from /x/a/my.cu:7:\n/x/c.h:9:1: fatal "
              "error: e\n") == "a/my.cu:7: e (at c.h:9)");
  // gcc says before an error in a header which lines led there, the innermost first; clang and nvcc say it after.
  CHECK(
      first(
          "/x/c.h: In instantiation of 'f':\n/x/a/my.cu:8:1:   required from 'g'\n/x/a/my.cu:2:1:   required "
          "from here\n/x/c.h:9:1: error: e\n/x/c.h:9:1: note: n\n") == "a/my.cu:8: e (at c.h:9)");
  CHECK(first("/x/c.h:9:1: error: e\n/x/a/my.cu:8:1: note: in instantiation\n/x/a/my.cu:2:1: note: here\n") ==
        "a/my.cu:8: e (at c.h:9)");
  CHECK(
      first(
          "/x/c.h(9): error: e\n    f();\n    ^\n  detected during:\n    instantiation of \"f\" at line 8 of "
          "/x/a/my.cu\n    instantiation of \"g\" at line 2 of /x/a/my.cu\n") == "a/my.cu:8: e (at c.h:9)");
  CHECK(first("/x/c.h:9:1: error: e\n") == "a/my.cu: e (at c.h:9)");
  CHECK(first("all is well\n").empty());
}

TEST_CASE("a warning is passed on, and does not stop the try") {
  const Outcome outcome = OwnKernel("float score = 0;", "float score = 0; int unused;").try_it();
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.err.starts_with("lastrow-kernels: note: my.cu:"));
  CHECK(has(outcome.err, ": unused variable 'unused'"));
}

TEST_CASE("a file without a rung, or with two, is refused; so is one that is not there") {
  OwnKernel none("const Rung mine_rung", "// const Rung mine_rung");
  expect_refused(none.try_it(), "my.cu: defines no rung: ");
  OwnKernel hidden("const Rung mine_rung", "/*\nconst Rung mine_rung");
  hidden.replace("start};\n", "start};\n*/\n");
  expect_refused(hidden.try_it(),
                 "my.cu: its rung mine_rung is not defined in the namespace lastrow::LASTROW_TARGET");
  OwnKernel two("const Rung mine_rung",
                "const Rung first{\"first\", \"\", supports, scratch_elems, start};\n"
                "const Rung mine_rung");
  expect_refused(two.try_it(), "my.cu: defines 2 rungs (first, mine_rung): keep one");
  const Folder empty("own_kernel");
  expect_refused(shell(empty, LASTROW_BIN_DIR "/lastrow-kernels --try nowhere.cu"),
                 "nowhere.cu: cannot be opened (No such file or directory)");
}

TEST_CASE("without the sources or a compiler, one line says which variable names them") {
  const OwnKernel kernel;
  expect_refused(
      kernel.try_it("", "LASTROW_SOURCE=/nonexistent"),
      "needs the sources of lastrow, which are not in /nonexistent: name their folder in LASTROW_SOURCE");
  expect_refused(
      kernel.try_it("", "CXX=/nonexistent/c++"),
      "the compiler /nonexistent/c++ cannot be started (No such file or directory): name another one in CXX");
}

TEST_CASE("of a copied rung, the copy is run and not the rung of that name") {
  std::filesystem::path first;
  for (const auto& entry : std::filesystem::directory_iterator(LASTROW_SOURCE_DIR "/gpu/ladder"))
    if (entry.path().filename().string().starts_with("k01_")) first = entry.path();
  OwnKernel copy(first);
  copy.replace("acc);", "acc + 1);");
  expect_failed(copy.try_it(), "largest error 1 at ");
}

TEST_CASE("--try and --template do nothing else") {
  const OwnKernel kernel;
  expect_refused(kernel.try_it("--check"), "--try checks, counts and times one file: drop --list");
  expect_refused(kernel.try_it("--kernel k05"), "--try runs its own kernel: drop --kernel");
  expect_refused(kernel.try_it("--journal j"), "drop --journal");
  expect_refused(kernel.try_it("--json j"), "--try prints its times: drop --json");
  expect_refused(kernel.try_it("--template"), "--template prints a kernel file and does nothing else");
}

}  // namespace lastrow::testing
