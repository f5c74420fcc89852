// Copies the data for pictures out of one session while its steps run.
//
//   StepWatch watch;                                  one for each side; it must not move
//   options.on_attend = [&](Backend& b, const Attend& op) { watch.see(b, op); };     of its session
//   watch.keep = {…};                                 what to keep of the steps that follow
//   …session.advance(), go_to or set_pokes…           each step replaces what was kept of the one before
//   SideData side = watch.take(session);              what was kept of the last step, moved out; only once
//
// The memory belongs to the step that is made from it; the sessions keep nothing.
#pragma once

#include <array>
#include <vector>

#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/run/joined_passes.h"

namespace lastrow::view {

class StepWatch {
 public:
  struct Keep {
    bool rows = false;       // q, k, v, out and lse
    bool last_rows = false;  // the last row of scores and probs, of every layer
    bool matrices = false;   // scores and probs; they contain the last rows, so last_rows may be false
    int layer = -1;          // rows of this layer only; −1: of all
  };
  Keep keep;
  /// The side feeds one token in a pass, and a step is all passes from the first token on (step_data.h).
  bool joins_passes = false;

  StepWatch() = default;
  StepWatch(const StepWatch&) = delete;
  StepWatch& operator=(const StepWatch&) = delete;

  void see(Backend& backend, const Attend& op);
  SideData take(const DecodeSession& session);

  /// Of the last step: what its attends read, and the rule of a layer's scores and mask.
  const StepReads& reads() const { return reads_; }
  const AttendSpec& spec(int layer) const { return specs_[static_cast<size_t>(layer)]; }
  /// Of the last step, to choose colours: at most 64 rows of each layer whose rows were not kept.
  const std::vector<LayerData>& samples() const { return samples_; }

 private:
  void begin_step();
  void note_keys(const Attend& op);
  void take_layer(Backend& backend, const Attend& op);
  LayerData copy(Backend& backend, const Attend& op) const;
  /// Those that this layer read.
  const std::vector<PlacedRow>& keys(int layer) const { return keys_[windowed_.has(layer) ? 1 : 0]; }

  std::vector<LayerData> layers_, samples_;            // of the last step, in the order of layers
  JoinedPasses passes_;                                // in place of layers_, if the watch joins passes
  std::array<std::vector<PlacedRow>, 2> keys_;         // what its attends read, by group of layers
  WindowedLayers windowed_;                            // the layers of group 1
  std::array<std::vector<PlacedRow>, 2> joined_keys_;  // of all passes, by position
  int first_position_ = 0;                             // of its queries
  std::vector<int32_t> new_positions_;                 // of its queries; see SideData
  StepReads reads_;
  std::vector<AttendSpec> specs_;  // [n_layers]
  double own_us_ = 0;              // the time that copying took
};

}  // namespace lastrow::view
