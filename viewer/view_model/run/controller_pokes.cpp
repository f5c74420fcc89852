// The commands of pokes: their menu, poke and restore, undo and redo, the list.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "viewer/view_model/describe/poke_effect.h"
#include "viewer/view_model/describe/target_text.h"
#include "viewer/view_model/describe/text.h"
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

/// Runs the step again under the pokes of the list.
std::string Controller::Impl::pokes_changed() {
  menu.reset();
  clock.playing = false;
  want_goal();
  return "";
}

std::string Controller::Impl::carry_out(const PokeRow& c) {
  menu.reset();
  if (!current) return refuse("there is no step to poke yet");
  if (!can_be_poked(c.part)) return refuse("only rows of Q, K and V can be poked");
  if (c.position < 0 || c.position >= current->now->n_tokens)
    return refuse(fmt::format("there is no position {}: this step has positions 0 to {}", c.position,
                              current->now->n_tokens - 1));
  const Setup& setup = *current->setup;
  if (goal.model != setup.model_name || goal.prompt != setup.prompt || goal.backend != setup.backend ||
      goal.cache != setup.cache)
    return refuse("another run is about to begin: poke it when it is on the screen");
  const Poke poke = to_poke(c, *current, selection());
  std::vector<Poke> list = pokes.pokes();
  std::erase_if(list, [&](const Poke& other) { return same_row_and_step(other, poke); });
  list.push_back(poke);
  pokes.change(std::move(list), "poke of " + poked_row_name(poke));
  return pokes_changed();
}

std::string Controller::Impl::carry_out(const RestoreRow& c) {
  menu.reset();
  if (!current) return refuse("there is no step yet");
  const Poke here = to_poke({.part = c.part, .position = c.position}, *current, selection());
  std::vector<Poke> list = pokes.pokes();
  if (std::erase_if(list, [&](const Poke& other) { return same_row_and_step(other, here); }) == 0)
    return refuse("this row is not poked in this layer, head and step");
  pokes.change(std::move(list), "restore of " + poked_row_name(here));
  return pokes_changed();
}

std::string Controller::Impl::carry_out(const RestoreAll&) {
  menu.reset();
  if (pokes.pokes().empty()) return "";
  pokes.change({}, "restore of " + plural(static_cast<int64_t>(pokes.pokes().size()), "poke"));
  return pokes_changed();
}

std::string Controller::Impl::carry_out(const RemovePoke& c) {
  std::vector<Poke> list = pokes.pokes();
  if (std::erase(list, c.poke) == 0) return refuse("this poke is no longer in the list");
  pokes.change(std::move(list), "restore of " + poked_row_name(c.poke));
  return pokes_changed();
}

std::string Controller::Impl::carry_out(const ShowPoke& c) {
  if (!current) return refuse("there is no step yet");
  const Poke& poke = c.poke;
  const ModelConfig& config = current->setup->config();
  const int group = poke.what == Poke::What::q ? 1 : config.group_size();
  const std::string error = carry_out(SetLayer{poke.layer});
  if (!error.empty()) return error;
  if (poke.head >= 0 && head / group != poke.head) carry_out(SetHead{poke.head * group});
  const int its_step = current->setup->step_of(poke.position);
  if (poke.when == Poke::When::now) return goal.step == poke.step ? "" : go_to_step(poke.step);
  return goal.step >= its_step ? "" : go_to_step(its_step);
}

std::string Controller::Impl::carry_out(const UndoPoke&) {
  if (!pokes.undo()) return refuse("there is no poke or restore to undo");
  return pokes_changed();
}

std::string Controller::Impl::carry_out(const RedoPoke&) {
  if (!pokes.redo()) return refuse("there is nothing to redo");
  return pokes_changed();
}

std::string Controller::Impl::carry_out(const OpenPokes& c) {
  pokes_open = c.open;
  return "";
}

}  // namespace lastrow::view
