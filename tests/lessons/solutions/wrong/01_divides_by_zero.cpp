// Told: it crashed: an integer was divided by 0
#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

bool sees(int32_t q_len, int32_t kv_len, int32_t t, int32_t s) {
  volatile int32_t past = kv_len - q_len;  // 0 in prefill
  return s <= past + t && s / past >= 0;
}

}  // namespace lastrow::exercises
