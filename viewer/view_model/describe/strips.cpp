#include "viewer/view_model/describe/strips.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

HeadChip head_chip(const Snapshot& snapshot, const Selection& at, int h) {
  const ModelConfig& c = snapshot.setup->config();
  HeadChip chip;
  chip.head = h;
  chip.kv_head = h / c.group_size();
  chip.selected = h == at.head;
  chip.same_group = chip.kv_head == shown_kv_head(snapshot, at);
  chip.tooltip = fmt::format("query head {} · {}", h, sharing_text(c, chip.kv_head));
  const int n = snapshot.now->n_tokens;
  const float* p = prob_row(snapshot.now->side(Mode::cached), at.layer, h, n - 1, n);
  const float* most = p ? std::max_element(p, p + n) : nullptr;
  if (!most || !std::isfinite(*most)) return chip;
  const int s = static_cast<int>(most - p);
  chip.focus = *most;
  chip.tooltip += fmt::format(" · largest weight on {} (position {}, {})",
                              in_quotes(token_label(snapshot, s)), s, rough(double{*most}));
  return chip;
}

}  // namespace

std::vector<TokenChip> token_strip(const Snapshot& snapshot) {
  const Setup& setup = *snapshot.setup;
  const StepData& step = *snapshot.now;
  std::vector<TokenChip> chips;
  for (int i = 0; i < step.n_tokens; ++i) {
    const int32_t id = step.tokens[static_cast<size_t>(i)];
    TokenRole role = i < setup.prompt_len ? TokenRole::prompt : TokenRole::generated;
    if (!step.prefill() && i == step.n_tokens - 1) role = TokenRole::input;
    if (step.prefill()) role = TokenRole::input;  // the whole prompt is this step's input
    chips.push_back({i, id, label(setup.piece(id)), role});
  }
  // Within a prompt that is fed one token at a time, the next token is not the one that the model chooses.
  const int32_t next = step.n_tokens < setup.prompt_len ? snapshot.history[static_cast<size_t>(step.n_tokens)]
                                                        : step.side(Mode::cached).next_token;
  chips.push_back({step.n_tokens, next, label(setup.piece(next)), TokenRole::next});
  return chips;
}

NextTokens next_tokens(const Snapshot& snapshot, Mode side) {
  const std::vector<float>& logits = snapshot.now->side(side).logits;
  const std::vector<float>& plain = snapshot.unpoked->side(side).logits;
  const bool poked = snapshot.now != snapshot.unpoked && plain.size() == logits.size();
  NextTokens out;
  out.side = side;
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const size_t n = std::min<size_t>(5, order.size());
  // A NaN counts as −∞, so that the order is defined.
  const auto key = [&](int i) {
    const float x = logits[static_cast<size_t>(i)];
    return std::isnan(x) ? -INFINITY : x;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end(),
                    [&](int a, int b) { return key(a) != key(b) ? key(a) > key(b) : a < b; });
  double sum = 0;
  const double largest = logits.empty() ? 0 : double{key(order[0])};
  for (float x : logits) sum += std::exp(double{x} - largest);
  for (size_t i = 0; i < n; ++i) {
    const auto id = static_cast<size_t>(order[i]);
    out.top.push_back({order[i], label(snapshot.setup->piece(order[i])), logits[id],
                       static_cast<float>(std::exp(double{logits[id]} - largest) / sum),
                       poked ? logits[id] - plain[id] : 0.0f});
  }
  return out;
}

std::string next_summary(const Snapshot& snapshot) {
  const auto text = [&](Mode s) {
    return in_quotes(label(snapshot.setup->piece(snapshot.now->side(s).next_token)));
  };
  const std::string left = text(Mode::cached), right = text(Mode::recompute);
  if (snapshot.now->side(Mode::cached).next_token == snapshot.now->side(Mode::recompute).next_token)
    return "both sides choose " + left;
  return fmt::format("left chooses {}, right chooses {}", left, right);
}

HeadStrip head_strip(const Snapshot& snapshot, const Selection& at) {
  const ModelConfig& c = snapshot.setup->config();
  HeadStrip strip;
  strip.n_q_heads = c.n_q_heads;
  strip.n_kv_heads = c.n_kv_heads;
  strip.group_size = c.group_size();
  const std::string query_heads = plural(c.n_q_heads, "query head");
  if (c.n_kv_heads == c.n_q_heads) {
    strip.kind = "MHA";
    strip.summary = "one K/V head each";
    strip.caption = fmt::format("{}, each with its own K and V", query_heads);
  } else if (c.n_kv_heads == 1) {
    strip.kind = "MQA";
    strip.summary = "all share one K/V head";
    strip.caption = fmt::format("{} share one K/V head", query_heads);
  } else {
    strip.kind = "GQA";
    strip.summary = fmt::format("{} share a K/V head", strip.group_size);
    strip.caption = fmt::format("{}, {}: each K/V head serves {}", query_heads,
                                plural(c.n_kv_heads, "K/V head"), strip.group_size);
  }
  for (int h = 0; h < c.n_q_heads; ++h) strip.heads.push_back(head_chip(snapshot, at, h));
  return strip;
}

int most_focused_head(const Setup& setup, const StepData& step, int layer) {
  const SideData& s = step.side(Mode::cached);
  const int last = step.n_tokens - 1;
  int best = 0;
  float best_weight = -1;
  for (int h = 0; h < setup.config().n_q_heads; ++h) {
    const float* p = prob_row(s, layer, h, last, step.n_tokens);
    if (!p) continue;
    const float weight =
        last >= 2 ? *std::max_element(p + 1, p + last) : *std::max_element(p, p + std::max(1, last));
    if (weight > best_weight) {
      best_weight = weight;
      best = h;
    }
  }
  return best;
}

ModelStrip model_strip(const Snapshot& snapshot, const Selection& at) {
  const ModelConfig& c = snapshot.setup->config();
  const StepData& step = *snapshot.now;
  const int with = step.side(Mode::cached).q_len, without = step.side(Mode::recompute).q_len;
  ModelStrip strip;
  strip.n_tokens = step.n_tokens;
  strip.complete = reached(at.beat, Beat::next);
  strip.with = "with cache: " + plural(with, "row");
  strip.without = "without: " + plural(without, "row");
  const auto add = [&](std::string name, int layer, int rows_with, int rows_without, std::string tooltip) {
    strip.nodes.push_back(
        {std::move(name), layer, layer == at.layer, false, rows_with, rows_without, std::move(tooltip)});
  };
  add("embed", -1, with, without, "Each token becomes a row of numbers.");
  for (int layer = 0; layer < c.n_layers; ++layer) {
    add(fmt::format("layer {}", layer), layer, with, without,
        layer == c.n_layers - 1 ? "The last layer: only its last row decides the next token."
                                : fmt::format("Its output rows make Q, K and V of layer {}.", layer + 1));
    strip.nodes.back().poked =
        std::any_of(step.pokes.begin(), step.pokes.end(), [&](const Poke& p) { return p.layer == layer; });
  }
  add("norm", -1, 1, 1, "Only the last row goes on from here, on both sides.");
  add("logits", -1, 1, 1, "The last row gives a score for every word of the vocabulary.");
  return strip;
}

}  // namespace lastrow::view
