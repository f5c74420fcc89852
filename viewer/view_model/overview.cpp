#include "viewer/view_model/overview.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "viewer/view_model/text.h"

namespace lastrow::view {

namespace {

std::string words(const World& w, const std::vector<int32_t>& tokens, int first, int count) {
  std::string out;
  for (int i = first; i < first + count; ++i) {
    if (!out.empty()) out += ' ';
    out += label(w.piece(tokens[static_cast<size_t>(i)]));
  }
  return out;
}

/// A count that both sides have: fills texts and ratio.
CostEntry entry(const char* name, double with, double without, std::string (*spell)(int64_t),
                const char* tip) {
  CostEntry e;
  e.name = name;
  e.with_value = with;
  e.without_value = without;
  e.with = spell(static_cast<int64_t>(with));
  e.without = spell(static_cast<int64_t>(without));
  e.ratio = ratio(with, without);
  e.tooltip = tip;
  return e;
}

/// The signs of those marks that some row carries.
std::vector<std::pair<std::string, std::string>> legend_marks(const std::array<PaneState, 2>& panes) {
  bool same = false, rounding = false;
  for (const PaneState& pane : panes)
    for (const ValueBlock* block : {&pane.q, &pane.k, &pane.v})
      for (const Row& row : block->rows) {
        same = same || row.mark == "same bits";
        rounding = rounding || row.mark.ends_with("ULP");
      }
  std::vector<std::pair<std::string, std::string>> marks;
  if (same) marks.emplace_back("=", "as one step ago");
  if (rounding) marks.emplace_back("≈", "but for rounding");
  return marks;
}

}  // namespace

std::string banner_text(const Scene& scene) {
  const StepData& step = *scene.now;
  if (step.prefill())
    return fmt::format("Prefill · {} {} · {}", step.n_tokens == 1 ? "position" : "positions",
                       range(0, step.n_tokens - 1), plural(step.n_tokens, "key"));
  return fmt::format("Decode {} · position {} · {}", step.step, step.n_tokens - 1,
                     plural(step.n_tokens, "key"));
}

std::vector<ScrubTick> scrub_ticks(const Scene& scene) {
  const World& w = *scene.world;
  std::vector<ScrubTick> ticks;
  ticks.push_back({0, "prefill", words(w, scene.history, 0, w.prompt_len), w.prompt_len});
  for (int step = 1; step <= scene.last_step; ++step)
    ticks.push_back({step, fmt::format("{}", step), words(w, scene.history, w.prompt_len + step - 1, 1), 1});
  return ticks;
}

std::vector<BeatChip> beat_chips(Beat now) {
  static constexpr std::array<const char*, 4> kLabels = {"① project", "② append", "③ attend", "④ next"};
  std::vector<BeatChip> chips;
  for (int part = 1; part <= 4; ++part) {
    BeatChip chip;
    chip.part = part;
    chip.label = kLabels[static_cast<size_t>(part - 1)];
    for (const BeatInfo& b : kBeatTable)
      if (b.part == part) chip.beats.push_back(b);
    chip.first = chip.beats.front().beat;
    chip.last = chip.beats.back().beat;
    chip.current = now >= chip.first && now <= chip.last;
    chip.done = now >= chip.last;
    chips.push_back(std::move(chip));
  }
  return chips;
}

std::vector<TokenChip> token_strip(const Scene& scene) {
  const World& w = *scene.world;
  const StepData& step = *scene.now;
  std::vector<TokenChip> chips;
  for (int i = 0; i < step.n_tokens; ++i) {
    const int32_t id = step.tokens[static_cast<size_t>(i)];
    TokenRole role = i < w.prompt_len ? TokenRole::prompt : TokenRole::generated;
    if (!step.prefill() && i == step.n_tokens - 1) role = TokenRole::input;
    if (step.prefill()) role = TokenRole::input;  // the whole prompt is this step's input
    chips.push_back({i, id, label(w.piece(id)), role});
  }
  const int32_t next = step.side(Side::cached).next_token;
  chips.push_back({step.n_tokens, next, label(w.piece(next)), TokenRole::next});
  return chips;
}

NextTokens next_tokens(const Scene& scene, Side side) {
  const std::vector<float>& logits = scene.now->side(side).logits;
  const std::vector<float>& plain = scene.unpoked->side(side).logits;
  const bool poked = scene.now != scene.unpoked && plain.size() == logits.size();
  NextTokens out;
  out.side = side;
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const size_t n = std::min<size_t>(5, order.size());
  // NaN goes last, or the order would be none.
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
    out.top.push_back({order[i], label(scene.world->piece(order[i])), logits[id],
                       static_cast<float>(std::exp(double{logits[id]} - largest) / sum),
                       poked ? logits[id] - plain[id] : 0.0f});
  }
  return out;
}

std::string next_summary(const Scene& scene) {
  const auto text = [&](Side s) {
    return in_quotes(label(scene.world->piece(scene.now->side(s).next_token)));
  };
  const std::string left = text(Side::cached), right = text(Side::recompute);
  if (scene.now->side(Side::cached).next_token == scene.now->side(Side::recompute).next_token)
    return "both sides choose " + left;
  return fmt::format("left chooses {}, right chooses {}", left, right);
}

HeadStrip head_strip(const Scene& scene, const Selection& at) {
  const World& w = *scene.world;
  const ModelConfig& c = w.config();
  HeadStrip strip;
  strip.n_q_heads = c.n_q_heads;
  strip.n_kv_heads = c.n_kv_heads;
  strip.group_size = c.group_size();
  strip.kind = c.n_kv_heads == c.n_q_heads ? "MHA" : c.n_kv_heads == 1 ? "MQA" : "GQA";
  if (strip.kind == "MHA")
    strip.caption = fmt::format("{}, each with K and V of its own", plural(c.n_q_heads, "query head"));
  else if (strip.kind == "MQA")
    strip.caption = fmt::format("{} share one K/V head", plural(c.n_q_heads, "query head"));
  else
    strip.caption = fmt::format("{}, {}: each K/V head serves {}", plural(c.n_q_heads, "query head"),
                                plural(c.n_kv_heads, "K/V head"), strip.group_size);
  const int n = scene.now->n_tokens;
  for (int h = 0; h < c.n_q_heads; ++h) {
    HeadChip chip;
    chip.head = h;
    chip.kv_head = h / strip.group_size;
    chip.selected = h == at.head;
    chip.same_group = chip.kv_head == at.head / strip.group_size;
    const float* p = prob_row(w, scene.now->side(Side::cached), at.layer, h, n - 1, n);
    const float* most = p ? std::max_element(p, p + n) : nullptr;
    if (most && std::isfinite(*most)) {
      chip.focus = *most;
      const auto s = static_cast<size_t>(most - p);
      chip.tooltip = fmt::format("query head {} · {} · looks most at {} (position {}, weight {})", h,
                                 sharing_text(c, chip.kv_head),
                                 in_quotes(label(w.piece(scene.now->tokens[s]))), s, rough(double{*most}));
    } else {
      chip.tooltip = fmt::format("query head {} · {}", h, sharing_text(c, chip.kv_head));
    }
    strip.heads.push_back(std::move(chip));
  }
  return strip;
}

LayerStrip layer_strip(const Scene& scene, const Selection& at) {
  const ModelConfig& c = scene.world->config();
  LayerStrip strip;
  strip.complete = reached(at.beat, Beat::next);
  for (int layer = 0; layer < c.n_layers; ++layer) {
    LayerChip chip;
    chip.layer = layer;
    chip.selected = layer == at.layer;
    chip.last = layer == c.n_layers - 1;
    chip.poked = std::any_of(scene.now->pokes.begin(), scene.now->pokes.end(),
                             [&](const Poke& p) { return p.layer == layer; });
    chip.label = fmt::format("{}{}", layer, chip.last ? " (last)" : "");
    chip.tooltip = chip.last
                       ? "The last layer: only its last row decides the next token."
                       : fmt::format("Layer {}: its outputs make Q, K and V of layer {}.", layer, layer + 1);
    strip.layers.push_back(std::move(chip));
  }
  return strip;
}

std::vector<CostEntry> cost_line(const Scene& scene) {
  const StepData& step = *scene.unpoked;  // pokes are no work of the model's
  const StepRecord& a = step.side(Side::cached).record;
  const StepRecord& b = step.side(Side::recompute).record;
  const auto f = [](int64_t x) { return static_cast<double>(x); };
  std::vector<CostEntry> line;
  line.push_back(entry("rows projected", f(a.kv_rows_projected), f(b.kv_rows_projected), count,
                       "Rows of K (and as many of Q and V) made in this step, all layers together."));
  line.push_back(entry("score cells", f(a.score_cells), f(b.score_cells), count,
                       "Products q·k that the mask lets through, all layers and heads."));
  line.push_back(
      entry("flop", f(a.flop), f(b.flop), count, "Additions and multiplications of the whole step."));
  line.push_back(entry("weight bytes", f(a.weight_bytes), f(b.weight_bytes), bytes,
                       "Parameters read: once for each operation, however many rows use them."));
  line.push_back(entry("cache bytes", f(a.cache_bytes_read + a.cache_bytes_written),
                       f(b.cache_bytes_read + b.cache_bytes_written), bytes,
                       "K and V rows read from and written to the cache. Without a cache there is none."));
  line.push_back(entry("scratch bytes", f(a.kv_scratch_bytes), f(b.kv_scratch_bytes), bytes,
                       "K and V rows written and read within this step only, then dropped."));
  CostEntry time;
  time.name = "time";
  time.with_value = step.side(Side::cached).wall_us;
  time.without_value = step.side(Side::recompute).wall_us;
  time.with = duration_us(time.with_value);
  time.without = duration_us(time.without_value);
  time.ratio = ratio(time.with_value, time.without_value);
  time.tooltip = "Time of the step, watched: recording each tensor takes most of it.";
  line.push_back(std::move(time));
  return line;
}

Legend legend(const Scene& scene, const Selection& at) {
  const LayerScales& s = scene.world->scales[static_cast<size_t>(at.layer)];
  Legend out;
  out.states = {{State::computed_now, "computed now"},
                {State::again_needed, "computed again, needed"},
                {State::again_unused, "computed again, unused"},
                {State::from_cache, "read from cache"},
                {State::masked, "masked"},
                {State::absent, "absent"}};
  out.value_scale =
      fmt::format("Q ±{} · K ±{} · V ±{} · scores ±{} · out ±{}", power_of_two(s.q), power_of_two(s.k),
                  power_of_two(s.v), power_of_two(s.score), power_of_two(s.out));
  return out;
}

std::string beat_sentence(const Scene& scene, const Selection& at) {
  const int n = scene.now->n_tokens;
  const int past = n - 1;
  const bool last_layer = at.layer == scene.world->config().n_layers - 1;
  const std::string keys = plural(n, "key");
  if (scene.now->prefill()) {
    if (at.beat == Beat::keep) return "Prefill: the same work on both sides; left keeps K and V.";
    if (at.beat == Beat::start)
      return fmt::format("Prefill reads {} at once. Neither side has anything kept.", plural(n, "token"));
    return "Prefill: same work on both sides; left keeps K and V.";
  }
  switch (at.beat) {
    case Beat::start:
      return fmt::format("{} has come in. Left has kept K and V of the {} before it; right has kept nothing.",
                         in_quotes(label(scene.world->piece(scene.now->tokens.back()))),
                         plural(past, "token"));
    case Beat::project:
      return fmt::format("① Left computes 1 row of Q, K and V; right computes all {} again.", n);
    case Beat::append:
      return fmt::format("② Left adds one K row and one V row; {} read from the cache.",
                         past == 1 ? "1 row is" : fmt::format("{} rows are", past));
    case Beat::score:
      return fmt::format("③ The last query meets {}. Right scores {} again as well.", keys,
                         past == 1 ? "1 past query" : fmt::format("{} past queries", past));
    case Beat::mask:
      return "③ Keys later than a query are masked: weight exactly 0. The last row has none to mask.";
    case Beat::softmax:
      return "③ Softmax turns the scores of a row into weights that add up to 1.";
    case Beat::sum:
      return "③ Weights times values give the output row. Every past V is needed.";
    case Beat::next:
      return fmt::format("④ Only the last row decides: {}.", next_summary(scene));
    case Beat::keep:
      return last_layer ? "④ Left keeps K and V and drops Q; right drops everything and starts again."
                        : "④ Left keeps K and V of this layer, too; right drops everything.";
  }
  return "";
}

void fill_scene(const Scene& scene, const Selection& at, ViewState& view) {
  const ModelConfig& c = scene.world->config();
  view.ready = true;
  view.model = scene.world->model_name;
  view.backend = scene.world->backend;
  view.prompt = scene.world->prompt;
  view.n_layers = c.n_layers;
  view.layer = at.layer;
  view.head = at.head;
  view.head_dim = c.head_dim;
  view.n_tokens = scene.now->n_tokens;
  view.max_seq_len = scene.world->max_seq_len;
  Transport& t = view.transport;
  t.step = scene.now->step;
  t.last_step = scene.last_step;
  t.at_first = scene.now->step == 0;
  t.context_full = scene.context_full;
  t.beat = at.beat;
  t.ticks = scrub_ticks(scene);
  t.chips = beat_chips(at.beat);
  t.banner = banner_text(scene);
  view.tokens = token_strip(scene);
  view.next = {next_tokens(scene, Side::cached), next_tokens(scene, Side::recompute)};
  view.same_next_token =
      scene.now->side(Side::cached).next_token == scene.now->side(Side::recompute).next_token;
  view.next_summary = next_summary(scene);
  view.next_visible = reached(at.beat, Beat::next);
  view.heads = head_strip(scene, at);
  view.layers = layer_strip(scene, at);
  view.panes = {build_pane(scene, Side::cached, at), build_pane(scene, Side::recompute, at)};
  view.costs = cost_line(scene);
  view.costs_title = "whole step, all layers and heads";
  view.legend = legend(scene, at);
  view.legend.marks = legend_marks(view.panes);
}

}  // namespace lastrow::view
