// If a thread cannot be started, the message says in one line which one, why, and what to do.
#include <doctest/doctest.h>

#include <thread>

#include "core/start_thread.h"
#include "support/thread_limit.h"

using namespace lastrow;

TEST_CASE("if the system starts no more threads, the message says what is missing and what to do") {
  int n_run = 0;
  start_thread<std::thread>("counts", [&] { ++n_run; }).join();
  CHECK(n_run == 1);
  const testing::ThreadLimit limit(0);
  CHECK_THROWS_WITH_AS((void)start_thread<std::jthread>("counts", [&] { ++n_run; }),
                       "a thread that counts cannot be started (Resource temporarily unavailable): end other "
                       "programs, or allow more processes with `ulimit -u`",
                       CapacityError);
  CHECK(n_run == 1);
}
