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
};

}  // namespace lastrow::view
