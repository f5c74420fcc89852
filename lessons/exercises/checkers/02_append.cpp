// Judged by row_offset, the only place in the project that computes where a row is.
#include <algorithm>

#include "cache/index.h"
#include "lessons/exercises/checkers/checker.h"

using namespace lastrow;
using namespace lastrow::exercises;

namespace {

struct Case {
  int32_t n_new, length, n_kv_heads, max_seq_len, head_dim;
};

/// An element of the row of index i: 100 · (i + 1) + 10 · g + d, so that a person sees which row it is from.
float element(int32_t i, int32_t g, int32_t d) { return static_cast<float>(100 * (i + 1) + 10 * g + d); }

using Append = void (*)(const float* rows, int32_t n_new, int32_t length, int32_t n_kv_heads,
                        int32_t max_seq_len, int32_t head_dim, float* storage);

/// An append that puts rows where `place` says.
template <int64_t (*place)(int32_t t, int32_t g, const Case& c)>
void append_at(const float* rows, int32_t n_new, int32_t length, int32_t n_kv_heads, int32_t max_seq_len,
               int32_t head_dim, float* storage) {
  for (int32_t t = 0; t < n_new; ++t)
    for (int32_t g = 0; g < n_kv_heads; ++g)
      std::copy_n(rows + (int64_t{t} * n_kv_heads + g) * head_dim, head_dim,
                  storage + place(t, g, {n_new, length, n_kv_heads, max_seq_len, head_dim}));
}

int64_t by_rule(int32_t t, int32_t g, const Case& c) {
  return row_offset({c.n_kv_heads, c.max_seq_len, c.head_dim}, c.length + t, g);
}
int64_t token_by_token(int32_t t, int32_t g, const Case& c) {
  return (int64_t{c.length + t} * c.n_kv_heads + g) * c.head_dim;
}
int64_t from_the_start(int32_t t, int32_t g, const Case& c) {
  return (int64_t{g} * c.max_seq_len + t) * c.head_dim;
}
int64_t heads_by_length(int32_t t, int32_t g, const Case& c) {
  return (int64_t{g} * (c.length + c.n_new) + c.length + t) * c.head_dim;
}
int64_t one_too_far(int32_t t, int32_t g, const Case& c) {
  return (int64_t{g} * c.max_seq_len + c.length + t + 1) * c.head_dim;
}

/// The storage after the step. The new rows have the indices length, length + 1, …
Fenced<float> after(Append append_rows, const Case& c) {
  Fenced<float> storage(int64_t{c.n_kv_heads} * c.max_seq_len * c.head_dim);
  std::vector<float> rows;
  for (int32_t i = 0; i < c.length; ++i)
    for (int32_t g = 0; g < c.n_kv_heads; ++g)
      for (int32_t d = 0; d < c.head_dim; ++d)
        storage.data()[(int64_t{g} * c.max_seq_len + i) * c.head_dim + d] = element(i, g, d);
  for (int32_t t = 0; t < c.n_new; ++t)
    for (int32_t g = 0; g < c.n_kv_heads; ++g)
      for (int32_t d = 0; d < c.head_dim; ++d) rows.push_back(element(c.length + t, g, d));
  append_rows(rows.data(), c.n_new, c.length, c.n_kv_heads, c.max_seq_len, c.head_dim, storage.data());
  return storage;
}

struct Mistake {
  Append append_rows;
  const char* hint;
};
constexpr Mistake kMistakes[] = {
    {append_at<token_by_token>,
     "You store token by token, but storage is [n_kv_heads, max_seq_len, head_dim]: the head is the slowest "
     "index. Each head has max_seq_len rows in one piece."},
    {append_at<from_the_start>, "There are length rows already: the new ones come after them."},
    {append_at<heads_by_length>,
     "Each head has space for max_seq_len rows, even if only some are filled. Otherwise every append would "
     "move the rows of the next heads."},
    {append_at<one_too_far>,
     "Indices count from 0: after length rows, the next one is at index length, not at length + 1."},
};

std::string hint_for(const Fenced<float>& storage, const Case& c) {
  for (const Mistake& mistake : kMistakes)
    if (storage.same_bits(after(mistake.append_rows, c))) return mistake.hint;
  return "Look at [n_kv_heads, max_seq_len, head_dim] from the left: how many elements does one step of each "
         "index skip?";
}

/// Adds a table: one line per head, one column per index, the first element of each row.
Wrong with_picture(Wrong wrong, const Fenced<float>& yours, const Fenced<float>& expected, const Case& c) {
  constexpr int32_t kMostIndices = 5;
  if (c.max_seq_len > kMostIndices) return wrong;
  wrong.head = {""};
  for (int32_t i = 0; i < c.max_seq_len; ++i) wrong.head.push_back(fmt::format("index {}", i));
  for (int32_t g = 0; g < c.n_kv_heads; ++g)
    for (const auto& [name, storage] : {std::pair{"yours", &yours}, {"expected", &expected}}) {
      wrong.rows.push_back({fmt::format("head {}, {}", g, name)});
      for (int32_t i = 0; i < c.max_seq_len; ++i) {
        const int64_t at = (int64_t{g} * c.max_seq_len + i) * c.head_dim;
        wrong.rows.back().push_back(storage->written(at) ? shown((*storage)[at]) : "·");
      }
    }
  return wrong;
}

void compare(const Case& c) {
  const Fenced<float> storage = after(append, c), expected = after(append_at<by_rule>, c);
  for (int64_t at = 0; at < storage.size(); ++at) {
    if (storage[at] == expected[at] || (!storage.written(at) && !expected.written(at))) continue;
    const auto say = [&](const Fenced<float>& x) { return x.written(at) ? shown(x[at]) : "untouched"; };
    throw with_picture(
        {fmt::format("storage[head {}, index {}, d {}] is {}, expected {}", at / c.head_dim / c.max_seq_len,
                     at / c.head_dim % c.max_seq_len, at % c.head_dim, say(storage), say(expected)),
         hint_for(storage, c)},
        storage, expected, c);
  }
  storage.require_intact("storage");
}

void check_02(Checker& c) {
  c.tries("one new token after one, 2 heads, space for 4 rows of 2");
  compare({1, 1, 2, 4, 2});
  c.tries("a prefill of 3 tokens into an empty cache");
  compare({3, 0, 2, 5, 2});
  c.tries("2 new tokens after 2");
  compare({2, 2, 3, 5, 4});
  c.tries("the last free place of a cache");
  compare({1, 3, 2, 4, 2});
  c.tries("no new token");
  compare({0, 2, 2, 4, 2});
  c.tries("1, 3 and 8 heads; head_dim 1, 8 and 80; lengths 0, 1, 31, 32, 33");
  for (const int32_t n_kv_heads : {1, 3, 8})
    for (const int32_t head_dim : {1, 8, 80})
      for (const int32_t length : {0, 1, 31, 32, 33})
        for (const int32_t n_new : {1, 2, 7}) compare({n_new, length, n_kv_heads, 40, head_dim});
}

}  // namespace

int main(int argc, char** argv) {
  return run_checker(
      argc, argv,
      {2, "the append", "lessons/exercises/02_append.cpp",
       "Your append moved no old row, so a step costs only the new rows. Now look at row_offset in "
       "src/cache/index.h: the same arithmetic with one more index, the block."},
      check_02);
}
