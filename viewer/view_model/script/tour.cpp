#include "viewer/view_model/script/tour.h"

#include "viewer/view_model/script/parse_script.h"

namespace lastrow::view {

extern const char* const kTourText;  // viewer/tour.txt

Script tour_script() { return parse_script(kTourText, "tour.txt"); }

}  // namespace lastrow::view
