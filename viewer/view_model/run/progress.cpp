#include "viewer/view_model/run/progress.h"

namespace lastrow::view {

void Progress::say(const std::string& text, double fraction) {
  const std::lock_guard lock(mutex_);
  text_ = text;
  fraction_ = fraction;
}

std::pair<std::string, double> Progress::get() const {
  const std::lock_guard lock(mutex_);
  return {text_, fraction_};
}

}  // namespace lastrow::view
