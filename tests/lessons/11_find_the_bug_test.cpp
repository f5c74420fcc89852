#include "lessons/lesson_run.h"
#include "lessons/support/evidence.h"
#include "registry/registry.h"
#include "trace/named_faults.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace {

const std::string kLesson11 = "lesson_11_find_the_bug";

/// The letter of the case with this bug.
std::string letter_of(const LessonRun& run, const std::string& fault) {
  return std::string(1, static_cast<char>('A' + static_cast<int>(run.figure("case_" + fault))));
}

}  // namespace

TEST_CASE("lesson 11: every bug shows first where its cause predicts it") {
  const LessonRun run = check_lesson(kLesson11);
  CHECK(run.figure("located") == 15);
}

TEST_CASE("lesson 11 grades: right answers pass, wrong ones fail, and nonsense is refused") {
  CHECK_FALSE(check_lesson(kLesson11).report.at("figures").contains("case_scale-twice"));  // a handout
  const LessonRun run = check_lesson(kLesson11, "reveal");
  std::string all;
  for (const auto& fault : faults())
    if (run.report.at("figures").contains("case_" + std::string(fault.name)))
      all += letter_of(run, std::string(fault.name)) + "=" + std::string(fault.name) + " ";
  CHECK(run_lesson(kLesson11, all).status == 0);
  CHECK(run_lesson(kLesson11, letter_of(run, "scale-twice") + "=Scale_Twice").status == 0);
  CHECK(run_lesson(kLesson11, letter_of(run, "scale-twice") + "=stale-rows").status == 1);
  const Folder folder("lesson_11");
  for (const std::string wrong :
       {"Z=scale-twice", "A", "A=nope", "A=scale-twice A=stale-rows", "reveal A=scale-twice"}) {
    CAPTURE(wrong);
    const Outcome o = shell(folder, kLessons + kLesson11 + " " + wrong);
    CHECK(o.exit_code == 2);
    CHECK(o.out.empty());
  }
}

TEST_CASE("lesson 11 on a model with one K/V head per query head leaves out the bug that cannot show") {
  CHECK(check_lesson(kLesson11, "--model fable-mha").figure("located") == 14);
}

TEST_CASE("two healthy runs do not differ; a fault is found on every CPU backend") {
  for (const std::string name : {"naive", "naive-f64", "eigen", "cuda-emulated"}) {
    CAPTURE(name);
    const auto model = load_model("fable-gqa");
    const auto run = [&](std::unique_ptr<Backend> backend) {
      auto session = std::make_unique<DecodeSession>(model, std::move(backend),
                                                     SessionOptions{.record = lessons::everything()});
      session->start(model->tokenizer().encode("the quick brown fox"));
      session->advance();
      session->advance();
      return session;
    };
    const auto healthy = run(make_backend(name));
    CHECK(!lessons::compare(*healthy, *run(make_backend(name))).first);
    const auto faulty = run(with_fault("scale-twice", make_backend(name), 4));
    const auto e = lessons::compare(*healthy, *faulty);
    REQUIRE(e.first);
    CHECK(e.first->place() == "step 0, layer 0, attend");
    CHECK(*e.score == doctest::Approx(*e.score_expected / 4).epsilon(1e-4));  // 1/√16 once more
  }
}
