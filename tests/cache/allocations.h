// Counts the allocations of this program, and lets them fail. Every operator new of test_cache is counted.
//
//   const int64_t before = n_allocations();  …  CHECK(n_allocations() == before);
//   { FailingAllocation fail(3);  … }         the third allocation from here on throws std::bad_alloc, once
#pragma once

#include <cstdint>

namespace lastrow::testing {

int64_t n_allocations();
/// Allocations that were not freed yet.
int64_t n_held_allocations();

class FailingAllocation {
 public:
  explicit FailingAllocation(int64_t number);
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  bool has_failed() const;
};

}  // namespace lastrow::testing
