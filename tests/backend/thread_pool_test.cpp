#include "backend/thread_pool.h"

#include <doctest/doctest.h>

#include <atomic>

#include "core/stop.h"
#include "support/thread_limit.h"

using namespace lastrow;

TEST_CASE("every item is done once, with any number of threads") {
  for (const int32_t n_threads : {1, 2, 3, 8}) {
    ThreadPool pool(n_threads);
    CHECK(pool.n_threads() == n_threads);
    for (const int64_t n_items : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> done(static_cast<size_t>(n_items));
      for (int round = 0; round < 20; ++round) pool.for_each(n_items, [&](int64_t i) { ++done[i]; });
      for (const auto& count : done) CHECK(count == 20);
    }
  }
}

TEST_CASE("loops that end before a worker wakes may follow each other at once") {
  ThreadPool pool(4);
  std::atomic<int64_t> done = 0;
  for (int round = 0; round < 5000; ++round) pool.for_each(3, [&](int64_t) { ++done; });
  CHECK(done == 15000);
}

TEST_CASE("0 threads means one for each core") {
  ThreadPool pool;
  CHECK(pool.n_threads() == static_cast<int32_t>(std::max(1u, std::thread::hardware_concurrency())));
}

TEST_CASE("if the system has no more threads, those that run do all the work") {
  for (const int n_given : {0, 2}) {
    const lastrow::testing::ThreadLimit limit(n_given);
    ThreadPool pool(8);
    CHECK(pool.n_threads() == n_given + 1);
    std::vector<std::atomic<int>> done(100);
    pool.for_each(100, [&](int64_t i) { ++done[i]; });
    for (const auto& count : done) CHECK(count == 1);
  }
}

TEST_CASE("a loop that is asked to stop leaves out the rest and throws; outside of the scope it runs on") {
  for (const int32_t n_threads : {1, 3}) {
    ThreadPool pool(n_threads);
    std::atomic<bool> stop = false;
    std::atomic<int64_t> done = 0;
    const auto item = [&](int64_t) {
      CHECK((StopScope::flag() == nullptr || StopScope::flag() == &stop));  // on every thread
      if (++done == 5) stop = true;
    };
    {
      const StopScope scope(&stop);
      CHECK_THROWS_AS(pool.for_each(1'000'000, item), Cancelled);
      CHECK(done < 1'000'000);
      CHECK_THROWS_AS(pool.for_each(1'000'000, item), Cancelled);
    }
    done = 10;
    pool.for_each(100, item);
    CHECK(done == 110);
  }
}
