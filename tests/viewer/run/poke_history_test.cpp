// Undo and redo of pokes: the list, its bound, and the return to the old list after a run that was cancelled.
#include "viewer/view_model/run/poke_history.h"

#include <doctest/doctest.h>

using namespace lastrow;
using namespace lastrow::view;

namespace {

Poke k(int position, int step = 4) {
  return {.what = Poke::What::k, .position = position, .head = 0, .when = Poke::When::now, .step = step};
}

}  // namespace

TEST_CASE("undo goes back one change, redo forward again, and a new change forgets what was undone") {
  PokeHistory h;
  CHECK_FALSE(h.undo());
  h.change({k(1)}, "poke of k[1]");
  h.change({k(1), k(2)}, "poke of k[2]");
  CHECK(h.undo_text() == "poke of k[2]");
  CHECK(h.undo());
  CHECK(h.pokes() == std::vector{k(1)});
  CHECK(h.redo_text() == "poke of k[2]");
  CHECK(h.redo());
  CHECK(h.pokes() == std::vector{k(1), k(2)});
  CHECK_FALSE(h.redo());
  CHECK(h.undo());
  h.change({}, "restore of 1 poke");
  CHECK(h.redo_text() == "");
  CHECK(h.undo());
  CHECK(h.pokes() == std::vector{k(1)});
  h.change({k(1)}, "nothing");  // the same list is no change
  CHECK(h.redo_text() == "restore of 1 poke");
  h.clear();
  CHECK(h.pokes().empty());
  CHECK_FALSE(h.undo());
  CHECK_FALSE(h.redo());
}

TEST_CASE("the last 100 changes can be undone") {
  PokeHistory h;
  for (int i = 1; i <= 150; ++i) h.change({k(i)}, "poke");
  int undone = 0;
  while (h.undo()) ++undone;
  CHECK(undone == 100);
  CHECK(h.pokes() == std::vector{k(50)});
}

TEST_CASE("after a run that was cancelled the list is what is on the screen, and redo does it after all") {
  PokeHistory h;
  h.change({k(1)}, "poke of k[1]");
  h.change({k(1), k(2)}, "poke of k[2]");
  h.return_to({k(1)}, 4, 8);
  CHECK(h.pokes() == std::vector{k(1)});
  CHECK(h.redo_text() == "poke of k[2]");
  // The other way round: an undo that was cancelled.
  h.undo();
  h.return_to({k(1)}, 4, 8);
  CHECK(h.pokes() == std::vector{k(1)});
  // Pokes of other steps do not matter.
  h.change({k(1), k(3, 2)}, "poke of k[3]");
  h.return_to({k(1)}, 4, 8);
  CHECK(h.pokes().size() == 2);
}
