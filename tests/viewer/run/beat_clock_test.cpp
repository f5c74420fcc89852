// The clock of the beats, by itself.
#include "viewer/view_model/run/beat_clock.h"

#include <doctest/doctest.h>

using namespace lastrow::view;

TEST_CASE("a beat lasts as long as the table says, and the next one begins where it ended") {
  BeatClock clock;
  clock.advance(10);
  clock.show(Beat::start, false);
  clock.play_to(Beat::append);  // project 500 ms, append 400 ms
  CHECK(clock.advance(10).beat);
  CHECK(clock.beat() == Beat::project);
  CHECK(clock.progress() == 0);
  CHECK_FALSE(clock.advance(10.25).beat);
  CHECK(clock.progress() == doctest::Approx(0.5));
  CHECK(clock.advance(10.6).beat);
  CHECK(clock.beat() == Beat::append);
  CHECK(clock.progress() == doctest::Approx(0.25));
  clock.advance(11);
  CHECK(clock.beat() == Beat::append);
  CHECK_FALSE(clock.animating());
}

TEST_CASE("going back jumps, and so does everything with reduced motion") {
  BeatClock clock;
  clock.advance(1);
  clock.play_to(Beat::score);
  CHECK(clock.beat() == Beat::score);
  CHECK_FALSE(clock.animating());
  clock.reduced_motion = true;
  clock.play_to(Beat::keep);
  CHECK(clock.beat() == Beat::keep);
  CHECK_FALSE(clock.animating());
}

TEST_CASE("while it plays, the end of the last beat says that the step is over") {
  BeatClock clock;
  clock.advance(1);
  clock.show(Beat::next, false);
  CHECK_FALSE(clock.advance(2).step_over);
  clock.playing = true;
  CHECK_FALSE(clock.advance(2).step_over);
  CHECK(clock.beat() == Beat::keep);
  CHECK(clock.advance(9).step_over);
  clock.playing = false;
  CHECK_FALSE(clock.advance(10).step_over);
}
