// Each named fault makes a backend. The caller's plan does not change.
#include "trace/named_faults.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "tests/trace/tiny.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

std::unique_ptr<Backend> naive() { return std::make_unique<NaiveBackend<float>>(); }

constexpr int32_t kGroupSize = 2;  // of Tiny: 4 query heads, 2 K/V heads

}  // namespace

TEST_CASE("the fault scale-twice gives what the square of the scale gives") {
  const auto right = naive(), faulty = with_fault("scale-twice", naive(), kGroupSize);
  Tiny a(*right), b(*faulty);
  CHECK(same_bits(a.step(*right, 4, false, {0.25f, {}})[0].view(),
                  b.step(*faulty, 4, false, {0.5f, {}})[0].view()));
}

TEST_CASE("the fault mask-top-left shows in decode, not in the prefill; the cache counts as always") {
  const auto right = naive(), faulty = with_fault("mask-top-left", naive(), kGroupSize);
  Tiny a(*right), b(*faulty);
  CHECK(same_bits(a.step(*right, 4)[0].view(), b.step(*faulty, 4)[0].view()));
  CHECK_FALSE(same_bits(a.step(*right, 1)[0].view(), b.step(*faulty, 1)[0].view()));
  CHECK(b.cache().length(0) == 5);
}

TEST_CASE("the fault repeat-kv changes no number; its cache is larger by the group size") {
  const auto right = naive(), faulty = with_fault("repeat-kv", naive(), kGroupSize);
  Tiny a(*right), b(*faulty);
  CHECK(same_bits(a.step(*right, 4)[1].view(), b.step(*faulty, 4)[1].view()));
  CHECK(b.storage().bytes() == kGroupSize * a.storage().bytes());
}

TEST_CASE("every named fault runs, and an unknown one is refused with the list of names") {
  for (const Fault& fault : faults()) {
    CAPTURE(std::string(fault.name));
    const auto faulty = with_fault(std::string(fault.name), naive(), kGroupSize);
    Tiny tiny(*faulty);
    tiny.step(*faulty, 3);
    tiny.step(*faulty, 1);
    CHECK(tiny.cache().length(0) == 4);
    CHECK_THROWS_WITH_AS(with_fault("nope", naive(), 1), doctest::Contains(std::string(fault.name).c_str()),
                         UsageError);
  }
}
