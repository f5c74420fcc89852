// What all lessons share: options, errors, the size of the screen, and fitted numbers.
#include <filesystem>
#include <sstream>

#include "lessons/lesson_run.h"
#include "lessons/support/measure.h"
#include "lessons/support/program.h"
#include "lessons/support/screen.h"
#include "trace/named_faults.h"
#include "trace/trace_file.h"

using namespace lastrow::testing;
using namespace lastrow::lessons;

namespace {

std::vector<std::string> programs() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(LASTROW_BIN_DIR))
    if (const std::string name = entry.path().filename().string(); name.starts_with("lesson_"))
      names.push_back(name);
  return names;
}

}  // namespace

TEST_CASE("text is wrapped by columns, not by bytes") {
  CHECK(columns_of("√head_dim") == 9);
  CHECK(columns_of("\x1b[1mbold\x1b[0m") == 4);
  CHECK(wrapped("aa bb cc", 5) == std::vector<std::string>{"aa bb", "cc"});
  CHECK(wrapped("ééé ü", 3) == std::vector<std::string>{"ééé", "ü"});
  CHECK(wrapped("toolong", 4) == std::vector<std::string>{"tool"});
  CHECK(right("½", 3) == "  ½");
}

TEST_CASE("an exponent is the slope of logarithms") {
  const std::vector<double> n = {1, 2, 4, 8}, cubes = {3, 24, 192, 1536};
  CHECK(fitted_exponent(n, cubes) == doctest::Approx(3).epsilon(1e-12));
}

TEST_CASE("a program that does not end is stopped, and the message says so") {
  const ProgramRun run = run_program("/bin/sleep", {"30"}, 1);
  CHECK(run.status == -1);
  CHECK(run.err == "it did not end within 1 s");
  CHECK(run_program("/bin/sh", {"-c", "echo said; exit 3"}, 60).out == "said\n");
}

TEST_CASE("every lesson refuses a model that is too small for one of them, and says what it lacks") {
  const Folder folder("lesson_small");
  for (const std::string& program : programs())
    for (const std::string small : {"random:vocab=10", "random:context=63"}) {
      const Outcome o = shell(folder, kLessons + program + " --model " + small);
      CHECK(o.exit_code == 2);
      CHECK(o.err.find("lessons need 64 and 11") != std::string::npos);
      CHECK(o.out.empty());
    }
}

TEST_CASE("every lesson has --help, and refuses what it does not know with status 2") {
  for (const std::string& program : programs()) {
    CAPTURE(program);
    const Folder folder("lesson_options");
    CHECK(shell(folder, kLessons + program + " --help").exit_code == 0);
    for (const std::string wrong : {"--modle x", "--model nope", "--backend nope", "--cache nope",
                                    "--kv-dtype nope", "--fault nope", "--trace /nowhere/t.safetensors"}) {
      CAPTURE(wrong);
      const Outcome o = shell(folder, kLessons + program + " " + wrong);
      CHECK(o.exit_code == 2);
      CHECK(o.out.empty());
      CHECK(std::count(o.err.begin(), o.err.end(), '\n') == 1);
    }
  }
}

TEST_CASE("every lesson also runs on naive-f64, the judge") {
  for (const std::string& program : programs()) {
    if (program == "lesson_00_ledger") continue;
    CAPTURE(program);
    const LessonRun run = run_lesson(program, "--backend naive-f64");
    CHECK_MESSAGE(run.status == 0, run.objections());
  }
}

TEST_CASE("output that cannot be written is an error, and so is an option without a value") {
  for (const std::string wrong : {" > /dev/full", " --json > /dev/full", " --fault ''", " --model ''"}) {
    CAPTURE(wrong);
    const Folder folder("lesson_full");
    CHECK(shell(folder, kLessons + "lesson_01_attention_by_hand" + wrong).exit_code == 2);
  }
}

TEST_CASE("a trace that is larger than a file may be is an error and leaves no file") {
  const Folder folder("lesson_limit");
  const std::string trace = (folder / "t.safetensors").string();
  const Outcome o = shell(
      folder, "ulimit -f 8; " + kLessons + "lesson_01_attention_by_hand --trace " + trace + " > /dev/null");
  CHECK(o.exit_code == 2);
  CHECK(o.err.find("make room") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(trace));
}

TEST_CASE("with any fault every lesson ends normally: a check fails, or none does") {
  for (const std::string& program : programs()) {
    if (program == "lesson_00_ledger" || program == "lesson_07_mha_gqa_mqa") continue;  // trains, slowly
    for (const lastrow::Fault& fault : lastrow::faults()) {
      // Lessons feed one text, so a fault that needs more changes little in them: one lesson is enough.
      if (!fault.needs.empty() && program != "lesson_03_recompute_or_cache") continue;
      CAPTURE(program);
      CAPTURE(std::string(fault.name));
      const Folder folder("lesson_fault");
      const int status = shell(folder, kLessons + program + " --fault " + std::string(fault.name)).exit_code;
      CHECK((status == 0 || status == 1 || (status == 2 && program == "lesson_11_find_the_bug")));
    }
  }
}

TEST_CASE(
    "every lesson fits 80 columns and 120 lines, has no colours in a file, and writes a trace that opens") {
  for (const std::string& program : programs()) {
    if (program == "lesson_00_ledger") continue;  // runs all the others: has a test of its own
    CAPTURE(program);
    const Folder folder("lesson_text");
    const std::string trace = (folder / "trace.safetensors").string();
    const Outcome o = shell(folder, kLessons + program + " --trace " + trace);
    CHECK(o.exit_code == 0);
    std::istringstream lines(o.out);
    for (std::string line; std::getline(lines, line);) CHECK_MESSAGE(columns_of(line) <= 80, line);
    CHECK(std::count(o.out.begin(), o.out.end(), '\n') <= 120);
    CHECK(o.out.find('\x1b') == std::string::npos);
    CHECK(!lastrow::TraceFile::open(trace).recorder.steps().empty());
  }
}

TEST_CASE("the lessons' checks hold over pages and in narrow types too, or name the check that does not") {
  for (const std::string lesson : {"lesson_01_attention_by_hand", "lesson_02_the_causal_mask",
                                   "lesson_04_why_not_queries", "lesson_05_training_and_generation"}) {
    CAPTURE(lesson);
    const auto status = [&](std::vector<std::string> options) {
      return run_program(std::string(LASTROW_BIN_DIR "/") + lesson, options, 120).status;
    };
    CHECK(status({"--cache", "paged:block=3"}) == 0);
    const int narrow = status({"--kv-dtype", "k=f16,v=int8"});
    CHECK((narrow == 0 || narrow == 1));
  }
}

TEST_CASE("every lesson takes a cache that forgets, or says in one line why not, before it prints anything") {
  int n_refused = 0;
  for (const std::string& program : programs()) {
    CAPTURE(program);
    for (const char* cache :
         {"window:w=4,sinks=1,block=1", "budget:rows=3,policy=heavy", "contiguous:window=4"}) {
      CAPTURE(cache);
      const bool any = program == "lesson_06_prefill_and_decode";
      const ProgramRun run = run_program(std::string(LASTROW_BIN_DIR "/") + program, {"--cache", cache}, 120);
      CAPTURE(run.err);
      CHECK(run.status == (any ? 0 : 2));
      if (any) continue;
      ++n_refused;
      CHECK(run.out.empty());
      CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
      CHECK(run.err.find("does not take a window or a budget, because ") != std::string::npos);
      CHECK(run.err.find("use contiguous or paged") != std::string::npos);
    }
  }
  CHECK(n_refused == 3 * 11);
}

TEST_CASE("a prompt is one step of lesson 6, whatever the cache") {
  const ProgramRun run = run_program(std::string(LASTROW_BIN_DIR "/") + "lesson_06_prefill_and_decode",
                                     {"--cache", "budget:rows=3"}, 120);
  CHECK(run.out.find("A prompt of 4 tokens, then one more token.") != std::string::npos);
}

TEST_CASE("lesson 3 takes pages that are longer than its shortest text") {
  CHECK(run_lesson("lesson_03_recompute_or_cache", "--cache paged:block=4").status == 0);
}

TEST_CASE("lessons about RoPE refuse a model with learned positions") {
  for (const char* lesson :
       {"lesson_04_why_not_queries", "lesson_05_training_and_generation", "lesson_11_find_the_bug"}) {
    CAPTURE(lesson);
    const ProgramRun run =
        run_program(std::string(LASTROW_BIN_DIR "/") + lesson,
                    {"--model", "random:arch=gpt2,layers=2,q_heads=4,kv_heads=2,head_dim=16,vocab=60"}, 60);
    CHECK(run.status == 2);
    CHECK(run.err.find("has no RoPE, which this lesson is about: choose fable-mha") != std::string::npos);
  }
}
