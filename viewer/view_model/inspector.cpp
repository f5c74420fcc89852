#include "viewer/view_model/inspector.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "viewer/view_model/operands.h"
#include "viewer/view_model/text.h"

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

/// Why a row is not on the left.
std::string absent_line(const Scene& scene, const Target& target) {
  const std::string when = step_of_position(*scene.world, target.row);
  if (target.part == Part::q) return fmt::format("q[{}]: used once, in {}, then dropped", target.row, when);
  return fmt::format("{} row {}: made once, in {}, then dropped; nothing reads it again", letter(target.part),
                     target.row, when);
}

std::string value_row_line(const Scene& scene, const Selection& at, const Target& target, const float* x) {
  const int width = scene.world->config().head_dim;
  const std::string name = fmt::format("{}[{}]", letter(target.part), target.row);
  if (target.column >= 0) {
    const double value = double{x[target.column]};
    if (target.part == Part::output) {
      const int t = target.row;
      const Operands o = operands(scene, at, target.side, t, -1);
      // The two largest contributions say most; the rest is counted.
      std::vector<std::pair<double, int>> parts;
      for (int s = 0; s <= t && o.probs; ++s)
        if (const float* v = operands(scene, at, target.side, t, s).v)
          parts.emplace_back(double{o.probs[s]} * double{v[target.column]}, s);
      std::sort(parts.begin(), parts.end(),
                [](auto a, auto b) { return std::fabs(a.first) > std::fabs(b.first); });
      std::string sum;
      for (size_t i = 0; i < std::min<size_t>(2, parts.size()); ++i) {
        const int s = parts[i].second;
        sum += fmt::format("{}{}·({}) of {}", i ? " + " : "", rough(double{o.probs[s]}),
                           rough(double{operands(scene, at, target.side, t, s).v[target.column]}),
                           in_quotes(token_at(scene, s)));
      }
      if (parts.size() > 2) sum += fmt::format(" + {} more", parts.size() - 2);
      return fmt::format("output[{}][{}] = Σ weight·v = {} = {}", t, target.column, sum, number(value));
    }
    return fmt::format("{}[{}] = {}{}", name, target.column, number(value),
                       target.part == Part::v ? "" : " (after RoPE)");
  }
  const std::string size = fmt::format("root mean square {}", number(root_mean_square(x, width)));
  const int last = scene.now->n_tokens - 1;
  switch (target.part) {
    case Part::q:
      return fmt::format("{}: {}; asks all {} up to position {}", name, size, plural(target.row + 1, "key"),
                         target.row);
    case Part::k: {
      const Operands o = operands(scene, at, target.side, last, target.row);
      return o.scores ? fmt::format("{}: {}; score with q[{}] {}; used by this and every later row", name,
                                    size, last, number(double{o.scores[target.row]}))
                      : fmt::format("{}: {}", name, size);
    }
    case Part::v: {
      const Operands o = operands(scene, at, target.side, last, target.row);
      return o.probs ? fmt::format("{}: {}; weight {} in row {}; used by this and every later row", name,
                                   size, number(double{o.probs[target.row]}), last)
                     : fmt::format("{}: {}", name, size);
    }
    default:
      return fmt::format("{}: {}", name, size);
  }
}

std::string cell_line(const Scene& scene, const Selection& at, const Target& target) {
  const int t = target.row, s = target.column, width = scene.world->config().head_dim;
  if (s > t) return fmt::format("key {} comes after query {}: masked, weight exactly 0", s, t);
  const Operands o = operands(scene, at, target.side, t, s);
  if (!o.scores || !o.q || !o.k) return absent_line(scene, target);
  const double score = double{o.scores[s]};
  if (target.part == Part::score)
    return fmt::format("score({0}, {1}) = q[{0}]·k[{1}] / √{2} = {3} / {4} = {5}", t, s, width,
                       number(dot(o.q, o.k, width)), number(std::sqrt(width)), number(score));
  return fmt::format("weight({}, {}) = e^(score − log Σ e^score) = e^({} − {}) = {}", t, s, number(score),
                     number(double{o.lse}), number(double{o.probs[s]}));
}

}  // namespace

std::string step_of_position(const World& world, int position) {
  return position < world.prompt_len ? "prefill" : fmt::format("decode {}", position - world.prompt_len + 1);
}

ReadCount reads_of(const Scene& scene, Side side, Part part, int position) {
  std::set<int> readers;
  ReadCount out;
  for (const AttendRead& r : scene.reads[static_cast<size_t>(side)])
    for (int t = 0; t < r.q_len; ++t) {
      const int query = r.kv_len - r.q_len + t;
      const KeyRange keys = visible_keys(r.mask, r.q_len, r.kv_len, t);
      if (part == Part::q ? query != position : position < keys.begin || position >= keys.end) continue;
      readers.insert(query);
      ++out.times;
    }
  if (readers.empty()) return out;
  const std::string noun = readers.size() == 1 ? "query " : "queries ";
  out.readers = noun + range(*readers.begin(), *readers.rbegin());
  return out;
}

bool target_exists(const Scene& scene, const Target& target) {
  const int n = scene.now->n_tokens, width = scene.world->config().head_dim;
  if (target.part == Part::none || target.row < 0 || target.row >= n) return false;
  if (target.part == Part::score || target.part == Part::weight)
    return target.column >= 0 && target.column < n;
  return target.part == Part::token || target.column < width;
}

std::string target_title(const Scene& scene, const Selection& at, const Target& target, bool with_head) {
  const ModelConfig& c = scene.world->config();
  const std::string word = token_at(scene, target.row);
  if (target.part == Part::token)
    return fmt::format("position {} · {} · token {}", target.row, word,
                       scene.now->tokens[static_cast<size_t>(target.row)]);
  std::string title = fmt::format("{}[{}] · {}", letter(target.part), target.row, word);
  if (target.part == Part::score || target.part == Part::weight)
    title = fmt::format("{} of {} for {}", letter(target.part), in_quotes(token_at(scene, target.column)),
                        in_quotes(word));
  title += " · " + layer_text(c, at.layer);
  if (!with_head) return title;
  if (target.part == Part::k || target.part == Part::v)
    return fmt::format("{} · K/V head {}", title, kv_head_of(scene, at));
  return fmt::format("{} · head {}", title, at.head);
}

std::string target_line(const Scene& scene, const Selection& at, const Target& target) {
  const World& w = *scene.world;
  const SideData& d = scene.now->side(target.side);
  if (!d.layers[static_cast<size_t>(at.layer)].recorded)
    return "this layer was too large to record; choose a smaller model or a shorter text";
  switch (target.part) {
    case Part::token:
      return fmt::format("{} came in with {}", in_quotes(token_at(scene, target.row)),
                         step_of_position(w, target.row));
    case Part::score:
    case Part::weight:
      return cell_line(scene, at, target);
    default: {
      const float* x = target.part == Part::q   ? q_row(w, d, at.layer, at.head, target.row)
                       : target.part == Part::k ? k_row(w, d, at.layer, kv_head_of(scene, at), target.row)
                       : target.part == Part::v ? v_row(w, d, at.layer, kv_head_of(scene, at), target.row)
                                                : out_row(w, d, at.layer, at.head, target.row);
      return x ? value_row_line(scene, at, target, x) : absent_line(scene, target);
    }
  }
}

Inspector build_inspector(const Scene& scene, const Selection& at) {
  Inspector out;
  if (at.hovered && target_exists(scene, *at.hovered)) {
    out.hovered = at.hovered;
    out.hover_title = target_title(scene, at, *at.hovered);
    out.hover_line = target_line(scene, at, *at.hovered);
  }
  if (at.pinned && target_exists(scene, *at.pinned)) out.pinned = pinned_content(scene, at, *at.pinned);
  return out;
}

Crosshair build_crosshair(const Scene& scene, const Selection& at) {
  Crosshair c;
  const std::optional<Target>& target = at.hovered ? at.hovered : at.pinned;
  if (!target || !target_exists(scene, *target)) return c;
  const int last = scene.now->n_tokens - 1;
  switch (target->part) {
    case Part::q:
    case Part::output:
      c.t = target->row;
      break;
    case Part::k:
    case Part::v:
      c.t = last;
      c.s = target->row;
      c.elbow = true;
      c.elbow_to = last;
      c.elbow_text = "used by this and every later row";
      break;
    case Part::score:
    case Part::weight:
      c.t = target->row;
      c.s = target->column;
      c.elbow = target->column <= target->row;
      c.elbow_to = c.elbow ? target->row : -1;
      if (c.elbow) c.elbow_text = "used by this and every later row";
      break;
    default:
      c.t = c.s = target->row;
  }
  return c;
}

}  // namespace lastrow::view
