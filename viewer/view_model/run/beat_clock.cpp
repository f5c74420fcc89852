#include "viewer/view_model/run/beat_clock.h"

#include <algorithm>

namespace lastrow::view {

double BeatClock::duration() const { return reduced_motion ? 0 : info(beat_).duration_ms / 1000.0 / speed; }

BeatClock::Change BeatClock::advance(double now) {
  constexpr double kLatest = 0.1;  // seconds; a beat that follows a rest begins at most this long before now
  now_ = std::max(now_, now);
  Change change;
  for (;;) {  // several beats may end within one frame
    if (progress_ < 1) {
      const double seconds = duration();
      progress_ = seconds <= 0 ? 1.0f : static_cast<float>(std::clamp((now_ - began_) / seconds, 0.0, 1.0));
      if (progress_ < 1) return change;
      began_ += seconds;  // the next beat begins where this one ended
      progress_ = 1;
      change.beat = true;
    }
    if (beat_ == target_ && !playing) return change;
    if (beat_ == Beat::keep) {
      change.step_over = true;
      return change;
    }
    beat_ = static_cast<Beat>(static_cast<int>(beat_) + 1);
    if (playing) target_ = beat_;
    progress_ = 0;
    began_ = std::max(began_, now_ - kLatest);
    change.beat = true;
  }
}

void BeatClock::show(Beat beat, bool animate) {
  beat_ = target_ = beat;
  progress_ = animate && info(beat).duration_ms > 0 && !reduced_motion ? 0.0f : 1.0f;
  began_ = now_;
}

void BeatClock::play_to(Beat beat) {
  if (beat <= beat_ || reduced_motion) {
    show(beat, beat == beat_);  // asked for the same beat: play it again
    return;
  }
  if (progress_ >= 1) began_ = now_;
  target_ = beat;
}

void BeatClock::end_animation() {
  beat_ = target_;
  progress_ = 1;
}

}  // namespace lastrow::view
