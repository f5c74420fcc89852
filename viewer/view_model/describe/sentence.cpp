#include "viewer/view_model/describe/sentence.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "viewer/view_model/describe/forgetting.h"
#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/needed.h"
#include "viewer/view_model/describe/strips.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

std::string past_queries(int past) {
  return past == 1 ? "1 past query" : fmt::format("{} past queries", past);
}

/// "④ Left keeps K and V of 5 rows and evicts row 3: the oldest. Right drops everything."
std::string keep_sentence(const Snapshot& snapshot, int layer) {
  if (!forgets(*snapshot.setup, layer))
    return "④ Left keeps K and V and drops Q; right drops everything and starts again.";
  const HeldRows& left = snapshot.now->side(Mode::cached).held(layer);
  const std::string kept = plural(static_cast<int64_t>(left.kept.size()), "row");
  // In other layers it may be different.
  const std::string who =
      snapshot.setup->spec.n_groups() > 1 ? fmt::format("In layer {} left", layer) : "Left";
  if (left.evicted.empty())
    return fmt::format("④ {} keeps K and V of {} and evicts none; right drops everything.", who, kept);
  const std::string reason =
      left.evicted.size() > 1 ? "" : ": " + eviction_reason(*snapshot.setup, left.evicted[0]);
  return fmt::format("④ {} keeps K and V of {} and evicts {}{}. Right drops everything.", who, kept,
                     evicted_rows(snapshot, layer, 60), reason);
}

/// In a layer below the last. Without windows all rows of the right side are needed, because the layer above reads
/// them. Empty: the sentence of the last layer fits.
std::string lower_layer_sentence(const Snapshot& snapshot, const Selection& at) {
  const int n = snapshot.now->n_tokens, past = n - 1, layer = at.layer;
  const int seen = n_keys_seen(snapshot.now->side(Mode::cached), layer, past);
  const SideData& right = snapshot.now->side(Mode::recompute);
  // Not all, if this layer or one above has a window.
  const std::vector<bool> used = needed_rows(right, layer).outputs;
  const bool all_used = std::ranges::count(used, true) == n && n_keys_seen(right, layer, past) == n;
  switch (at.beat) {
    case Beat::project:
      return fmt::format("① Layer {}: left computes 1 row of Q, K and V; right computes all {} rows again.",
                         layer, n);
    case Beat::append:
      return fmt::format("② Every layer keeps its own K and V. In layer {} left adds one row to each.",
                         layer);
    case Beat::score:
      if (!all_used) return "";
      return fmt::format(
          "③ The last query meets {}. Right also scores {}, because layer {} needs their rows.",
          seen == n ? plural(n, "key") : fmt::format("{} keys on the left, {} on the right", seen, n),
          past_queries(past), layer + 1);
    case Beat::sum:
      if (!all_used) return "";
      return fmt::format(
          "③ Weights times values give output rows. Layer {} needs 1 of them on the left, all {} on "
          "the right.",
          layer + 1, n);
    case Beat::next:
      return fmt::format("④ The layers above do the same. Then only the last row decides: {}.",
                         next_summary(snapshot));
    case Beat::keep:
      if (forgets(*snapshot.setup, layer)) return "";
      return fmt::format(
          "④ Every layer keeps its own K and V; this is layer {}. Right keeps nothing in any layer.", layer);
    default:
      return "";  // nothing differs between layers
  }
}

/// With new positions. Empty: the sentence of other caches fits.
std::string new_positions_sentence(const Snapshot& snapshot, const Selection& at) {
  const Setup& setup = *snapshot.setup;
  const int n = snapshot.now->n_tokens, n_keys = snapshot.now->side(Mode::cached).held(at.layer).n_keys();
  switch (at.beat) {
    case Beat::project:
      return fmt::format(
          "① Left computes 1 row of Q, K and V; right computes all {} rows again, each in its own pass.", n);
    case Beat::append:
      if (!setup.config().has_rope()) return "";
      return fmt::format("② Left stores K before RoPE. Then it rotates all {} to the new positions 0 to {}.",
                         plural(n_keys, "key"), n_keys - 1);
    case Beat::mask:
      return "③ Keys after a query, and keys that have left its window, have weight 0: its pass does not "
             "have them.";
    case Beat::next:
      if (n >= setup.prompt_len) return "";
      return fmt::format("④ The last row gives a next token, but the prompt goes on with {}.",
                         in_quotes(label(setup.piece(snapshot.history[static_cast<size_t>(n)]))));
    default:
      return "";
  }
}

std::string prefill_sentence(const Snapshot& snapshot, const Selection& at) {
  if (at.beat == Beat::start && snapshot.setup->uses_new_positions())
    return "Prefill feeds one token per step, because every step has new positions. This is the first.";
  if (at.beat == Beat::start)
    return fmt::format("Prefill reads {} at once. Neither side has kept anything yet.",
                       plural(snapshot.now->n_tokens, "token"));
  if (at.beat == Beat::keep && !snapshot.now->side(Mode::cached).held(at.layer).evicted.empty())
    return keep_sentence(snapshot, at.layer);
  if (at.layer < snapshot.setup->config().n_layers - 1)
    return "Prefill: both sides do the same work; left keeps K and V of every layer.";
  return "Prefill: both sides do the same work; left keeps K and V.";
}

}  // namespace

std::string beat_sentence(const Snapshot& snapshot, const Selection& at) {
  const int n = snapshot.now->n_tokens;
  const int past = n - 1;
  const SideData &left = snapshot.now->side(Mode::cached), &right = snapshot.now->side(Mode::recompute);
  const int n_left = n_keys_seen(left, at.layer, past), n_right = n_keys_seen(right, at.layer, past);
  const int from_cache =
      left.held(at.layer).n_keys() - left.q_len;  // rows that the left side did not compute in this step
  if (snapshot.now->prefill()) return prefill_sentence(snapshot, at);
  if (snapshot.setup->uses_new_positions())
    if (std::string text = new_positions_sentence(snapshot, at); !text.empty()) return text;
  if (at.layer < snapshot.setup->config().n_layers - 1)
    if (std::string text = lower_layer_sentence(snapshot, at); !text.empty()) return text;
  switch (at.beat) {
    case Beat::start:
      if (from_cache < past)
        return fmt::format(
            "The input is {}. Left has kept K and V of {} of the {} before it; right has kept nothing.",
            in_quotes(label(snapshot.setup->piece(snapshot.now->tokens.back()))), from_cache,
            plural(past, "token"));
      return fmt::format(
          "The input is {}. Left has kept K and V of the {} before it; right has kept nothing.",
          in_quotes(label(snapshot.setup->piece(snapshot.now->tokens.back()))), plural(past, "token"));
    case Beat::project:
      return fmt::format("① Left computes 1 row of Q, K and V; right computes all {} rows again.", n);
    case Beat::append:
      return fmt::format("② Left adds one K row and one V row; {} read from the cache.",
                         from_cache == 1 ? "1 row is" : fmt::format("{} rows are", from_cache));
    case Beat::score:
      return fmt::format("③ The last query meets {}. Right also scores {} again.",
                         n_left == n_right
                             ? plural(n_left, "key")
                             : fmt::format("{} on the left, {} on the right", plural(n_left, "key"), n_right),
                         past_queries(past));
    case Beat::mask:
      if (n_right < n)
        return "③ Keys after a query, and keys that have left its window, are masked: weight exactly 0.";
      return "③ Keys after a query are masked: weight exactly 0. The last query has no keys after it.";
    case Beat::softmax:
      return "③ Softmax turns the scores of a row into weights that add up to 1.";
    case Beat::sum:
      return fmt::format("③ Weights times values give the output row. Every {} is needed.",
                         n_left == n && n_right == n ? "past V" : "V that the query sees");
    case Beat::next:
      return fmt::format("④ Only the last row decides: {}.", next_summary(snapshot));
    case Beat::keep:
      return keep_sentence(snapshot, at.layer);
  }
  return "";
}

}  // namespace lastrow::view
