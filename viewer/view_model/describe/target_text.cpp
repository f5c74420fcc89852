#include "viewer/view_model/describe/target_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "viewer/view_model/describe/forgetting.h"
#include "viewer/view_model/describe/held_rows.h"
#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/operands.h"
#include "viewer/view_model/describe/score_text.h"
#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

double root_mean_square(const float* x, int n) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += double{x[i]} * double{x[i]};
  return std::sqrt(sum / n);
}

double dot(const float* a, const float* b, int n) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

/// Why the left side does not have the row.
std::string absent_line(const Snapshot& snapshot, int layer, const Target& target) {
  if (target.part == Part::k || target.part == Part::v)
    return not_stored_line(snapshot, layer, target.part, target.row);
  const std::string when = step_name(*snapshot.setup, target.row);
  if (target.part == Part::q) return fmt::format("q[{}]: used once, in {}, then dropped", target.row, when);
  return fmt::format("{} row {}: computed once, in {}, then dropped; nothing reads it again",
                     name_of(target.part), target.row, when);
}

/// Writes out the two largest terms, and how many more there are.
std::string output_element_line(const Snapshot& snapshot, const Selection& at, const Target& target,
                                double value) {
  const int t = target.row, d = target.column;
  const Operands o = operands(snapshot, at, target.side, t, -1);
  struct Term {
    int s;
    double weight, v;
    double size() const { return std::fabs(weight * v); }
  };
  std::vector<Term> terms;
  if (o.probs)
    for (const int s : keys_seen(snapshot.now->side(target.side), at.layer, t))
      if (const float* v = operands(snapshot, at, target.side, t, s).v)
        terms.push_back({s, double{o.probs[s]}, double{v[d]}});
  std::sort(terms.begin(), terms.end(), [](const Term& a, const Term& b) { return a.size() > b.size(); });
  std::string sum;
  for (size_t i = 0; i < std::min<size_t>(2, terms.size()); ++i)
    sum += fmt::format("{}{}·({}) of {}", i ? " + " : "", rough(terms[i].weight), rough(terms[i].v),
                       in_quotes(token_label(snapshot, terms[i].s)));
  if (terms.size() > 2) sum += fmt::format(" + {} more", terms.size() - 2);
  return fmt::format("output[{}][{}] = Σ weight·v = {} = {}", t, d, sum, number(value));
}

std::string value_row_line(const Snapshot& snapshot, const Selection& at, const Target& target,
                           const float* x) {
  const int width = snapshot.setup->config().head_dim;
  std::string name = fmt::format("{}[{}]", name_of(target.part), target.row);
  if (target.column >= 0) {
    const double value = double{x[target.column]};
    const bool rotated = snapshot.setup->config().has_rope();
    if (target.part == Part::output) return output_element_line(snapshot, at, target, value);
    const std::optional<int> position = new_position_of(snapshot, at, target);
    const std::string after =
        position ? fmt::format(" (after RoPE at new position {})", *position) : " (after RoPE)";
    return fmt::format("{}[{}] = {}{}", name, target.column, number(value),
                       target.part != Part::v && rotated ? after : "");
  }
  if (const auto position = new_position_of(snapshot, at, target))
    name += fmt::format(" at new position {}", *position);
  const std::string size = fmt::format("root mean square {}", number(root_mean_square(x, width)));
  const int last = snapshot.now->n_tokens - 1;
  const SideData& d = snapshot.now->side(target.side);
  const bool is_kv = target.part == Part::k || target.part == Part::v;
  const std::string use = is_kv ? use_text(snapshot, target.side, at.layer, target.row) : "";
  if (is_kv && key_use(d, at.layer, last, target.row) == KeyUse::masked)
    return fmt::format("{}: {}; outside the window of row {}: {}", name, size, last, use);
  switch (target.part) {
    case Part::q: {
      const int seen = n_keys_seen(d, at.layer, target.row);
      if (seen <= target.row)
        return fmt::format("{}: {}; compared with {} of the {} up to position {}", name, size,
                           plural(seen, "key"), target.row + 1, target.row);
      return fmt::format("{}: {}; compared with all {} up to position {}", name, size, plural(seen, "key"),
                         target.row);
    }
    case Part::k: {
      const Operands o = operands(snapshot, at, target.side, last, target.row);
      return o.scores ? fmt::format("{}: {}; score with q[{}] {}; {}", name, size, last,
                                    number(double{o.scores[target.row]}), use)
                      : fmt::format("{}: {}", name, size);
    }
    case Part::v: {
      const Operands o = operands(snapshot, at, target.side, last, target.row);
      return o.probs ? fmt::format("{}: {}; weight {} in row {}; {}", name, size,
                                   number(double{o.probs[target.row]}), last, use)
                     : fmt::format("{}: {}", name, size);
    }
    default:
      return fmt::format("{}: {}", name, size);
  }
}

std::string cell_line(const Snapshot& snapshot, const Selection& at, const Target& target) {
  const int t = target.row, s = target.column, width = snapshot.setup->config().head_dim;
  const SideData& d = snapshot.now->side(target.side);
  const bool in_passes = d.q_len > 1 && !d.new_positions.empty();
  if (s > t && in_passes)
    return fmt::format("key {} comes after query {}: the pass of row {} does not have it yet", s, t, t);
  if (s > t) return fmt::format("key {} comes after query {}: masked, weight exactly 0", s, t);
  const bool fed = t >= d.first_position;
  const KeyUse use = fed ? key_use(d, at.layer, t, s) : KeyUse::seen;
  if (use == KeyUse::not_stored) return not_stored_line(snapshot, at.layer, Part::k, s);
  if (use == KeyUse::masked && in_passes)
    return fmt::format(
        "key {} lies outside the window of query {}: the pass of row {} does not have it any more", s, t, t);
  if (use == KeyUse::masked)
    return fmt::format("key {} lies outside the window of query {}: masked, weight exactly 0", s, t);
  const Operands o = operands(snapshot, at, target.side, t, s);
  if (!o.scores || !o.q || !o.k) return absent_line(snapshot, at.layer, target);
  const double score = double{o.scores[s]};
  if (target.part == Part::score && !shows_key_as_read(snapshot, at, target))
    return fmt::format("score({}, {}) = {}: the pass of row {} had k[{}] at new position {}", t, s,
                       number(score), t, s, used_position(d, at.layer, t, s));
  if (target.part == Part::score)
    return fmt::format("score({}, {}) = {}", t, s,
                       score_line(snapshot.setup->config(), at.head, t, s, used_distance(d, at.layer, t, s),
                                  dot(o.q, o.k, width), score));
  return fmt::format("weight({}, {}) = e^(score − log Σ e^score) = e^({} − {}) = {}", t, s, number(score),
                     number(double{o.lse}), number(double{o.probs[s]}));
}

}  // namespace

std::optional<int> new_position_of(const Snapshot& snapshot, const Selection& at, const Target& target) {
  const SideData& d = snapshot.now->side(target.side);
  if (d.new_positions.empty()) return std::nullopt;
  if (target.part == Part::q && target.row >= d.first_position) return used_position(d, target.row);
  if (target.part != Part::k) return std::nullopt;
  const std::vector<PlacedRow>& keys = d.held(at.layer).keys;
  const int index = index_of(keys, target.row);
  return index < 0 ? std::nullopt : std::optional<int>(keys[static_cast<size_t>(index)].new_position);
}

std::string new_position_text(const Snapshot& snapshot, const Selection& at, const Target& target) {
  const std::optional<int> position = new_position_of(snapshot, at, target);
  if (!position) return "";
  const SideData& d = snapshot.now->side(target.side);
  const bool read_now =
      target.part == Part::q || key_use(d, at.layer, snapshot.now->n_tokens - 1, target.row) == KeyUse::seen;
  const char* rule = snapshot.setup->config().has_rope() ? ", which RoPE uses" : ", which ALiBi uses";
  return fmt::format("{}{}", *position, read_now ? rule : ", in the last pass that read it");
}

bool shows_key_as_read(const Snapshot& snapshot, const Selection& at, const Target& cell) {
  return !snapshot.setup->config().has_rope() ||
         is_key_as_read(snapshot.now->side(cell.side), at.layer, cell.row, cell.column);
}

bool target_exists(const Snapshot& snapshot, const Target& target) {
  const int n = snapshot.now->n_tokens, width = snapshot.setup->config().head_dim;
  if (target.part == Part::none || target.row < 0 || target.row >= n) return false;
  if (target.part == Part::score || target.part == Part::weight)
    return target.column >= 0 && target.column < n;
  return target.column >= -1 && target.column < width;
}

std::string target_title(const Snapshot& snapshot, const Selection& at, const Target& target,
                         bool with_head) {
  const ModelConfig& c = snapshot.setup->config();
  const std::string word = token_label(snapshot, target.row);
  if (target.part == Part::token)
    return fmt::format("position {} · {} · token {}", target.row, word,
                       snapshot.now->tokens[static_cast<size_t>(target.row)]);
  std::string title = fmt::format("{}[{}] · {}", name_of(target.part), target.row, word);
  if (target.part == Part::score || target.part == Part::weight)
    title = fmt::format("{} of {} for {}", name_of(target.part),
                        in_quotes(token_label(snapshot, target.column)), in_quotes(word));
  title += " · " + layer_text(c, at.layer);
  if (!with_head) return title;
  if (target.part == Part::k || target.part == Part::v)
    return fmt::format("{} · K/V head {}", title, shown_kv_head(snapshot, at));
  return fmt::format("{} · head {}", title, at.head);
}

std::string target_line(const Snapshot& snapshot, const Selection& at, const Target& target) {
  const Setup& setup = *snapshot.setup;
  const SideData& d = snapshot.now->side(target.side);
  if (!d.layers[static_cast<size_t>(at.layer)].recorded)
    return "the rows of this layer are still being computed";
  switch (target.part) {
    case Part::token:
      return fmt::format("{} was read in {}", in_quotes(token_label(snapshot, target.row)),
                         step_name(setup, target.row));
    case Part::score:
    case Part::weight:
      return cell_line(snapshot, at, target);
    default: {
      const float* x =
          target.part == Part::q   ? q_row(setup, d, at.layer, at.head, target.row)
          : target.part == Part::k ? k_row(setup, d, at.layer, shown_kv_head(snapshot, at), target.row)
          : target.part == Part::v ? v_row(setup, d, at.layer, shown_kv_head(snapshot, at), target.row)
                                   : out_row(setup, d, at.layer, at.head, target.row);
      return x ? value_row_line(snapshot, at, target, x) : absent_line(snapshot, at.layer, target);
    }
  }
}

}  // namespace lastrow::view
