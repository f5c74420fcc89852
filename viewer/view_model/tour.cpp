#include "viewer/view_model/script.h"

namespace lastrow::view {

extern const char* const kTourText;  // viewer/tour.txt

Script tour_script() { return parse_script(kTourText, "tour.txt"); }

}  // namespace lastrow::view
