// Aligned top-left: right in prefill, where there are as many queries as keys.
// Told: decode, 1 query on 5 keys: query 0 of 1, key 1 of 5: hidden in yours, expected visible
// Told: Your mask is aligned top-left
#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

bool sees(int32_t, int32_t, int32_t t, int32_t s) { return s <= t; }

}  // namespace lastrow::exercises
