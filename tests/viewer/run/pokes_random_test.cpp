// Random pokes, restores, undos and steps, with work still under way: at rest the list says what is active.
#include <doctest/doctest.h>

#include <algorithm>

#include "core/random.h"
#include "viewer/small_controllers.h"
#include "viewer/view_model/run/controller.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

Command random_command(Random& random, const ViewState& view) {
  const auto below = [&](int n) { return static_cast<int>(random.below(static_cast<uint32_t>(n))); };
  const auto part = static_cast<Part>(1 + below(3));
  const std::vector<PokeEntry>& entries = view.pokes.entries;
  switch (below(16)) {
    case 0:
      return RestoreAll{};
    case 1:
      return RestoreRow{part, below(12)};
    case 2:
    case 3:
      return UndoPoke{};
    case 4:
      return RedoPoke{};
    case 5:
      return GoToStep{below(10), false};
    case 6:
      return ChangeStep{below(2) == 0 ? -1 : +1};
    case 7:
      return SetLayer{below(3)};
    case 8:
      return SetHead{below(4)};
    case 9:
      return CancelWork{};
    case 10:
      if (entries.empty()) return OpenPokes{true};
      return entries[static_cast<size_t>(below(static_cast<int>(entries.size())))].remove;
    case 11:
      if (entries.empty()) return OpenPokes{false};
      return entries[static_cast<size_t>(below(static_cast<int>(entries.size())))].show;
    case 12:
      if (below(8) == 0) return SetPrompt{below(2) == 0 ? "a b c" : "a b"};
      return OpenPokes{true};
    default:
      return PokeRow{part, below(12), static_cast<Poke::Action>(below(2)), static_cast<Poke::When>(below(2))};
  }
}

/// What the list and the panes say about the same pokes.
void check_list(const ViewState& view) {
  const auto& entries = view.pokes.entries;
  const auto in_force =
      std::count_if(entries.begin(), entries.end(), [](const PokeEntry& e) { return e.in_force; });
  CHECK(view.n_pokes == in_force);
  CHECK(view.panes[0].badges.size() == (in_force > 0 ? 1 : 0));
  CHECK(view.pokes.comparison.has_value() == (view.pokes.open && in_force > 0));
  for (size_t i = 0; i < entries.size(); ++i) {
    CHECK(entries[i].number == static_cast<int>(i) + 1);
    CHECK(entries[i].in_force == entries[i].why_not.empty());
    const Poke& p = entries[i].show.poke;
    if (!entries[i].in_force || p.layer != view.layer) continue;
    const PaneState& pane = view.panes[1];
    const bool query = p.what == Poke::What::q;
    if (p.head != (query ? view.head : view.head / view.heads.group_size)) continue;
    const ValueBlock& block = query ? pane.q : p.what == Poke::What::k ? pane.k : pane.v;
    CHECK(block.rows[static_cast<size_t>(p.position)].poked);
  }
}

}  // namespace

TEST_CASE("whatever is poked, undone and cancelled, the list says what is active") {
  ControllerOptions options;
  options.model = kSmall;
  options.prompt = "a b c";
  Controller controller(options);
  auto view = controller.settle();
  Random random(11);
  size_t most = 0;
  for (int i = 0; i < 1500; ++i) {
    CAPTURE(i);
    controller.send(random_command(random, *view));
    // Mostly the next command comes while this one is still being run.
    view = random.below(3) == 0 ? controller.settle() : controller.frame(i).view;
    if (random.below(4) == 0) {
      view = controller.settle();
      check_list(*view);
    }
    most = std::max(most, view->pokes.entries.size());
  }
  CHECK(most > 5);
  // Undoing everything ends, and leaves nothing.
  for (int i = 0; i < 200 && !view->pokes.undo_text.empty(); ++i) {
    controller.send(UndoPoke{});
    view = controller.settle();
    check_list(*view);
  }
  CHECK(view->pokes.undo_text == "");
}
