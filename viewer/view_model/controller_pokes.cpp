// The commands that open the menu of pokes, poke and restore. An answer is the error, or empty.
#include <fmt/format.h>

#include <algorithm>

#include "viewer/view_model/controller_impl.h"
#include "viewer/view_model/inspector.h"

namespace lastrow::view {

namespace {

bool pokable(Part part) { return part == Part::q || part == Part::k || part == Part::v; }

}  // namespace

std::string Controller::Impl::poke_here() {
  const std::optional<Target>& target = hovered && pokable(hovered->part) ? hovered : pinned;
  if (!target || !pokable(target->part))
    return refuse("point at a row of Q, K or V first, or click one; then P pokes it");
  return open_menu(*target);
}

std::string Controller::Impl::open_menu(const Target& target) {
  if (!current) return refuse("there is no step to poke yet");
  if (!pokable(target.part)) return refuse("only rows of Q, K and V can be poked");
  if (!target_exists(*current, {target.side, target.part, target.row, -1}))
    return refuse(fmt::format("there is no row {}: this step has positions 0 to {}", target.row,
                              current->now->n_tokens - 1));
  menu = Target{target.side, target.part, target.row, -1};
  return "";
}

std::string Controller::Impl::poke(const PokeRow& row) {
  menu.reset();
  if (!current) return refuse("there is no step to poke yet");
  if (!pokable(row.part)) return refuse("only rows of Q, K and V can be poked");
  if (row.position < 0 || row.position >= current->now->n_tokens)
    return refuse(fmt::format("there is no position {}: this step has positions 0 to {}", row.position,
                              current->now->n_tokens - 1));
  const Poke p = to_poke(row, *current, selection());
  std::erase_if(goal.pokes, [&](const Poke& o) {
    return o.what == p.what && o.layer == p.layer && o.position == p.position && o.head == p.head;
  });
  goal.pokes.push_back(p);
  playing = false;
  want_goal();
  return "";
}

std::string Controller::Impl::restore(const RestoreRow& row) {
  menu.reset();
  if (!current) return refuse("there is no step yet");
  const Poke here =
      to_poke({row.part, row.position, PokeAction::scramble, PokeScope::now}, *current, selection());
  const size_t n = std::erase_if(goal.pokes, [&](const Poke& o) {
    return o.what == here.what && o.layer == here.layer && o.position == here.position && o.head == here.head;
  });
  if (n == 0) return refuse("this row is not poked in this layer and head");
  want_goal();
  return "";
}

std::string Controller::Impl::restore_all() {
  menu.reset();
  if (goal.pokes.empty()) return "";
  goal.pokes.clear();
  want_goal();
  return "";
}

}  // namespace lastrow::view
