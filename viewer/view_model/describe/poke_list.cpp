#include "viewer/view_model/describe/poke_list.h"

#include <fmt/format.h>

#include <algorithm>

#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/poke_effect.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

/// The word at the position, also if the step that is shown does not have it yet.
std::string word_of(const Snapshot& snapshot, int position) {
  const auto at = static_cast<size_t>(position);
  return at < snapshot.history.size() ? in_quotes(label(snapshot.setup->piece(snapshot.history[at]))) : "";
}

std::string why_not_in_force(const Snapshot& snapshot, const Poke& poke) {
  if (poke.when == Poke::When::now && poke.step != snapshot.now->step)
    return fmt::format("not active here: it belongs to {}", step_text(*snapshot.setup, poke.step));
  if (poke.position >= snapshot.now->n_tokens)
    return fmt::format("not active here: {} is the first step with position {}",
                       step_name(*snapshot.setup, poke.position), poke.position);
  return "";
}

PokeEntry entry(const Snapshot& snapshot, const Poke& poke, int number) {
  PokeEntry e;
  e.number = number;
  const char* action = poke.action == Poke::Action::zero ? "zeroed" : "scrambled";
  e.what = fmt::format("{} {} {}", poked_row_name(poke), word_of(snapshot, poke.position), action);
  e.where = fmt::format("layer {} · {} {}", poke.layer, poke.what == Poke::What::q ? "head" : "K/V head",
                        poke.head);
  e.when = poke.when == Poke::When::since
               ? "since its own step"
               : fmt::format("now: in {} only", step_text(*snapshot.setup, poke.step));
  e.text = fmt::format("{} · {} · {}", e.what, e.where, e.when);
  e.in_force = is_in_force(poke, snapshot.now->step, snapshot.now->n_tokens);
  if (!e.in_force) e.why_not = why_not_in_force(snapshot, poke);
  e.show = {poke};
  e.remove = {poke};
  return e;
}

}  // namespace

PokeList build_poke_list(const Snapshot& snapshot, const Selection& at, const PokesSoFar& so_far) {
  PokeList list;
  const auto n = static_cast<int>(so_far.pokes.size());
  for (int i = 0; i < n; ++i)
    list.entries.push_back(entry(snapshot, so_far.pokes[static_cast<size_t>(i)], i + 1));
  if (!so_far.undo_what.empty()) list.undo_text = "Undo: " + so_far.undo_what;
  if (!so_far.redo_what.empty()) list.redo_text = "Redo: " + so_far.redo_what;
  if (n > 0 || !list.undo_text.empty() || !list.redo_text.empty()) list.button = plural(n, "poke");
  list.open = so_far.open && !list.button.empty();
  if (list.open && !snapshot.now->pokes.empty()) list.comparison = compare_with_unpoked(snapshot, at);
  if (snapshot.now->pokes.empty())
    list.hint = n == 0 ? "Nothing is poked." : "No poke is active in this step, so nothing is changed.";
  return list;
}

}  // namespace lastrow::view
