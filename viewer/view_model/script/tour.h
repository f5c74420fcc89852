// The one-minute tour.
#pragma once

#include "viewer/view_model/script/script.h"

namespace lastrow::view {

/// viewer/tour.txt, embedded in the program, so it works from any directory.
Script tour_script();

}  // namespace lastrow::view
