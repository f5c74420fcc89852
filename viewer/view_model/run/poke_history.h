// The list of all pokes, also of those that are not active in the current step, and the changes to undo or redo.
//
//   history.change(pokes, "poke of k[3]");   one change of the list
//   history.undo();   history.redo();        false if there is nothing to undo or redo
//   history.clear();                         new model, prompt or backend: pokes and changes belong to a run
//
// Invariant: at most kMostChanges changes can be undone. A change after an undo forgets what could be redone.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "trace/poke.h"

namespace lastrow::view {

class PokeHistory {
 public:
  static constexpr size_t kMostChanges = 100;

  const std::vector<Poke>& pokes() const { return pokes_; }
  /// what: names the change, for the texts of undo and redo. An equal list is not noted as a change.
  void change(std::vector<Poke> pokes, std::string what);
  bool undo();
  bool redo();
  void clear();
  /// What undo() would take back, and redo() would do again; empty: nothing.
  std::string undo_text() const { return undo_.empty() ? "" : undo_.back().what; }
  std::string redo_text() const { return redo_.empty() ? "" : redo_.back().what; }

  /// After a run that was cancelled or failed: undoes or redoes changes until the active pokes of this
  /// step, of n_tokens tokens, are `in_force`. If no list fits, `in_force` becomes the list, as one change.
  void return_to(const std::vector<Poke>& in_force, int step, int n_tokens);

 private:
  struct Change {
    std::vector<Poke> pokes;  // the list on the other side of the change
    std::string what;
  };
  static bool step_through(std::vector<Poke>& pokes, std::deque<Change>& from, std::deque<Change>& to);

  std::vector<Poke> pokes_;
  std::deque<Change> undo_, redo_;
};

}  // namespace lastrow::view
