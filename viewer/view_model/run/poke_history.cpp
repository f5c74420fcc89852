#include "viewer/view_model/run/poke_history.h"

#include <algorithm>
#include <utility>

#include "viewer/view_model/describe/poke_effect.h"

namespace lastrow::view {

void PokeHistory::change(std::vector<Poke> pokes, std::string what) {
  if (pokes == pokes_) return;
  undo_.push_back({std::exchange(pokes_, std::move(pokes)), std::move(what)});
  redo_.clear();
  if (undo_.size() > kMostChanges) undo_.pop_front();
}

bool PokeHistory::step_through(std::vector<Poke>& pokes, std::deque<Change>& from, std::deque<Change>& to) {
  if (from.empty()) return false;
  Change change = std::move(from.back());
  from.pop_back();
  std::swap(pokes, change.pokes);
  to.push_back(std::move(change));
  return true;
}

bool PokeHistory::undo() { return step_through(pokes_, undo_, redo_); }
bool PokeHistory::redo() { return step_through(pokes_, redo_, undo_); }

void PokeHistory::clear() {
  pokes_.clear();
  undo_.clear();
  redo_.clear();
}

void PokeHistory::return_to(const std::vector<Poke>& in_force, int step, int n_tokens) {
  const auto matches = [&](const PokeHistory& h) {
    std::vector<Poke> here;
    std::copy_if(h.pokes_.begin(), h.pokes_.end(), std::back_inserter(here),
                 [&](const Poke& p) { return is_in_force(p, step, n_tokens); });
    return here == in_force;
  };
  for (const bool back : {true, false}) {
    PokeHistory h = *this;
    while (!matches(h))
      if (!(back ? h.undo() : h.redo())) break;
    if (!matches(h)) continue;
    *this = std::move(h);
    return;
  }
  change(in_force, "a change that did not run");
}

}  // namespace lastrow::view
