// The commands that open the menu of pokes, poke and restore.
#include <fmt/format.h>

#include <algorithm>

#include "viewer/view_model/describe/poke_effect.h"
#include "viewer/view_model/describe/target_text.h"
#include "viewer/view_model/run/controller_impl.h"

namespace lastrow::view {

std::string Controller::Impl::carry_out(const PokeHere&) {
  const std::optional<Target>& target = hovered && can_be_poked(hovered->part) ? hovered : pinned;
  if (!target || !can_be_poked(target->part))
    return refuse("point at a row of Q, K or V first, or click one; then P pokes it");
  return carry_out(OpenPokeMenu{*target});
}

std::string Controller::Impl::carry_out(const OpenPokeMenu& c) {
  if (!current) return refuse("there is no step to poke yet");
  if (!can_be_poked(c.target.part)) return refuse("only rows of Q, K and V can be poked");
  const Target row{c.target.side, c.target.part, c.target.row, -1};
  if (!target_exists(*current, row))
    return refuse(fmt::format("there is no row {}: this step has positions 0 to {}", row.row,
                              current->now->n_tokens - 1));
  menu = row;
  return "";
}

std::string Controller::Impl::carry_out(const ClosePokeMenu&) {
  menu.reset();
  return "";
}

std::string Controller::Impl::carry_out(const PokeRow& c) {
  menu.reset();
  if (!current) return refuse("there is no step to poke yet");
  if (!can_be_poked(c.part)) return refuse("only rows of Q, K and V can be poked");
  if (c.position < 0 || c.position >= current->now->n_tokens)
    return refuse(fmt::format("there is no position {}: this step has positions 0 to {}", c.position,
                              current->now->n_tokens - 1));
  const Poke poke = to_poke(c, *current, selection());
  std::erase_if(goal.pokes, [&](const Poke& other) { return same_row(other, poke); });
  goal.pokes.push_back(poke);
  clock.playing = false;
  want_goal();
  return "";
}

std::string Controller::Impl::carry_out(const RestoreRow& c) {
  menu.reset();
  if (!current) return refuse("there is no step yet");
  const Poke here = to_poke({.part = c.part, .position = c.position}, *current, selection());
  const size_t n = std::erase_if(goal.pokes, [&](const Poke& other) { return same_row(other, here); });
  if (n == 0) return refuse("this row is not poked in this layer and head");
  want_goal();
  return "";
}

std::string Controller::Impl::carry_out(const RestoreAll&) {
  menu.reset();
  if (goal.pokes.empty()) return "";
  goal.pokes.clear();
  want_goal();
  return "";
}

}  // namespace lastrow::view
