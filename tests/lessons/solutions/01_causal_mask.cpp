#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

bool sees(int32_t q_len, int32_t kv_len, int32_t t, int32_t s) { return s <= kv_len - q_len + t; }

}  // namespace lastrow::exercises
