// Judged by naive<double>, within the tolerance of the project (src/judge/tolerance.h).
#include <algorithm>

#include "judge/judged_case.h"
#include "lessons/exercises/checkers/checker.h"

using namespace lastrow;
using namespace lastrow::exercises;
using lastrow::judge::AttendCase;
using lastrow::judge::JudgedCase;

namespace {

/// The rows, with NaN on both sides as far as a wrong head can read.
Fenced<float> stored_rows(const float* rows, int64_t n, int64_t reach) {
  Fenced<float> fenced(n, reach);
  std::copy_n(rows, n, fenced.data());
  return fenced;
}

/// With one key: the K/V head from which output row h came; −1: from none.
int32_t head_of_row(const Fenced<float>& out, int32_t h, int32_t n_kv_heads) {
  const float x = out[h];
  return x >= 0 && x < static_cast<float>(n_kv_heads) ? static_cast<int32_t>(x) : -1;
}

/// One key, and each value is the number of its head. With one key every weight is 1, so out[h] = v[g].
void compare_one_key(int32_t n_q_heads, int32_t n_kv_heads) {
  const std::vector<float> q(static_cast<size_t>(n_q_heads), 1.0f);
  Fenced<float> k(n_kv_heads), v(n_kv_heads), out(n_q_heads);
  for (int32_t g = 0; g < n_kv_heads; ++g) {
    k.data()[g] = 1;
    v.data()[g] = static_cast<float>(g);
  }
  attend_step(q.data(), k.data(), v.data(), n_q_heads, n_kv_heads, 1, 1, 1.0f, out.data());
  std::vector<int32_t> yours;
  std::vector<std::vector<std::string>> rows;
  int32_t first_wrong = -1;
  for (int32_t h = 0; h < n_q_heads; ++h) {
    const int32_t g = head_of_row(out, h, n_kv_heads), expected = h / (n_q_heads / n_kv_heads);
    yours.push_back(g);
    rows.push_back({fmt::format("query head {}", h), g < 0 ? "none of them" : fmt::format("K/V head {}", g),
                    fmt::format("K/V head {}", expected)});
    if (g != expected && first_wrong < 0) first_wrong = h;
  }
  if (first_wrong >= 0) {
    std::string hint = "n_q_heads / n_kv_heads consecutive query heads share one K/V head.";
    bool in_turn = true, by_number = true;
    for (int32_t h = 0; h < n_q_heads; ++h) {
      in_turn = in_turn && yours[h] == h % n_kv_heads;
      by_number = by_number && yours[h] == (h < n_kv_heads ? h : -1);
    }
    if (by_number)
      hint = "Only n_kv_heads heads are stored. From h = n_kv_heads on, h itself points past them.";
    if (in_turn)
      hint =
          "You take the K/V heads in turn (h % n_kv_heads). But neighbours share: query heads 0 … group_size "
          "− 1 read K/V head 0. Models are trained with this order, so with yours they would read the wrong "
          "keys.";
    throw Wrong{fmt::format("query head {} of {} reads {}, expected K/V head {}", first_wrong, n_q_heads,
                            rows[first_wrong][1], first_wrong / (n_q_heads / n_kv_heads)),
                hint,
                {"", "yours", "expected"},
                rows};
  }
  out.require_intact("out");
}

void compare(const AttendCase& c) {
  const JudgedCase judged = lastrow::judge::judged_case(c);
  const int32_t kv_len = c.sequences[0].kv_len;
  const int64_t n = int64_t{c.n_kv_heads} * kv_len * c.head_dim;
  const int64_t reach = int64_t{c.n_q_heads} * kv_len * c.head_dim;
  const auto rows = [&](RowKind kind) {
    return stored_rows(judged.storage->rows(0, kind).data<float>(), n, reach);
  };
  Fenced<float> k = rows(RowKind::k), v = rows(RowKind::v), out(int64_t{c.n_q_heads} * c.head_dim);
  attend_step(judged.q.data<float>(), k.data(), v.data(), c.n_q_heads, c.n_kv_heads, c.head_dim, kv_len,
              lastrow::judge::case_spec(c).score.scale, out.data());
  require_same(
      out, judged.reference.out, judged.out_bound,
      [&](int64_t i) {
        return fmt::format("{} query heads on {}, head_dim {}, {} keys: out[head {}, d {}]", c.n_q_heads,
                           c.n_kv_heads, c.head_dim, kv_len, i / c.head_dim, i % c.head_dim);
      },
      "The group size differs from model to model: compute it as n_q_heads / n_kv_heads.");
  out.require_intact("out");
}

void check_04(Checker& c) {
  c.tries("4 query heads on 2 K/V heads, one key");
  compare_one_key(4, 2);
  c.tries("6 query heads on 2 K/V heads, one key");
  compare_one_key(6, 2);
  c.tries("as many K/V heads as query heads: MHA");
  compare_one_key(4, 4);
  compare({.n_q_heads = 4, .n_kv_heads = 4, .head_dim = 16, .sequences = {{1, 33}}});
  c.tries("one K/V head for all: MQA");
  compare_one_key(4, 1);
  compare({.n_q_heads = 8, .n_kv_heads = 1, .head_dim = 16, .sequences = {{1, 33}}});
  c.tries("groups of 2, 3, 4 and 8; 1, 31 and 33 keys; head_dim 8 and 80");
  for (const int32_t group_size : {2, 3, 4, 8})
    for (const int32_t kv_len : {1, 31, 33})
      for (const int32_t head_dim : {8, 80})
        compare(
            {.n_q_heads = 3 * group_size, .n_kv_heads = 3, .head_dim = head_dim, .sequences = {{1, kv_len}}});
}

}  // namespace

int main(int argc, char** argv) {
  return run_checker(
      argc, argv,
      {4, "grouped heads", "lessons/exercises/04_grouped_heads.cpp",
       "MHA, GQA and MQA are one code path. Now look at attend in src/backend/naive.cpp, and at "
       "gpu/ladder/k06_grouped.cu, which reads each row once for all query heads that share it."},
      check_04);
}
