#include "viewer/view_model/describe/forgetting.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "viewer/view_model/describe/compare.h"
#include "viewer/view_model/describe/held_rows.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

/// Whether pokes may have changed which rows were forgotten before this step. Only attention that rows got decides
/// that, and only a poke `since` an earlier step changes it.
bool history_may_differ(const Snapshot& snapshot) {
  if (snapshot.setup->cache.eviction != Eviction::heavy || snapshot.setup->cache.kind != "budget")
    return false;
  return std::ranges::any_of(snapshot.now->pokes,
                             [](const Poke& poke) { return poke.when == Poke::When::since; });
}

std::string evicted_in(const Setup& setup, int step) {
  return step == 0 && setup.n_prefill_steps == 1 ? "after the prefill" : "in " + step_text(setup, step);
}

/// "Logits differ by up to 0.84; left chooses “cat”, right “dog”."   by_rounding: only the types of K and V differ.
std::string logits_text(const Snapshot& snapshot, const StepData& step, bool by_rounding) {
  const SideData &left = step.side(Mode::cached), &right = step.side(Mode::recompute);
  if (same_logits(left, right)) return "Logits are bit-identical.";
  const double change = largest_change(left.logits.data(), right.logits.data(),
                                       static_cast<int>(std::min(left.logits.size(), right.logits.size())));
  const auto word = [&](int token) { return in_quotes(label(snapshot.setup->piece(token))); };
  const std::string chosen =
      left.next_token == right.next_token
          ? "both choose " + word(left.next_token)
          : fmt::format("left chooses {}, right {}", word(left.next_token), word(right.next_token));
  return fmt::format("Logits differ by up to {}{}; {}.", rough(change), by_rounding ? ", by rounding" : "",
                     chosen);
}

/// The weight that the last row on the right puts on rows that the left side does not hold. Negative: not known.
double forgotten_weight(const StepData& step, const Selection& at) {
  const SideData& left = step.side(Mode::cached);
  const float* p = prob_row(step.side(Mode::recompute), at.layer, at.head, step.n_tokens - 1, step.n_tokens);
  if (p == nullptr) return -1;
  double weight = 0;
  for (int s = 0; s < step.n_tokens; ++s)
    if (index_of(left.held(at.layer).keys, s) < 0) weight += double{p[s]};
  return weight;
}

std::string price_of_budget(const StepData& step, Mode side, const Selection& at) {
  const int n_forgotten = step.n_tokens - step.side(Mode::cached).held(at.layer).n_keys();
  if (n_forgotten == 0)
    return "The cache has forgotten nothing that this step reads: both sides see the same rows.";
  const std::string rows = plural(n_forgotten, "row"), they = n_forgotten == 1 ? "it holds" : "they hold";
  const double weight = reached(at.beat, Beat::softmax) ? forgotten_weight(step, at) : -1;
  if (side == Mode::cached)
    return weight < 0 ? fmt::format("The cache forgot {}.", rows)
                      : fmt::format("The cache forgot {}; on the right {} {} of the last row's weight.", rows,
                                    they, rough(weight));
  return weight < 0 ? fmt::format("The left side has forgotten {}.", rows)
                    : fmt::format("The left side has forgotten {}; here {} {} of the last row's weight.",
                                  rows, they, rough(weight));
}

constexpr const char* kPriceOfWindow =
    "Both sides have the same window: no query reads a row that the cache forgot.";

std::string price_of_new_positions(const Setup& setup, Mode side) {
  if (side == Mode::recompute)
    return "Here every token gets its own pass, because each query sees the keys at other positions.";
  return setup.config().has_rope()
             ? "RoPE goes by the new positions, so K is stored before RoPE and rotated in every step."
             : "ALiBi goes by the distance between new positions.";
}

/// "Layer 1 has no window, so the cache keeps all its rows. Layers 0, 2 have a window."
std::string price_of_full_layer(const Setup& setup, int layer) {
  std::vector<int> windowed;
  for (int l = 0; l < setup.config().n_layers; ++l)
    if (forgets(setup, l)) windowed.push_back(l);
  return fmt::format("Layer {} has no window, so the cache keeps all its rows. {} {} a window.", layer,
                     windowed.size() == 1 ? "Layer " + ranges(windowed) : "Layers " + ranges(windowed),
                     windowed.size() == 1 ? "has" : "have");
}

/// "Without pokes logits are bit-identical."
std::string without_pokes(std::string sentence) {
  sentence[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(sentence[0])));
  return "Without pokes " + sentence;
}

/// As eviction_reason, for a line with little room.
std::string short_reason(const Setup& setup, const EvictedRow& row) {
  if (setup.cache.kind == "window") return "leaves the window";
  switch (setup.cache.eviction) {
    case Eviction::oldest:
      return "the oldest";
    case Eviction::sinks:
      return "oldest behind sinks";
    case Eviction::heavy:
      return fmt::format("attention {} in all", rough(row.mass));
    case Eviction::random:
      return "at random";
  }
  return "";
}

}  // namespace

bool forgets(const Setup& setup) { return setup.spec.forgets(); }

bool forgets(const Setup& setup, int layer) {
  return setup.spec.windowed.has(layer) || setup.spec.held_rows > 0;
}

std::optional<Forgotten> when_forgotten(const Snapshot& snapshot, int layer, int position) {
  if (!forgets(*snapshot.setup, layer)) return std::nullopt;
  const auto find = [&](const std::vector<EvictedRow>& rows, int step) -> std::optional<Forgotten> {
    const auto row = std::ranges::find(rows, position, &EvictedRow::position);
    return row == rows.end() ? std::nullopt : std::optional(Forgotten{step, *row});
  };
  const int now = snapshot.now->step;
  if (const auto here = find(snapshot.now->side(Mode::cached).held(layer).evicted, now)) return here;
  if (history_may_differ(snapshot)) return std::nullopt;
  for (int step = 0; step < std::min(now, static_cast<int>(snapshot.evicted.size())); ++step)
    if (const auto there = find(snapshot.evicted[static_cast<size_t>(step)], step)) return there;
  return std::nullopt;
}

std::optional<int> last_forgotten_in(const Snapshot& snapshot, int layer, int64_t slot) {
  if (!forgets(*snapshot.setup, layer) || history_may_differ(snapshot)) return std::nullopt;
  const int now = std::min(snapshot.now->step, static_cast<int>(snapshot.evicted.size()));
  for (int step = now - 1; step >= 0; --step) {
    const auto& rows = snapshot.evicted[static_cast<size_t>(step)];
    const auto row = std::ranges::find(rows, slot, &EvictedRow::slot);
    if (row != rows.end()) return row->position;
  }
  return std::nullopt;
}

std::string eviction_reason(const Setup& setup, const EvictedRow& row) {
  if (setup.cache.kind == "window") return "no later query sees it";
  switch (setup.cache.eviction) {
    case Eviction::oldest:
      return "the oldest";
    case Eviction::sinks:
      return "the oldest behind the sinks";
    case Eviction::heavy:
      return fmt::format("least attention, {} in all", rough(row.mass));
    case Eviction::random:
      return "chosen at random";
  }
  return "";
}

std::string evicted_rows(const Snapshot& snapshot, int layer, size_t most_bytes) {
  const std::vector<EvictedRow>& rows = snapshot.now->side(Mode::cached).held(layer).evicted;
  if (rows.empty()) return "";
  std::vector<int> positions;
  for (const EvictedRow& row : rows) positions.push_back(row.position);
  const std::string text =
      fmt::format("{} {}", rows.size() == 1 ? "row" : "rows", ranges(std::move(positions)));
  return text.size() <= most_bytes ? text : plural(static_cast<int64_t>(rows.size()), "row");
}

std::string evicted_text(const Snapshot& snapshot, int layer) {
  constexpr size_t kMostBytes = 24;  // the line has little room in lecture mode
  const std::vector<EvictedRow>& rows = snapshot.now->side(Mode::cached).held(layer).evicted;
  if (rows.empty()) return "";
  const std::string text = "evicts " + evicted_rows(snapshot, layer, kMostBytes);
  return rows.size() > 1 ? text : text + ": " + short_reason(*snapshot.setup, rows[0]);
}

std::string not_stored_line(const Snapshot& snapshot, int layer, Part part, int position) {
  const std::string name = fmt::format("{}[{}]", name_of(part), position);
  const auto forgotten = when_forgotten(snapshot, layer, position);
  if (!forgotten) return name + " is not stored: the cache has evicted it, so no query reads it any more";
  const bool by_attention = snapshot.setup->cache.eviction == Eviction::heavy;
  const std::string reason =
      by_attention ? fmt::format("least attention: its weights in all layers, heads and queries sum to {}",
                                 rough(forgotten->row.mass))
                   : eviction_reason(*snapshot.setup, forgotten->row);
  return fmt::format("{} is not stored: the cache evicted it {} ({}), so no query reads it any more", name,
                     evicted_in(*snapshot.setup, forgotten->step), reason);
}

std::string use_text(const Snapshot& snapshot, Mode side, int layer, int position) {
  const SideData& d = snapshot.now->side(side);
  const MaskRule& mask = d.layers[static_cast<size_t>(layer)].mask;
  const int last = snapshot.now->n_tokens - 1;
  if (mask.window > 0) {
    if (position < mask.sinks) return "a sink: used by this and every later row";
    const int end = position + mask.window - 1;  // the last row that sees it
    if (end < last) return fmt::format("no row after {} sees it", end);
    return end == last ? "used by this row for the last time" : fmt::format("used by rows up to {}", end);
  }
  if (side == Mode::cached && snapshot.setup->cache.kind == "budget")
    return was_evicted(d.held(layer), position) ? "used by this row, then evicted"
                                                : "used by this and later rows, until the cache evicts it";
  return "used by this and every later row";
}

std::string price(const Snapshot& snapshot, Mode side, const Selection& at) {
  if (!forgets(*snapshot.setup)) return "";
  const Setup& setup = *snapshot.setup;
  const StepData& step = *snapshot.unpoked;
  const bool poked = snapshot.now != snapshot.unpoked, is_budget = setup.cache.kind == "budget";
  std::string text = is_budget                    ? price_of_budget(step, side, at)
                     : !forgets(setup, at.layer)  ? price_of_full_layer(setup, at.layer)
                     : setup.uses_new_positions() ? price_of_new_positions(setup, side)
                                                  : kPriceOfWindow;
  if (poked && is_budget) text = without_pokes(std::move(text));
  if (!reached(at.beat, Beat::next)) return text;
  const std::string dtype = kv_dtypes_name(setup.cache.dtypes());
  const std::string logits = logits_text(snapshot, step, dtype != "f32" && !is_budget);
  text += " " + (poked && !is_budget ? without_pokes(logits) : logits);
  if (dtype != "f32" && is_budget)
    text += fmt::format(" A part of this comes from rounding K and V to {}.", dtype);
  return text;
}

}  // namespace lastrow::view
