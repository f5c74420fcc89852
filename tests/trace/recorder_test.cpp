// A recorder's transaction: unless it is kept, the steps that it replaced come back.
#include "trace/recorder.h"

#include <doctest/doctest.h>

#include <optional>

#include "support/aborts.h"
#include "tests/trace/traced_model.h"

using namespace lastrow;
using namespace lastrow::test;
using lastrow::testing::aborts;

namespace {

/// Three recorded steps; everything is recorded.
struct ThreeSteps {
  ThreeSteps() : m({.keep = RecordOptions::Keep::all}, 1) {
    m.step({3, 1, 4});
    m.step({1});
    m.step({5});
  }
  /// Runs step 1 again with another token.
  void repeat_step_1() {
    m.cache.truncate(0, 3);
    m.recorder.set_step(1);
    m.step({9});
  }
  TracedModel m;
};

}  // namespace

TEST_CASE("a transaction that is not kept puts back the steps that it replaced") {
  ThreeSteps s;
  const Recorder& recorder = s.m.recorder;
  const int64_t bytes = recorder.bytes();
  {
    const Recorder::Transaction transaction(s.m.recorder);
    s.repeat_step_1();
    CHECK(recorder.steps() == std::vector<int32_t>{0, 1});
    CHECK(recorder.tensors(1).tokens == std::vector<int32_t>{9});
  }
  CHECK(recorder.steps() == std::vector<int32_t>{0, 1, 2});
  CHECK(recorder.tensors(1).tokens == std::vector<int32_t>{1});
  CHECK(recorder.bytes() == bytes);
}

TEST_CASE("a transaction that is kept leaves what its steps recorded, and another may follow") {
  ThreeSteps s;
  for (int round = 0; round < 2; ++round) {
    Recorder::Transaction transaction(s.m.recorder);
    s.repeat_step_1();
    transaction.keep();
  }
  CHECK(s.m.recorder.steps() == std::vector<int32_t>{0, 1});
  CHECK(s.m.recorder.tensors(1).tokens == std::vector<int32_t>{9});
}

TEST_CASE("one transaction at a time, kept once, and nothing is cleared during it") {
  Recorder recorder;
  std::optional<Recorder::Transaction> first(std::in_place, recorder);
  CHECK(aborts([&] { const Recorder::Transaction second(recorder); }));
  CHECK(aborts([&] { recorder.clear(); }));
  first->keep();
  CHECK(aborts([&] { first->keep(); }));
  CHECK_FALSE(aborts([&] { const Recorder::Transaction second(recorder); }));
}
