// Which beat is shown, and how far it has come.
//
//   BeatClock clock;
//   clock.play_to(Beat::sum);          plays all beats up to this one
//   clock.advance(now_seconds);        each frame
//   clock.beat(), clock.progress()
//
// Invariant: beat() <= target(), and progress() is 1 at rest.
#pragma once

#include "viewer/view_model/state/beat.h"

namespace lastrow::view {

class BeatClock {
 public:
  struct Change {
    bool beat = false;       // a beat has begun or ended
    bool step_over = false;  // playing, and the last beat of the step has ended
  };
  Change advance(double now);

  /// Jumps to the beat: to its beginning if animate, otherwise to its end.
  void show(Beat beat, bool animate);
  /// Plays all beats up to this one. Jumps back, and jumps forward with reduced motion.
  void play_to(Beat beat);
  void end_animation();

  Beat beat() const { return beat_; }
  float progress() const { return progress_; }
  double now() const { return now_; }
  bool animating() const { return progress_ < 1 || beat_ != target_; }

  bool playing = false;  // goes on from beat to beat and from step to step
  bool reduced_motion = false;
  double speed = 1;

 private:
  double duration() const;

  double now_ = 0, began_ = 0;
  float progress_ = 1;
  Beat beat_ = Beat::keep, target_ = Beat::keep;
};

}  // namespace lastrow::view
