// Faults change the inputs of the backend. The caller's own inputs do not change.
#include <doctest/doctest.h>

#include "tests/trace/tiny.h"
#include "trace/faults.h"

using namespace lastrow;
using namespace lastrow::test;

TEST_CASE("a mask that forgets causality changes every row but the last") {
  NaiveBackend<float> naive;
  FaultingBackend faulty(naive);
  Tiny right(naive), wrong(naive);
  faulty.on_attend([](Site, AttendSpec& spec) { spec.mask.causal = false; });
  const std::vector<Tensor> a = right.step(naive, 4), b = wrong.step(faulty, 4);
  for (int32_t t = 0; t < 4; ++t)
    CHECK(same_bits(a[0].view().rows(t, 1), b[0].view().rows(t, 1)) == (t == 3));
}

TEST_CASE("a kv_len that is too small by one hides the newest key; the caller's plan does not change") {
  NaiveBackend<float> naive;
  FaultingBackend faulty(naive);
  Tiny right(naive), wrong(naive);
  right.step(naive, 4);
  wrong.step(naive, 4);
  faulty.on_plan([](StepPlan& plan) { plan.kv_len[0] -= 1; });
  CHECK_FALSE(same_bits(right.step(naive, 1)[0].view(), wrong.step(faulty, 1)[0].view()));
  CHECK(wrong.cache().length(0) == 5);  // commit got the correct plan
}

TEST_CASE("without a fault it forwards") {
  NaiveBackend<float> naive;
  FaultingBackend faulty(naive);
  Tiny a(naive), b(naive);
  CHECK(same_bits(a.step(naive, 4)[1].view(), b.step(faulty, 4)[1].view()));
}
