// viewer/caches.txt: what caches forget, in a few sentences. It plays to its end, and each sentence is true.
#include <doctest/doctest.h>

#include "tests/viewer/recording_host.h"

using namespace lastrow;
using namespace lastrow::view;

TEST_CASE("the script about caches that forget plays, and its pictures show what its sentences say") {
  Controller controller;
  RecordingHost host;
  std::string error;
  const int code = run_script(controller, load_script(LASTROW_SOURCE_DIR "/viewer/caches.txt"), host, error);
  REQUIRE_MESSAGE(code == 0, error);
  REQUIRE(host.rows.size() == 11);
  const auto left = [&](size_t row) -> const PaneState& { return host.rows[row - 1].view->panes[0]; };
  const auto right = [&](size_t row) -> const PaneState& { return host.rows[row - 1].view->panes[1]; };
  // 2: position 11 is in the slot where position 4 was.
  CHECK(left(2).pool.note == "position 11 → slot 4, where position 4 was");
  // 3: on the left the keys before the window do not exist; on the right they are masked.
  CHECK(left(3).scores.cell(11, 4) == State::not_stored);
  CHECK(right(3).scores.cell(11, 4) == State::masked);
  // 4
  CHECK(left(4).beat_note == "evicts row 8: leaves the window");
  // 5: four rows and the new one.
  CHECK(host.rows[4].view->transport.banner.ends_with("5 of 12 keys"));
  CHECK(right(5).weights.cell(11, 5) == State::computed_now);
  // 6
  CHECK(left(6).beat_note.find(" in all") != std::string::npos);
  CHECK(left(6).kept == "kept after this step: Q 0 · K 4 · V 4");
  // 7
  CHECK(left(7).k.rows[5].is == State::not_stored);
  // 8, 9
  CHECK(left(8).indices.back() == "5");
  CHECK(left(9).indices.back() == "5");
  CHECK(right(9).subtitle.find("12 queries") != std::string::npos);
  // 10, 11
  CHECK(left(10).kept == "kept after this step: Q 0 · K 3 · V 3");
  CHECK(left(11).kept == "kept after this step: Q 0 · K 12 · V 12");
}
