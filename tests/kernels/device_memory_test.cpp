// The device's memory: one allocation per cache, no allocation in a steady step, and what happens when memory
// runs out.
#include <doctest/doctest.h>

#include "session/session.h"
#include "tests/kernels/small_model.h"

namespace lastrow {
namespace {

std::unique_ptr<DeviceBackend> device_backend() {
  return std::make_unique<DeviceBackend>(gpu::DeviceOptions{}, 1);
}

}  // namespace

TEST_CASE("a cache is one allocation, however many layers it has, and its size is counted there") {
  const auto backend = device_backend();
  emulated::DeviceMemory& memory = backend->runtime().memory();
  for (const DType dtype : {DType::f32, DType::i8}) {
    const int64_t n = memory.n_allocations(), in_use = memory.bytes_in_use();
    const auto storage = backend->make_storage(CacheSpec::contiguous(7, 2, 8, 100, 3, dtype));
    CHECK(memory.n_allocations() == n + 1);
    CHECK(memory.bytes_in_use() == in_use + storage->bytes());
  }
}

TEST_CASE("freed memory is counted as free, and the oldest freed allocation is reported once") {
  const auto backend = device_backend();
  emulated::DeviceMemory& memory = backend->runtime().memory();
  const int64_t n = memory.n_allocations(), in_use = memory.bytes_in_use();
  Tensor first = backend->make_tensor({10}), second = backend->make_tensor({20});
  CHECK(memory.bytes_in_use() == in_use + 120);
  CHECK(memory.take_oldest_freed() == emulated::DeviceMemory::kNone);
  second = {};
  first = {};
  CHECK(memory.bytes_in_use() == in_use);
  CHECK(memory.take_oldest_freed() == n);
  CHECK(memory.take_oldest_freed() == emulated::DeviceMemory::kNone);
}

TEST_CASE("a decode step allocates nothing on the device, whether it is run, recorded or replayed") {
  auto made = device_backend();
  emulated::DeviceMemory& memory = made->runtime().memory();
  DecodeSession session(small_model(), std::move(made), {});
  session.start(std::vector<int32_t>(20, 7));
  for (int i = 0; i < 2; ++i) session.advance();
  const int64_t before = memory.n_allocations();
  for (int i = 0; i < 20; ++i) session.advance();
  CHECK(memory.n_allocations() == before);
}

TEST_CASE("a cache that does not fit is refused with sizes, and the backend stays usable") {
  const auto backend = device_backend();
  emulated::DeviceMemory& memory = backend->runtime().memory();
  const CacheSpec spec = CacheSpec::contiguous(4, 2, 64, 1024);  // 4 MiB
  memory.limit(memory.bytes_in_use() + (1 << 20));
  const int64_t in_use = memory.bytes_in_use();
  CHECK_THROWS_WITH_AS(
      (void)backend->make_storage(spec),
      doctest::Contains("cannot allocate 4.00 MiB (4.19 MB) of device memory: 1.00 MiB (1.05 MB) of"),
      CapacityError);
  CHECK(memory.bytes_in_use() == in_use);
  const auto storage = backend->make_storage(CacheSpec::contiguous(1, 2, 64, 1024));
  CHECK(storage->bytes() == 1 << 20);
  CHECK_THROWS_AS((void)backend->make_tensor({1}), CapacityError);
}

TEST_CASE("a session that does not fit is refused with sizes") {
  auto made = device_backend();
  emulated::DeviceMemory& memory = made->runtime().memory();
  memory.limit(100 << 10);
  CHECK_THROWS_WITH_AS(DecodeSession(small_model(), std::move(made), {}),
                       doctest::Contains("of device memory: "), CapacityError);
}

TEST_CASE("a step that runs out of memory is undone, and the session goes on where it was") {
  auto made = device_backend(), as_made = device_backend();
  emulated::DeviceMemory& memory = made->runtime().memory();
  DecodeSession session(small_model(), std::move(made), {}),
      undisturbed(small_model(), std::move(as_made), {});
  for (DecodeSession* each : {&session, &undisturbed}) {
    each->start(std::vector<int32_t>(127, 7));
    each->advance();
  }
  memory.limit(memory.bytes_in_use());  // the first decode step allocates scratch for all decode steps
  CHECK_THROWS_WITH_AS(session.advance(), doctest::Contains("of device memory: "), CapacityError);
  CHECK(session.current_step() == 0);
  CHECK(std::equal(session.logits().begin(), session.logits().end(), undisturbed.logits().begin()));
  memory.limit(emulated::DeviceMemory::kNone);
  for (int i = 0; i < 5; ++i) {
    session.advance();
    undisturbed.advance();
    CHECK(session.next_token() == undisturbed.next_token());
    CHECK(std::equal(session.logits().begin(), session.logits().end(), undisturbed.logits().begin()));
  }
  CHECK(session.backend_info().n_replayed > 0);
}

TEST_CASE("only the first decode step allocates memory, however long the context grows") {
  auto made = device_backend();
  emulated::DeviceMemory& memory = made->runtime().memory();
  DecodeSession session(small_model(), std::move(made), {});
  session.start(std::vector<int32_t>(100, 7));
  for (int i = 0; i < 2; ++i) session.advance();
  const int64_t in_use = memory.bytes_in_use(), n_allocations = memory.n_allocations();
  for (int i = 0; i < 40; ++i) session.advance();  // beyond 128 keys, the first bound
  CHECK(memory.bytes_in_use() == in_use);
  CHECK(memory.n_allocations() == n_allocations);
}

}  // namespace lastrow
