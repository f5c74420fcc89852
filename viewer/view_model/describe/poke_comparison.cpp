// Before → after: the last row of the step with the pokes, beside the same step without them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "viewer/view_model/describe/compare.h"
#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/poke_effect.h"
#include "viewer/view_model/describe/poke_list.h"
#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

constexpr size_t kMostKeys = 5, kTopTokens = 5;

std::string arrow(const std::string& before, const std::string& after) {
  return before == after ? after : before + " → " + after;
}

double change_of(float before, float after) { return std::fabs(double{after} - double{before}); }

void compare_keys(const Snapshot& snapshot, Mode side, const Selection& at, SideComparison& out) {
  const int n = snapshot.now->n_tokens, last = n - 1;
  const SideData &now = snapshot.now->side(side), &before = snapshot.unpoked->side(side);
  const float* const rows[] = {
      score_row(before, at.layer, at.head, last, n), score_row(now, at.layer, at.head, last, n),
      prob_row(before, at.layer, at.head, last, n), prob_row(now, at.layer, at.head, last, n)};
  if (std::find(std::begin(rows), std::end(rows), nullptr) != std::end(rows)) return;
  // Of a policy that goes by attention, a poke may also change which keys there are.
  std::vector<int> order = keys_seen(now, at.layer, last);
  for (const int s : keys_seen(before, at.layer, last))
    if (std::ranges::find(order, s) == order.end()) order.push_back(s);
  const auto change = [&](int s) {
    const double d = change_of(rows[2][s], rows[3][s]);
    return std::isnan(d) ? INFINITY : d;
  };
  const size_t shown = std::min(kMostKeys, order.size());
  const size_t sorted = std::min(shown + 1, order.size());  // the next one bounds the rest
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(sorted), order.end(),
                    [&](int a, int b) { return change(a) != change(b) ? change(a) > change(b) : a < b; });
  if (change(order[0]) == 0 && largest_change(rows[0], rows[1], n) == 0) {
    out.more_keys = "scores and weights unchanged";
    return;
  }
  for (size_t i = 0; i < shown; ++i) {
    const int s = order[i];
    KeyChange key{s, token_label(snapshot, s), rows[0][s], rows[1][s], rows[2][s], rows[3][s], "", ""};
    key.score_text = arrow(rough(double{key.score_before}), rough(double{key.score_after}));
    key.weight_text = arrow(rough(double{key.weight_before}), rough(double{key.weight_after}));
    out.keys.push_back(std::move(key));
  }
  if (shown == order.size()) return;
  const double largest = change(order[shown]);
  out.more_keys = fmt::format("and {} more: {}", order.size() - shown,
                              largest == 0 ? "unchanged" : "weights changed by at most " + rough(largest));
}

void compare_output(const Snapshot& snapshot, Mode side, const Selection& at, SideComparison& out) {
  const Setup& setup = *snapshot.setup;
  const int last = snapshot.now->n_tokens - 1, width = setup.config().head_dim;
  const float* now = out_row(setup, snapshot.now->side(side), at.layer, at.head, last);
  const float* before = out_row(setup, snapshot.unpoked->side(side), at.layer, at.head, last);
  if (!now || !before) return;
  out.output_before.assign(before, before + width);
  out.output_after.assign(now, now + width);
  int largest = 0;
  double scale = 0;
  for (int d = 0; d < width; ++d) {
    if (change_of(before[d], now[d]) > change_of(before[largest], now[largest])) largest = d;
    for (const float x : {before[d], now[d]})
      if (std::isfinite(x)) scale = std::max(scale, std::fabs(double{x}));
  }
  out.output_scale = scale > 0 ? static_cast<float>(scale) : 1;
  const double change = largest_change(now, before, width);
  out.output_text = change == 0 ? "output unchanged"
                                : fmt::format("output: most at element {}, {} → {}", largest,
                                              rough(double{before[largest]}), rough(double{now[largest]}));
}

/// Whether token a ranks before token b. A NaN counts as −∞.
bool ranks_before(const std::vector<float>& logits, int a, int b) {
  const auto key = [&](int i) {
    const float x = logits[static_cast<size_t>(i)];
    return std::isnan(x) ? -INFINITY : x;
  };
  return key(a) != key(b) ? key(a) > key(b) : a < b;
}

std::vector<int> top_tokens(const std::vector<float>& logits) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto top = order.begin() + static_cast<std::ptrdiff_t>(std::min(kTopTokens, order.size()));
  std::partial_sort(order.begin(), top, order.end(),
                    [&](int a, int b) { return ranks_before(logits, a, b); });
  return {order.begin(), top};
}

int rank_of(const std::vector<float>& logits, int id) {
  int rank = 1;
  for (int other = 0; other < static_cast<int>(logits.size()); ++other)
    rank += other != id && ranks_before(logits, other, id);
  return rank;
}

void compare_tokens(const Snapshot& snapshot, Mode side, SideComparison& out) {
  const std::vector<float>&before = snapshot.unpoked->side(side).logits,
        &after = snapshot.now->side(side).logits;
  if (before.size() != after.size()) return;
  std::vector<int> ids = top_tokens(after);
  for (const int id : top_tokens(before))
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  for (const int id : ids) {
    const auto i = static_cast<size_t>(id);
    TokenChange t{id,
                  label(snapshot.setup->piece(id)),
                  rank_of(before, id),
                  rank_of(after, id),
                  before[i],
                  after[i],
                  "",
                  ""};
    t.rank_text = t.rank_before == t.rank_after ? fmt::format("{}", t.rank_after)
                                                : fmt::format("{} → {}", t.rank_before, t.rank_after);
    t.logit_text = arrow(number(double{t.logit_before}), number(double{t.logit_after}));
    out.tokens.push_back(std::move(t));
  }
  std::stable_sort(out.tokens.begin(), out.tokens.end(),
                   [](const TokenChange& a, const TokenChange& b) { return a.rank_after < b.rank_after; });
}

SideComparison compare_side(const Snapshot& snapshot, Mode side, const Selection& at) {
  SideComparison out;
  out.side = side == Mode::cached ? "with cache" : "without cache";
  const PokeEffect effect = poke_effect(snapshot, side, at);
  const auto word = [&](int id) { return label(snapshot.setup->piece(id)); };
  out.identical = effect.identical;
  out.next_text = effect.token_before == effect.token_after
                      ? "next token still " + in_quotes(word(effect.token_after))
                      : fmt::format("next token {} → {}", in_quotes(word(effect.token_before)),
                                    in_quotes(word(effect.token_after)));
  out.logits_text =
      effect.identical ? "logits bit-identical" : "logits changed by at most " + rough(effect.logit_change);
  compare_keys(snapshot, side, at, out);
  compare_output(snapshot, side, at, out);
  compare_tokens(snapshot, side, out);
  return out;
}

/// Whether both sides would show the same texts. Their numbers may differ by rounding.
bool reads_the_same(const SideComparison& a, const SideComparison& b) {
  const auto same_key = [](const KeyChange& x, const KeyChange& y) {
    return x.position == y.position && x.score_text == y.score_text && x.weight_text == y.weight_text;
  };
  const auto same_token = [](const TokenChange& x, const TokenChange& y) {
    return x.id == y.id && x.rank_text == y.rank_text && x.logit_text == y.logit_text;
  };
  return a.identical == b.identical && a.next_text == b.next_text && a.logits_text == b.logits_text &&
         a.more_keys == b.more_keys && a.output_text == b.output_text &&
         std::equal(a.keys.begin(), a.keys.end(), b.keys.begin(), b.keys.end(), same_key) &&
         std::equal(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end(), same_token);
}

}  // namespace

PokeComparison compare_with_unpoked(const Snapshot& snapshot, const Selection& at) {
  PokeComparison out;
  out.title = fmt::format("last row ({}) · {} · head {}",
                          in_quotes(token_label(snapshot, snapshot.now->n_tokens - 1)),
                          layer_text(snapshot.setup->config(), at.layer), at.head);
  out.sides = {compare_side(snapshot, Mode::cached, at), compare_side(snapshot, Mode::recompute, at)};
  if (reads_the_same(out.sides[0], out.sides[1])) {
    out.sides.pop_back();
    out.sides[0].side = "both sides";
  }
  return out;
}

}  // namespace lastrow::view
