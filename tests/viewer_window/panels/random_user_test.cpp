// A thousand random events, one after the other. For a long run:
//   LASTROW_EVENTS=100000 LASTROW_SEED=1 build-asan/bin/test_viewer_window -tc="whatever a user does*"
#include "viewer_window/panels/random_user.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

using lastrow::ui::RandomUser;

namespace {

long from_environment(const char* name, long otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atol(text);
}

}  // namespace

TEST_CASE("whatever a user does, the viewer stands, and comes to rest") {
  constexpr long kEach = 500;  // events of one seed
  const long events = from_environment("LASTROW_EVENTS", 1000);
  auto seed = static_cast<uint64_t>(from_environment("LASTROW_SEED", 1));
  double longest_ms = 0;
  for (long done = 0; done < events; done += kEach, ++seed) {
    CAPTURE(seed);
    RandomUser user(seed);
    for (long i = 0; i < std::min(kEach, events - done) && user.complaint().empty(); ++i) {
      CAPTURE(i);
      REQUIRE_NOTHROW(user.act());
    }
    if (seed % 2 == 0) user.come_to_rest();  // otherwise it is closed while work is under way
    CHECK_MESSAGE(user.complaint().empty(), user.complaint());
    longest_ms = std::max(longest_ms, user.longest_frame_ms());
  }
  WARN_MESSAGE(longest_ms <= 50, "a frame took ", longest_ms, " ms");
}
