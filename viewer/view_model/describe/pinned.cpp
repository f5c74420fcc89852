#include "viewer/view_model/describe/pinned.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "cache/kv_codec.h"
#include "viewer/view_model/describe/forgetting.h"
#include "viewer/view_model/describe/held_rows.h"
#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/operands.h"
#include "viewer/view_model/describe/reads.h"
#include "viewer/view_model/describe/score_text.h"
#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/describe/target_text.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

void add_product(Pinned& pinned, std::string label, float a, float b, float product) {
  pinned.products.push_back({std::move(label), a, b, product, number(double{product})});
}

void add_products(const float* a, const float* b, int n, Pinned& pinned) {
  double total = 0;
  for (int d = 0; d < n; ++d) {
    add_product(pinned, fmt::format("d {}", d), a[d], b[d], a[d] * b[d]);
    total += double{a[d]} * double{b[d]};
  }
  pinned.total = static_cast<float>(total);
}

void pin_cell(const Snapshot& snapshot, const Selection& at, const Target& target, Pinned& pinned) {
  const int t = target.row, s = target.column, width = snapshot.setup->config().head_dim;
  const Operands o = operands(snapshot, at, target.side, t, s);
  const SideData& d = snapshot.now->side(target.side);
  if (!o.q || !o.scores || key_use(d, at.layer, t, s) != KeyUse::seen || !o.k) return;
  if (target.part == Part::score) {
    if (!shows_key_as_read(snapshot, at, target)) return;
    add_products(o.q, o.k, width, pinned);
    pinned.products_title = fmt::format("q[{}]·k[{}], element by element", t, s);
    pinned.total_text = score_total(snapshot.setup->config(), at.head, used_distance(d, at.layer, t, s),
                                    double{pinned.total}, double{o.scores[s]});
    return;
  }
  double sum = 0;
  for (const int i : keys_seen(d, at.layer, t)) {
    add_product(pinned, fmt::format("{} {}", i, token_label(snapshot, i)), o.scores[i], 1.0f, o.probs[i]);
    pinned.products.back().text =
        fmt::format("{} → {}", rough(double{o.scores[i]}), rough(double{o.probs[i]}));
    sum += double{o.probs[i]};
  }
  pinned.total = static_cast<float>(sum);
  pinned.products_title = fmt::format("row {}: score → weight", t);
  pinned.total_text = fmt::format("Σ weights = {}", number(sum));
}

/// An output element: weight × v for every key.
void pin_output(const Snapshot& snapshot, const Selection& at, const Target& target, Pinned& pinned) {
  const int t = target.row, d = target.column;
  const Operands o = operands(snapshot, at, target.side, t, -1);
  if (!o.probs || d < 0) return;
  double sum = 0;
  for (const int s : keys_seen(snapshot.now->side(target.side), at.layer, t)) {
    const float* v = operands(snapshot, at, target.side, t, s).v;
    if (!v) return;
    add_product(pinned, fmt::format("{} {}", s, token_label(snapshot, s)), o.probs[s], v[d],
                o.probs[s] * v[d]);
    sum += double{o.probs[s]} * double{v[d]};
  }
  pinned.total = static_cast<float>(sum);
  pinned.products_title = fmt::format("weight({}, s)·v[s][{}], key by key", t, d);
  pinned.total_text = fmt::format("Σ = {}", number(sum));
}

/// For a row of Q: its weights. For a row of K or V: its products in the row that decides.
void pin_row(const Snapshot& snapshot, const Selection& at, const Target& target, Pinned& pinned) {
  const int last = snapshot.now->n_tokens - 1, width = snapshot.setup->config().head_dim;
  if (target.part == Part::q) {
    const Operands o = operands(snapshot, at, target.side, target.row, -1);
    if (!o.scores) return;
    for (const int s : keys_seen(snapshot.now->side(target.side), at.layer, target.row))
      add_product(pinned, fmt::format("{} {}", s, token_label(snapshot, s)), o.scores[s], o.probs[s],
                  o.probs[s]);
    pinned.products_title = fmt::format("weights of row {}", target.row);
    return;
  }
  const Operands o = operands(snapshot, at, target.side, last, target.row);
  if (!o.q || !o.k || !o.v || !o.probs) return;
  const SideData& d = snapshot.now->side(target.side);
  if (key_use(d, at.layer, last, target.row) != KeyUse::seen) return;
  if (target.part == Part::k) {
    add_products(o.q, o.k, width, pinned);
    pinned.products_title = fmt::format("q[{}]·k[{}], element by element", last, target.row);
    pinned.total_text =
        score_total(snapshot.setup->config(), at.head, used_distance(d, at.layer, last, target.row),
                    double{pinned.total}, double{o.scores[target.row]});
  } else {
    const float weight = o.probs[target.row];
    for (int i = 0; i < width; ++i)
      add_product(pinned, fmt::format("d {}", i), weight, o.v[i], weight * o.v[i]);
    pinned.products_title =
        fmt::format("weight {} × v[{}], into the output row", number(double{weight}), target.row);
  }
}

/// "37", or with blocks "37: row 5 of block 2".
std::string slot_text(const Setup& setup, Mode side, int64_t slot) {
  const int block_len = setup.spec.block_len;
  const bool in_blocks = setup.cache.kind == "paged" || setup.cache.kind == "window";
  if (side == Mode::recompute || !in_blocks || block_len == 1) return fmt::format("{}", slot);
  return fmt::format("{}: row {} of block {}", slot, slot % block_len, slot / block_len);
}

/// "64 (16 × f32)", or with scales "20 (16 × int8, and a scale of 4)", "72 (128 × int4, and 4 scales of 2)",
/// "16 (16 × int8-channel; 64 in f32 until its block has its scales)".
std::string bytes_text(int width, DType dtype) {
  const int64_t n = n_scales(dtype, width);
  std::string scales;
  if (n > 0)
    scales =
        fmt::format(", and {} of {}", n == 1 ? "a scale" : fmt::format("{} scales", n), scale_bytes(dtype));
  if (has_channel_scales(dtype))
    scales = fmt::format("; {} in f32 until its block has its scales", stored_row_bytes(DType::f32, width));
  return fmt::format("{} ({} × {}{})", stored_row_bytes(dtype, width), width, kv_dtype_name(dtype), scales);
}

/// When the cache forgot the row, and what is in its slot now.
void add_eviction(const Snapshot& snapshot, int layer, const Target& target,
                  std::vector<std::pair<std::string, std::string>>& lines) {
  if (target.side == Mode::recompute) return;
  const auto forgotten = when_forgotten(snapshot, layer, target.row);
  if (!forgotten) return;
  const Setup& setup = *snapshot.setup;
  lines.emplace_back("evicted after", fmt::format("{}: {}", step_text(setup, forgotten->step),
                                                  eviction_reason(setup, forgotten->row)));
  const auto& kept = snapshot.now->side(Mode::cached).held(layer).kept;
  const auto now = std::ranges::find(kept, forgotten->row.slot, &PlacedRow::slot);
  lines.emplace_back("its slot",
                     slot_text(setup, target.side, forgotten->row.slot) +
                         (now == kept.end() ? ", free" : fmt::format(", now position {}", now->position)));
}

/// The pair of elements that RoPE turns fastest, as the cache stores it and as the step used it.
void add_rotation(const Snapshot& snapshot, const Selection& at, const Target& target,
                  std::vector<std::pair<std::string, std::string>>& lines) {
  const Setup& setup = *snapshot.setup;
  const ModelConfig& c = setup.config();
  const SideData& d = snapshot.now->side(target.side);
  const int g = shown_kv_head(snapshot, at);
  const float* stored = stored_k_row(setup, d, at.layer, g, target.row);
  const float* used = k_row(setup, d, at.layer, g, target.row);
  if (stored == nullptr || used == nullptr) return;
  const int other = c.rope_pairing == RopePairing::interleaved ? 1 : c.head_dim / 2;
  const auto pair = [&](const float* x) {
    return fmt::format("d 0 = {}, d {} = {}", rough(double{x[0]}), other, rough(double{x[other]}));
  };
  lines.emplace_back("stored", pair(stored));
  lines.emplace_back("after RoPE", pair(used));
}

void add_provenance(const Snapshot& snapshot, const Selection& at, const Target& target, Pinned& pinned) {
  const Setup& setup = *snapshot.setup;
  const ModelConfig& c = setup.config();
  const int s = target.row, width = c.head_dim;
  auto& lines = pinned.provenance;
  const std::optional<int> new_position = new_position_of(snapshot, at, target);
  lines.emplace_back("position", fmt::format("{}{}", s, new_position ? " in the text" : ""));
  if (new_position) lines.emplace_back("new position", new_position_text(snapshot, at, target));
  lines.emplace_back("token", fmt::format("{} (id {})", in_quotes(token_label(snapshot, s)),
                                          snapshot.now->tokens[static_cast<size_t>(s)]));
  if ((target.part == Part::q || target.part == Part::k) && c.has_rope()) {
    const int rotated_to = new_position.value_or(s);
    const double slowest = rotated_to * std::pow(double{c.rope_theta}, -double(width - 2) / width);
    lines.emplace_back("RoPE angle",
                       fmt::format("{} rad (fastest pair) … {} rad (slowest)", rotated_to, number(slowest)));
  }
  if (target.part == Part::k || target.part == Part::v) {
    const HeldRows& rows = snapshot.now->side(target.side).held(at.layer);
    if (const int index = index_of(rows.keys, s); index >= 0) {
      if (index != s && !new_position)
        lines.emplace_back("index", fmt::format("{} of {}", index, plural(rows.n_keys(), "row")));
      lines.emplace_back("slot", slot_text(setup, target.side, rows.keys[static_cast<size_t>(index)].slot));
    }
    if (target.part == Part::k) add_rotation(snapshot, at, target, lines);
    add_eviction(snapshot, at.layer, target, lines);
    const std::string first = step_name(setup, s);
    lines.emplace_back("written by", target.side == Mode::cached
                                         ? first
                                         : fmt::format("this step, and every step since {}", first));
    const KvDtypes stored = target.side == Mode::cached ? setup.cache.dtypes() : KvDtypes{};
    const DType dtype = stored.of(target.part == Part::k ? RowKind::k : RowKind::v);
    lines.emplace_back(
        "bytes", fmt::format("{}, of K/V head {}", bytes_text(width, dtype), shown_kv_head(snapshot, at)));
  } else if (target.part == Part::q) {
    lines.emplace_back("made by", target.side == Mode::cached || s == snapshot.now->n_tokens - 1
                                      ? step_name(setup, s)
                                      : "this step, again");
  }
  const ReadCount reads = count_reads(snapshot, target.side, at.layer, target.part, s);
  if (reads.times > 0) pinned.reads.push_back(fmt::format("read by {}: {}×", reads.readers, reads.times));
}

}  // namespace

Pinned build_pinned(const Snapshot& snapshot, const Selection& at, const Target& target) {
  Pinned pinned;
  pinned.target = target;
  pinned.title = target_title(snapshot, at, target);
  pinned.formula = target_line(snapshot, at, target);
  const Setup& setup = *snapshot.setup;
  const SideData& d = snapshot.now->side(target.side);
  const LayerScales& scales = setup.scales[static_cast<size_t>(at.layer)];
  const float* x = nullptr;
  switch (target.part) {
    case Part::score:
    case Part::weight:
      pin_cell(snapshot, at, target, pinned);
      return pinned;
    case Part::output:
      pin_output(snapshot, at, target, pinned);
      x = out_row(setup, d, at.layer, at.head, target.row);
      pinned.scale = scales.out;
      break;
    case Part::q:
      x = q_row(setup, d, at.layer, at.head, target.row);
      pinned.scale = scales.q;
      break;
    case Part::k:
      x = k_row(setup, d, at.layer, shown_kv_head(snapshot, at), target.row);
      pinned.scale = scales.k;
      break;
    case Part::v:
      x = v_row(setup, d, at.layer, shown_kv_head(snapshot, at), target.row);
      pinned.scale = scales.v;
      break;
    default:
      return pinned;
  }
  if (target.part != Part::output) {
    pin_row(snapshot, at, target, pinned);
    add_provenance(snapshot, at, target, pinned);
  }
  if (x) pinned.values.assign(x, x + setup.config().head_dim);
  return pinned;
}

}  // namespace lastrow::view
