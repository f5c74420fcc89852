// Judged by visible_keys, which every backend calls.
#include "attention/mask.h"
#include "lessons/exercises/checkers/checker.h"

using namespace lastrow;
using namespace lastrow::exercises;

namespace {

bool by_rule(int32_t q_len, int32_t kv_len, int32_t t, int32_t s) {
  const VisibleKeys keys = visible_keys({.causal = true}, q_len, kv_len, t);
  return keys.begin <= s && s < keys.end;
}

using Mask = bool (*)(int32_t q_len, int32_t kv_len, int32_t t, int32_t s);

/// Common mistakes.
struct Mistake {
  Mask mask;
  const char* hint;
};
constexpr Mistake kMistakes[] = {
    {[](int32_t, int32_t, int32_t t, int32_t s) { return s <= t; },
     "Your mask is aligned top-left: query 0 sees one key. But the queries belong to the last q_len tokens "
     "of kv_len, so the last query must see the last key."},
    {[](int32_t q_len, int32_t kv_len, int32_t t, int32_t s) { return s < kv_len - q_len + t; },
     "A token sees itself too: its key is stored before its query reads."},
    {[](int32_t, int32_t, int32_t, int32_t) { return true; },
     "Without a mask a token sees later tokens. In generation these do not exist yet."},
};

std::string hint_for(int32_t q_len, int32_t kv_len) {
  for (const Mistake& mistake : kMistakes) {
    bool same = true;
    for (int32_t t = 0; t < q_len; ++t)
      for (int32_t s = 0; s < kv_len; ++s)
        same = same && sees(q_len, kv_len, t, s) == mistake.mask(q_len, kv_len, t, s);
    if (same) return mistake.hint;
  }
  return "Query t is token kv_len − q_len + t of the sequence.";
}

std::string picture(Mask mask, int32_t q_len, int32_t kv_len, int32_t t) {
  std::string row;
  for (int32_t s = 0; s < kv_len; ++s) row += mask(q_len, kv_len, t, s) ? "● " : "· ";
  return row;
}

void compare(int32_t q_len, int32_t kv_len) {
  constexpr int32_t kMostRows = 12, kMostKeys = 12;  // of a picture
  for (int32_t t = 0; t < q_len; ++t)
    for (int32_t s = 0; s < kv_len; ++s) {
      if (sees(q_len, kv_len, t, s) == by_rule(q_len, kv_len, t, s)) continue;
      const char* kWords[] = {"hidden", "visible"};
      Wrong wrong{fmt::format("query {} of {}, key {} of {}: {} in yours, expected {}", t, q_len, s, kv_len,
                              kWords[sees(q_len, kv_len, t, s)], kWords[by_rule(q_len, kv_len, t, s)]),
                  hint_for(q_len, kv_len)};
      if (q_len <= kMostRows && kv_len <= kMostKeys) {
        wrong.head = {"", "yours", "expected"};
        for (int32_t row = 0; row < q_len; ++row)
          wrong.rows.push_back({fmt::format("query {}", row), picture(sees, q_len, kv_len, row),
                                picture(by_rule, q_len, kv_len, row)});
      }
      throw wrong;
    }
}

void check_01(Checker& c) {
  c.tries("prefill, 4 queries on 4 keys");
  compare(4, 4);
  c.tries("decode, 1 query on 5 keys");
  compare(1, 5);
  c.tries("a chunk, 2 queries on 5 keys");
  compare(2, 5);
  c.tries("every number of queries and keys up to 33");
  for (int32_t kv_len = 0; kv_len <= 33; ++kv_len)
    for (int32_t q_len = 0; q_len <= kv_len; ++q_len) compare(q_len, kv_len);
  c.tries("more queries than keys: the first ones see nothing");
  for (int32_t kv_len = 0; kv_len <= 9; ++kv_len)
    for (int32_t q_len = kv_len + 1; q_len <= 12; ++q_len) compare(q_len, kv_len);
}

}  // namespace

int main(int argc, char** argv) {
  return run_checker(
      argc, argv,
      {1, "the causal mask", "lessons/exercises/01_causal_mask.cpp",
       "Now look at visible_keys in src/attention/mask.h. Every backend and every kernel calls it. "
       "A window needs only one more line."},
      check_01);
}
