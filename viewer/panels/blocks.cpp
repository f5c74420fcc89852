#include "viewer/panels/blocks.h"

#include <algorithm>
#include <cmath>

#include "viewer/draw/patterns.h"

namespace lastrow::ui {
namespace {

using view::Beat;
using view::State;

/// How a row looks at this moment of the beat.
struct Look {
  State state = State::not_yet;
  State other = State::not_yet;  // the gutter fades from this state to `state`
  float blend = 1;               // 0: `other`, 1: `state`
  float opacity = 1;
  float reveal = 1;  // the part of the width that is drawn
};

Look row_look(const view::Row& row, float progress, int i, int n) {
  Look look{row.is, row.was, progress, row.opacity_was + (row.opacity - row.opacity_was) * progress, 1};
  if (row.was == row.is) {
    look.blend = 1;
    return look;
  }
  if (row.was == State::not_yet) {
    const float p = staggered(progress, i, n);
    look.other = State::not_yet;
    look.blend = 1;
    look.opacity = row.opacity;
    look.reveal = ease(p);
    if (p <= 0) look.state = State::not_yet;
  } else if (row.is == State::not_yet || row.is == State::absent || row.is == State::not_stored) {
    look.state = row.was;
    look.blend = 1;
    look.opacity = row.opacity_was * (1 - progress);
    if (progress >= 1) look.state = row.is;
  }
  return look;
}

bool has_values(State state) {
  return state == State::computed_now || state == State::again_needed || state == State::again_unused ||
         state == State::from_cache;
}

/// The values of an unused row are drawn at 40 %, its overlay in full.
float overlay_strength(const Look& look) {
  constexpr float kUnused = 0.4f;
  return look.state == State::again_unused ? std::min(1.0f, look.opacity / kUnused) : look.opacity;
}

void draw_row_gutter(Canvas& canvas, const Rect& row, const Look& look) {
  const Rect gutter{row.x0, row.y0, row.x0 + kGutter - 1, row.y1};
  const float strength = std::max(overlay_strength(look), 0.3f);
  if (look.blend < 1) draw_gutter(canvas, gutter, look.other, strength * (1 - look.blend));
  draw_gutter(canvas, gutter, look.state, strength * look.blend);
}

/// One dashed outline around neighbouring rows that are neither computed nor stored.
void draw_absent_run(Canvas& canvas, const Rect& rows) {
  canvas.dashed(rows, canvas.colors().state(State::absent), 1, 5, 4);
}

/// A row that the cache has forgotten: an outline, and a line through it.
void draw_not_stored(Canvas& canvas, const Rect& row) {
  const ImU32 color = canvas.colors().state(State::not_stored);
  canvas.frame(row, color, 1);
  if (row.height() >= 9 && row.width() >= 9) canvas.horizontal(row.x0 + 4, row.x1 - 4, row.center().y, color);
}

/// Calls run(i, j) for each run of neighbouring slots i … j that all satisfy is(slot).
template <typename Is, typename Run>
void for_runs(const view::TokenWindow& window, Is is, Run run) {
  const int end = window.n_shown();
  for (int i = 0; i < end;) {
    int j = i;
    while (j < end && is(j) && (j == i || j != window.n)) ++j;  // the pinned row stands apart
    if (j > i) run(i, j - 1);
    i = std::max(j, i + 1);
  }
}

/// From the top of the row in slot i to the bottom of the row in slot j.
Rect rows_between(const PaneLayout& layout, view::Part part, int i, int j) {
  const Rect first = layout.row(part, layout.window.position(i)),
             last = layout.row(part, layout.window.position(j));
  return {first.x0, first.y0, first.x1, last.y1};
}

/// "=" or "≈" beside a row that is the same as one step ago.
void draw_repeat(Panel& panel, const Rect& row, view::Repeat repeat) {
  if (row.height() < 11) return;
  const ImU32 color = panel.color(panel.hex().absent);
  const float x0 = row.x1 + 2, x1 = row.x1 + 8, y = row.center().y;
  if (repeat == view::Repeat::same_bits) {
    panel.canvas.horizontal(x0, x1, y - 2, color);
    panel.canvas.horizontal(x0, x1, y + 2, color);
  } else if (repeat == view::Repeat::rounding) {
    panel.canvas.text_in({row.x1 - 1, row.y0, row.x1 + 11, row.y1}, Type::small, color, "≈", Align::center);
  }
}

void draw_value_row(Panel& panel, const Rect& place, const view::ValueBlock& block, const view::Row& row,
                    int i, const Look& look) {
  if (!has_values(look.state) || look.opacity <= 0.01f) return;
  Canvas& canvas = panel.canvas;
  draw_row_gutter(canvas, place, look);
  Rect cells = place;
  cells.x0 += kGutter;
  const bool wiping = look.reveal < 1;
  if (wiping) canvas.clip({place.x0, place.y0, place.x0 + kGutter + cells.width() * look.reveal, place.y1});
  draw_values(canvas, cells,
              block.values.data() + static_cast<size_t>(i) * static_cast<size_t>(block.head_dim),
              block.head_dim, block.scale, look.opacity);
  if (look.state == State::again_unused)
    draw_diagonals(canvas, cells, canvas.colors().state(State::again_unused, overlay_strength(look)), 8, 1);
  if (wiping) canvas.unclip();
  const bool shares_stand_there = block.part == view::Part::v && panel.view.transport.beat == Beat::sum;
  if (panel.progress >= 1 && !shares_stand_there) draw_repeat(panel, place, row.repeat);
}

/// Marks rows that were poked, and rows that the tour asks the user to poke.
void draw_row_signs(Panel& panel, const PaneLayout& layout, view::Part part,
                    const std::vector<view::Row>& rows) {
  for (const view::Row& row : rows) {
    const Rect place = layout.row(part, row.position);
    if (row.asked) panel.canvas.frame_round(place.inset(-3), panel.color(panel.hex().accent), 4, 3);
    if (row.poked) draw_poked(panel.canvas, place.inset(-1));
  }
}

}  // namespace

float staggered(float progress, int i, int n) {
  if (n <= 1) return progress;
  const float start = 0.5f * static_cast<float>(i) / static_cast<float>(n - 1);
  return std::clamp((progress - start) * 2, 0.0f, 1.0f);
}

float ease(float x) { return x * x * (3 - 2 * x); }

void draw_values(Canvas& canvas, const Rect& cells, const float* values, int n, const view::ValueScale& scale,
                 float opacity) {
  const int shown = std::clamp(n, 1, std::max(1, static_cast<int>(cells.width())));
  const float width = cells.width() / static_cast<float>(shown);
  for (int c = 0; c < shown; ++c) {
    float value = 0;
    for (int d = c * n / shown; d < std::max((c + 1) * n / shown, c * n / shown + 1) && d < n; ++d)
      if (!std::isfinite(values[d]) || std::abs(values[d]) > std::abs(value)) value = values[d];
    const Rect cell{cells.x0 + static_cast<float>(c) * width, cells.y0,
                    cells.x0 + static_cast<float>(c + 1) * width, cells.y1};
    if (std::isfinite(value))
      canvas.fill(cell, canvas.colors().value(scale.at(value), opacity));
    else
      draw_broken(canvas, cell);
  }
}

void draw_value_block(Panel& panel, const PaneLayout& layout, const view::ValueBlock& block) {
  const int n = static_cast<int>(block.rows.size());
  const auto at = [&](int i) -> const view::Row& { return block.rows[static_cast<size_t>(i)]; };
  int n_new = 0, first_new = n;  // rows that appear in this beat come one after the other
  for (int i = 0; i < n; ++i)
    if (at(i).was == State::not_yet && at(i).is != State::not_yet) {
      first_new = std::min(first_new, i);
      ++n_new;
    }
  for (int i = 0; i < n; ++i)
    draw_value_row(panel, layout.row(block.part, at(i).position), block, at(i), i,
                   row_look(at(i), panel.progress, i - first_new, n_new));
  const auto is = [&](State state) {
    return [&, state](int i) {
      return at(i).is == state && (panel.progress >= 1 || at(i).was == state || state == State::computed_now);
    };
  };
  for_runs(layout.window, is(State::absent),
           [&](int i, int j) { draw_absent_run(panel.canvas, rows_between(layout, block.part, i, j)); });
  for_runs(layout.window, is(State::computed_now), [&](int i, int j) {
    const float arrived = at(i).was == State::not_yet ? staggered(panel.progress, 0, 1) : 1;
    panel.canvas.frame(rows_between(layout, block.part, i, j),
                       panel.canvas.colors().state(State::computed_now, arrived * at(i).opacity), 2);
  });
  for_runs(layout.window, is(State::not_stored), [&](int i, int j) {
    for (int slot = i; slot <= j; ++slot)
      draw_not_stored(panel.canvas, layout.row(block.part, layout.window.position(slot)));
  });
  draw_row_signs(panel, layout, block.part, block.rows);
}

void draw_cache_box(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  const auto frame = [&](float y0, float y1) {
    panel.canvas.frame_round({layout.k.x0 - 4, y0, layout.v.x1 + 3, y1},
                             panel.canvas.colors().state(State::from_cache, 0.75f), 4, 1.5f);
  };
  const auto end_of = [&](int slot) {
    return layout.row(view::Part::k, layout.window.position(slot)).y1 + 2;
  };
  // While a beat runs, a run of rows grows by those that the beat appends.
  const auto row = [&](int slot) -> const view::Row& { return pane.k.rows[static_cast<size_t>(slot)]; };
  const auto stored = [&](int slot) {
    return row(slot).stored || (panel.progress < 1 && row(slot).stored_was);
  };
  const int n = layout.window.n_shown();
  for (int i = 0; i < n;) {
    int j = i, before = -1;
    for (; j < n && stored(j); ++j)
      if (row(j).stored_was) before = j;
    if (j > i) {
      const float y0 = layout.row(view::Part::k, layout.window.position(i)).y0 - 4;
      frame(y0, std::lerp(before < 0 ? y0 : end_of(before), end_of(j - 1), ease(panel.progress)));
    }
    i = j + 1;
  }
}

namespace {

struct MatrixFill {
  const view::PaneState& pane;
  const view::MatrixBlock& block;
  bool morph;  // scores turn into weights during this beat
};

ImU32 cell_fill(const Panel& panel, const MatrixFill& fill, int row, int column, float opacity) {
  const Colors& colors = panel.canvas.colors();
  if (!fill.morph) return colors.value(fill.block.scale.at(fill.block.at(row, column)), opacity);
  const float score = fill.pane.scores.scale.at(fill.pane.scores.at(row, column));
  const float weight = fill.pane.weights.scale.at(fill.pane.weights.at(row, column));
  return colors.value(score + (weight - score) * ease(panel.progress), opacity);
}

/// How many columns of a row beat `score` has reached.
int columns_reached(const Panel& panel, const MatrixFill& fill, int row) {
  const bool sweeping = panel.view.transport.beat == Beat::score && panel.progress < 1 &&
                        fill.block.rows[static_cast<size_t>(row)].was == State::not_yet;
  return sweeping ? static_cast<int>(panel.progress * static_cast<float>(fill.block.n + 1)) : fill.block.n;
}

void draw_matrix_row(Panel& panel, const PaneLayout& layout, const MatrixFill& fill, int row,
                     const Look& look) {
  Canvas& canvas = panel.canvas;
  const int t = layout.window.position(row), n = fill.block.n, reached = columns_reached(panel, fill, row);
  Rect masked{}, shown{};  // neighbouring cells that are masked, and that have values
  float masked_strength = 0;
  const auto end_of_masked = [&] {
    if (!masked.empty()) draw_masked(canvas, masked, masked_strength);
    masked = {};
  };
  const auto end_of_shown = [&] {
    if (look.state == State::again_unused && !shown.empty())
      draw_diagonals(canvas, shown, canvas.colors().state(State::again_unused, overlay_strength(look)), 8, 1);
    shown = {};
  };
  for (int column = 0; column < reached; ++column) {
    const auto index = static_cast<size_t>(row * n + column);
    const State state = fill.block.cells[index], was = fill.block.was[index];
    const Rect cell = layout.cell(t, layout.window.position(column));
    const bool turns_masked = state == State::masked && has_values(was) && panel.progress < 1;
    if (has_values(state) || turns_masked) {
      const float opacity = look.opacity * (turns_masked ? 1 - panel.progress : 1);
      if (std::isfinite(fill.block.at(row, column)))
        canvas.fill(cell, cell_fill(panel, fill, row, column, opacity));
      else if (!turns_masked)
        draw_broken(canvas, cell);
    }
    if (state == State::not_stored) draw_not_stored(canvas, cell);
    if (has_values(state)) {
      if (shown.empty()) shown = cell;
      shown.x1 = cell.x1;
    } else {
      end_of_shown();
    }
    if (state != State::masked) {
      end_of_masked();
      continue;
    }
    if (masked.empty()) masked = cell;
    masked.x1 = cell.x1;
    masked_strength = turns_masked ? panel.progress : 0.7f;
  }
  end_of_masked();
  end_of_shown();
}

}  // namespace

void draw_matrix(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  if (pane.matrix == view::Part::none) return;
  const view::MatrixBlock& block = pane.matrix == view::Part::weight ? pane.weights : pane.scores;
  const bool morph = panel.view.transport.beat == Beat::softmax && panel.progress < 1;
  const MatrixFill fill{pane, block, morph};
  const auto at = [&](int i) -> const view::Row& { return block.rows[static_cast<size_t>(i)]; };
  for (int i = 0; i < block.n; ++i) {
    Look look = row_look(at(i), panel.progress, i, block.n);
    look.reveal = 1;
    if (!has_values(look.state) || look.opacity <= 0.01f) continue;
    draw_row_gutter(panel.canvas, layout.row(block.part, at(i).position), look);
    draw_matrix_row(panel, layout, fill, i, look);
  }
  for_runs(
      layout.window, [&](int i) { return at(i).is == State::absent; },
      [&](int i, int j) { draw_absent_run(panel.canvas, rows_between(layout, block.part, i, j)); });
  for_runs(
      layout.window, [&](int i) { return at(i).is == State::computed_now; },
      [&](int i, int j) {
        panel.canvas.frame(rows_between(layout, block.part, i, j),
                           panel.canvas.colors().state(State::computed_now, at(i).opacity), 2);
      });
}

}  // namespace lastrow::ui
