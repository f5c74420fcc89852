#include "viewer/view_model/describe/poke_menu.h"

#include <fmt/format.h>

#include <algorithm>

#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/poke_effect.h"
#include "viewer/view_model/describe/target_text.h"

namespace lastrow::view {

PokeMenu build_poke_menu(const Snapshot& snapshot, const Selection& at, const Target& target) {
  PokeMenu menu;
  menu.target = target;
  const ModelConfig& c = snapshot.setup->config();
  const Target row{target.side, target.part, target.row, -1};
  // For K and V the title names every query head that shares the K/V head, because the poke changes them all.
  menu.title = target.part == Part::q
                   ? target_title(snapshot, at, row)
                   : fmt::format("{} · {}", target_title(snapshot, at, row, /*with_head=*/false),
                                 sharing_text(c, at.head / c.group_size()));
  const auto add = [&](const char* text, const char* tip, Poke::Action action, Poke::When when) {
    menu.entries.push_back({text, tip, true, "", PokeRow{target.part, target.row, action, when}});
  };
  add("Scramble now", "Random values of the same size, in this step only.", Poke::Action::scramble,
      Poke::When::now);
  add("Zero now", "All zeros, in this step only.", Poke::Action::zero, Poke::When::now);
  add("Scramble since its own step",
      "Random values since the step that computed the row; later steps run again.", Poke::Action::scramble,
      Poke::When::since);
  add("Zero since its own step", "Zeros since the step that computed the row; later steps run again.",
      Poke::Action::zero, Poke::When::since);
  const Poke here = to_poke({.part = target.part, .position = target.row}, snapshot, at);
  const bool poked = std::any_of(snapshot.now->pokes.begin(), snapshot.now->pokes.end(),
                                 [&](const Poke& p) { return same_row(p, here); });
  menu.entries.push_back({"Restore", "Undo the poke of this row.", poked,
                          poked ? "" : "this row is not poked", RestoreRow{target.part, target.row}});
  menu.entries.push_back({"Restore all", "Undo every poke, also those of other steps.", at.n_all_pokes > 0,
                          at.n_all_pokes > 0 ? "" : "nothing is poked", RestoreAll{}});
  return menu;
}

}  // namespace lastrow::view
