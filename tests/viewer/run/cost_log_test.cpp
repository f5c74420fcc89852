// The log of what the steps cost: which measurement of a time counts, and when one looks disturbed.
#include "viewer/view_model/run/cost_log.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "registry/registry.h"

using namespace lastrow;
using namespace lastrow::view;

TEST_CASE("a time looks disturbed if one side took more than twice as long as the step before") {
  CostLog log;
  log.note_median(0, {100, 100});
  log.note_median(1, {900, 900});  // after the prefill there is nothing to compare with
  CHECK_FALSE(log.looks_disturbed(1));
  log.note_median(2, {1000, 1800});
  CHECK_FALSE(log.looks_disturbed(2));
  log.note_median(3, {2001, 1800});
  CHECK(log.looks_disturbed(3));
  log.note_median(3, {1000, 3601});
  CHECK(log.looks_disturbed(3));
}

TEST_CASE("a time with recording gives way to one without, and that to a median; work stays as counted") {
  const auto model = load_model("random:layers=1,q_heads=2,head_dim=8,vocab=64,context=16,seed=3");
  TwinSession twin(model, make_backend("naive"), make_backend("naive"), {});
  twin.start(model->tokenizer().encode("a b c"));
  twin.advance();
  CostLog log;
  const auto prefill = [&](size_t side) { return log.steps()[side].at(0); };
  log.note_work(twin, false);
  CHECK(prefill(0).time == TimeKind::none);
  CHECK(prefill(0).flop == twin.cached().record().flop);
  CHECK(prefill(1).bytes == bytes_moved(twin.recompute().record()));
  log.note_work(twin, true);
  CHECK(prefill(1).time == TimeKind::recorded);
  log.note_time(twin);
  CHECK(prefill(1).time == TimeKind::once);
  CHECK(prefill(1).wall_us == twin.recompute().record().wall_us);
  log.note_median(0, {0.5, 0.25});
  CHECK(prefill(0).wall_us == 0.5);
  CHECK(prefill(1).wall_us == 0.25);
  log.note_time(twin);
  log.note_work(twin, true);
  CHECK(prefill(1).time == TimeKind::median);
  CHECK(prefill(1).wall_us == 0.25);
}

TEST_CASE("of several single runs the fastest counts") {
  const auto model = load_model("random:layers=1,q_heads=2,head_dim=8,vocab=64,context=16,seed=3");
  TwinSession twin(model, make_backend("naive"), make_backend("naive"), {});
  twin.start(model->tokenizer().encode("a b c"));
  twin.advance();
  CostLog log;
  double fastest = 1e30;
  for (int run = 0; run < 50; ++run) {
    twin.go_to(0);
    log.note_time(twin);
    fastest = std::min(fastest, twin.cached().record().wall_us);
  }
  CHECK(log.steps()[0].at(0).wall_us == fastest);
}
