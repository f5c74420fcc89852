// viewer/caches.txt: what caches forget, in a few sentences. It plays to its end, and each sentence is true.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/viewer/recording_host.h"

using namespace lastrow;
using namespace lastrow::view;

TEST_CASE("the script about caches that forget plays, and its pictures show what its sentences say") {
  Controller controller;
  RecordingHost host;
  std::string error;
  const int code = run_script(controller, load_script(LASTROW_SOURCE_DIR "/viewer/caches.txt"), host, error);
  REQUIRE_MESSAGE(code == 0, error);
  REQUIRE(host.rows.size() == 12);
  const auto left = [&](size_t row) -> const PaneState& { return host.rows[row - 1].view->panes[0]; };
  const auto right = [&](size_t row) -> const PaneState& { return host.rows[row - 1].view->panes[1]; };
  // 2: two sinks, and a ring of 4 + 4 − 1 slots. The prompt fills four of the slots.
  CHECK(left(2).pool.title == "where it lies: 9 slots; 2 sinks, then a ring");
  CHECK(std::ranges::count(left(2).pool.slots, SlotCell::What::written, &SlotCell::what) == 4);
  // 3: position 11 is in the slot where position 4 was.
  CHECK(left(3).pool.note == "position 11 → slot 4, where position 4 was");
  // 4: on the left the keys before the window do not exist; on the right they are masked.
  CHECK(left(4).scores.cell(11, 4) == State::not_stored);
  CHECK(right(4).scores.cell(11, 4) == State::masked);
  // 5
  CHECK(left(5).beat_note == "evicts row 8: leaves the window");
  // 6: four rows and the new one.
  CHECK(host.rows[5].view->transport.banner.ends_with("5 of 12 keys"));
  CHECK(right(6).weights.cell(11, 5) == State::computed_now);
  // 7
  CHECK(left(7).beat_note.find(" in all") != std::string::npos);
  CHECK(left(7).kept == "kept after this step: Q 0 · K 4 · V 4");
  // 8
  CHECK(left(8).k.rows[5].is == State::not_stored);
  // 9, 10
  CHECK(left(9).indices.back() == "5");
  CHECK(left(10).indices.back() == "5");
  CHECK(right(10).subtitle.find("12 queries") != std::string::npos);
  // 11, 12
  CHECK(left(11).kept == "kept after this step: Q 0 · K 3 · V 3");
  CHECK(left(12).kept == "kept after this step: Q 0 · K 12 · V 12");
}
