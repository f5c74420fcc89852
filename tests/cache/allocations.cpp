#include "cache/allocations.h"

#include <cstdlib>
#include <new>

namespace {

int64_t n_made = 0, n_freed = 0;
int64_t until_failure = 0;  // 0: none fails; 1: the next one

void* allocate(size_t n) {
  if (until_failure > 0 && --until_failure == 0) throw std::bad_alloc();
  void* const p = std::malloc(n == 0 ? 1 : n);
  if (p == nullptr) throw std::bad_alloc();
  ++n_made;
  return p;
}

void release(void* p) {
  if (p != nullptr) ++n_freed;
  std::free(p);
}

}  // namespace

void* operator new(size_t n) { return allocate(n); }
void* operator new[](size_t n) { return allocate(n); }
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, size_t) noexcept { release(p); }
void operator delete[](void* p, size_t) noexcept { release(p); }

namespace lastrow::testing {

int64_t n_allocations() { return n_made; }
int64_t n_held_allocations() { return n_made - n_freed; }

FailingAllocation::FailingAllocation(int64_t number) { until_failure = number; }
FailingAllocation::~FailingAllocation() { until_failure = 0; }
bool FailingAllocation::has_failed() const { return until_failure == 0; }

}  // namespace lastrow::testing
