// Exercise 02: the append.
//
// Task      A step has made the key rows (or the value rows) of n_new tokens, for every K/V head. Where must
//           they be stored? `length` tokens have rows already; these must not change.
// Lesson    3
// Tests     one new row after one old row, with two heads; a prefill into an empty cache; several new tokens;
//           the last free place; other numbers of heads and head_dims; and that nothing else is written
//
//   lessons/check 02
#include <algorithm>

#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// rows     [n_new, n_kv_heads, head_dim]         token by token, as the projection writes them
/// storage  [n_kv_heads, max_seq_len, head_dim]   head by head, as attention reads them
void append(const float* rows, int32_t n_new, int32_t length, int32_t n_kv_heads, int32_t max_seq_len,
            int32_t head_dim, float* storage) {
  for (int32_t t = 0; t < n_new; ++t)
    for (int32_t g = 0; g < n_kv_heads; ++g) {
      const float* row = rows + (int64_t{t} * n_kv_heads + g) * head_dim;
      // Your turn: at which element of storage does this row begin? Now every row goes to the first place.
      const int64_t place = 0;
      std::copy_n(row, head_dim, storage + place);
    }
}

}  // namespace lastrow::exercises
