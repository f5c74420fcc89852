#include "viewer/view_model/run/progress.h"

namespace lastrow::view {

void Progress::start(const std::string& what) {
  const std::lock_guard lock(mutex_);
  started_ = what;
  text_ = what.empty() ? "" : what + " …";
  fraction_ = -1;
}

void Progress::say(const std::string& text, double fraction) {
  const std::lock_guard lock(mutex_);
  text_ = started_.empty() ? text : started_ + " · " + text;
  fraction_ = fraction;
}

void Progress::advance(double fraction) {
  const std::lock_guard lock(mutex_);
  fraction_ = fraction;
}

std::pair<std::string, double> Progress::get() const {
  const std::lock_guard lock(mutex_);
  return {text_, fraction_};
}

}  // namespace lastrow::view
