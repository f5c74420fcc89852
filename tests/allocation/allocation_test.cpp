// A steady decode step, of one text or of a batch, never touches the heap.
// Every way to the heap is counted, also Eigen's.
#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>

#include "backend/eigen.h"
#include "session/batch_session.h"
#include "session/session.h"

#if defined(__SANITIZE_ADDRESS__)
#define LASTROW_COUNTS_ALLOCATIONS 0  // the sanitizer has taken these functions for itself
#else
#define LASTROW_COUNTS_ALLOCATIONS 1

namespace {
std::atomic<int64_t> n_allocations = 0;
}

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t n) { return ++n_allocations, __libc_malloc(n); }
void* calloc(size_t n, size_t size) { return ++n_allocations, __libc_calloc(n, size); }
void* realloc(void* p, size_t n) { return ++n_allocations, __libc_realloc(p, n); }
void* memalign(size_t alignment, size_t n) { return ++n_allocations, __libc_memalign(alignment, n); }
void* aligned_alloc(size_t alignment, size_t n) { return ++n_allocations, __libc_memalign(alignment, n); }
int posix_memalign(void** p, size_t alignment, size_t n) {
  ++n_allocations;
  *p = __libc_memalign(alignment, n);
  return *p == nullptr ? ENOMEM : 0;
}
}
#endif

using namespace lastrow;

TEST_CASE("steady decode allocates nothing") {
#if LASTROW_COUNTS_ALLOCATIONS
  const auto model = load_model("random:layers=3,q_heads=8,kv_heads=2,head_dim=64,vocab=300,context=700");
  for (const char* cache :
       {"contiguous", "paged:block=1", "paged:block=16", "window:w=48,sinks=4",
        "window:w=48,sinks=4,positions=new", "budget:rows=64", "budget:rows=64,policy=heavy"})
    for (const int32_t n_threads : {1, 2}) {
      CAPTURE(cache);
      const CacheOptions options = cache_options(cache);
      DecodeSession s(model, std::make_unique<EigenBackend>(n_threads),
                      {.sampling = {.temperature = 0.7f, .top_k = 20},
                       .chunk = options.positions == Positions::renumbered ? 1 : 2,
                       .cache = options});
      s.start({1, 2, 3});
      for (int i = 0; i < 5; ++i) s.advance();  // buffers reach their size
      const int64_t before = n_allocations;
      for (int i = 0; i < 500; ++i) s.advance();
      CHECK(n_allocations - before == 0);
      CHECK(before > 0);  // the counter does count
    }
  DecodeSession sealed(model, std::make_unique<EigenBackend>(2),
                       {.cache = cache_options("paged", "int8-channel")});
  sealed.start({1, 2, 3});
  for (int i = 0; i < 5; ++i) sealed.advance();
  const int64_t before_seals = n_allocations;
  for (int i = 0; i < 500; ++i) sealed.advance();
  CHECK(n_allocations - before_seals == 0);
  DecodeSession streaming(load_model("random:layers=3,q_heads=8,kv_heads=2,head_dim=64,vocab=300,context=64"),
                          std::make_unique<EigenBackend>(2),
                          {.max_seq_len = 700, .cache = cache_options("window:w=48,sinks=4,positions=new")});
  streaming.start({1, 2, 3});
  for (int i = 0; i < 80; ++i) streaming.advance();  // behind the context
  const int64_t before_streaming = n_allocations;
  for (int i = 0; i < 500; ++i) streaming.advance();
  CHECK(n_allocations - before_streaming == 0);
  DecodeSession rings(
      load_model("random:layers=4,q_heads=8,kv_heads=2,head_dim=64,vocab=300,context=700,window=48,"
                 "window_period=2"),
      std::make_unique<EigenBackend>(2), {.chunk = 2, .cache = cache_options("window")});
  rings.start({1, 2, 3});
  for (int i = 0; i < 5; ++i) rings.advance();
  const int64_t before = n_allocations;
  for (int i = 0; i < 500; ++i) rings.advance();
  CHECK(n_allocations - before == 0);
#else
  MESSAGE("skipped: the address sanitizer owns the allocation functions");
#endif
}

TEST_CASE("steady decode of a full batch allocates nothing") {
#if LASTROW_COUNTS_ALLOCATIONS
  const auto model = load_model("random:layers=3,q_heads=8,kv_heads=2,head_dim=64,vocab=300,context=300");
  for (const char* cache : {"contiguous", "paged:block=16", "window:w=48,sinks=4",
                            "window:w=48,sinks=4,positions=new", "budget:rows=48,policy=heavy"})
    for (const bool share_prefix : {false, true}) {
      CacheOptions options = cache_options(cache);
      options.share_prefix = share_prefix && options.kind == "paged";
      BatchSession batch(model, std::make_unique<EigenBackend>(2),
                         {.sampling = {.temperature = 0.7f, .top_k = 20},
                          .max_seqs = 4,
                          .max_prompt_len = 4,
                          .cache = options});
      for (int32_t i = 0; i < 6; ++i) batch.add({1, 2, 3, i}, 250);  // two of them wait
      for (int i = 0; i < 4; ++i) batch.advance();                   // buffers reach their size
      REQUIRE(batch.n_running() == 4);
      const int64_t before = n_allocations;
      for (int i = 0; i < 200; ++i) batch.advance();
      CHECK(n_allocations - before == 0);
    }
#else
  MESSAGE("skipped: the address sanitizer owns the allocation functions");
#endif
}
