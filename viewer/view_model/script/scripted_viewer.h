// What a script player needs from the viewer that it plays on; the controller implements it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/view_state.h"

namespace lastrow::view {

class ScriptedViewer {
 public:
  virtual ~ScriptedViewer() = default;
  virtual bool working() const = 0;  // a step is being run
  virtual bool animating() const = 0;
  /// Carries out the command; returns the error, or "".
  virtual std::string perform(const Command& command) = 0;
  /// The error of work since the last call, or "".
  virtual std::string take_work_error() = 0;
  virtual const Snapshot* snapshot() const = 0;  // null until the first step is done
  virtual Selection selection() const = 0;
  virtual void set_sentence(const std::string& text, bool asks) = 0;
  virtual void set_asked(std::optional<Target> row) = 0;
  virtual uint64_t pokes_by_user() const = 0;  // how many so far
  virtual PokeRow last_poke_by_user() const = 0;
  virtual std::shared_ptr<const ViewState> view_at_rest() = 0;
  /// Remembers what is shown and poked, under the number that it returns. return_to_place shows it again; without
  /// the pokes if it has to start another run, which takes them only when it is there.
  virtual size_t mark_place() = 0;
  virtual void return_to_place(size_t place) = 0;
};

}  // namespace lastrow::view
