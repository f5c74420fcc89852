// Where the parts of the screen are, and how a pane is divided.
#include "viewer/panels/layout.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "viewer/draw/patterns.h"

namespace lastrow::ui {
namespace {

constexpr float kGap = 8;
constexpr float kTopHeight = 48, kTokensHeight = 64, kSentenceHeight = 40, kModelHeight = 56,
                kCostsHeight = 72, kLegendHeight = 26, kTwoLineLegend = 46, kTabsWidth = 84, kRailWidth = 40,
                kInspectorWidth = 280;
constexpr float kModelBesideTab = 800, kCostsBesideTab = 1000, kTabHeight = 208, kMostTabHeight = 320;
constexpr float kOneLineFrom = 1640;  // narrower windows need two lines for the legend
constexpr float kPopOverHeight = 190;
constexpr float kPopOverBelow = 1280;  // narrower windows have no column for the inspector

constexpr float kPadding = 12;
constexpr float kHeader = 8 + 24 + 20 + 32 + 4;  // title, sharing, two lines of block titles
constexpr float kBriefBelow = 320;
constexpr float kBriefHeader = 8 + 24 + 18 + 4;
constexpr float kFooterLine = 24, kNameLine = 15, kCaption = 16;
constexpr float kLeastBars = 18, kMostBars = 72;
constexpr float kLeastLow = 8 + kNameLine + 2 * (kCaption + kLeastBars) + 4 + kFooterLine + 6;
constexpr float kOneChartLow = 8 + kNameLine + kCaption + kLeastBars + 4 + kFooterLine + 6;
constexpr float kBadges = 62;       // what pokes changed: four lines
constexpr float kPrice = 30;        // what a cache that forgets rows changes: two lines
constexpr float kIndex = 24;        // of each row in such a cache, beside its position
constexpr float kLowShare = 0.43f;  // of the room below the header, for everything under the rows
constexpr float kMostLow = 8 + 2 * kNameLine + 2 * (kCaption + kMostBars) + 4 + kFooterLine + 6;
constexpr float kLeastRow = 13, kMostRow = 64, kPinnedGap = 8;
constexpr float kLeastColumn = 4, kMostColumn = 64;

/// The number of tokens is rounded up to a bucket, and the row height is chosen so that the bucket fills the
/// pane. So a new step rarely moves anything.
constexpr std::array<int, 8> kBuckets{4, 6, 8, 12, 16, 20, 24, 32};

constexpr float kBriefLow = 8 + kNameLine + kCaption + 52 + 4 + kFooterLine + 6;

/// Lecture mode, or a pane that an open tab has made low.
bool is_brief(const Rect& box, const view::ViewState& view) {
  return view.lecture || box.height() < kBriefBelow;
}

float header_height(bool brief) { return brief ? kBriefHeader : kHeader; }

/// The height of everything below the rows.
float low_height(const Rect& box, bool brief, bool poked, bool forgets) {
  const float badges = (poked ? kBadges + 4 : 0) + (forgets && !brief ? kPrice + 4 : 0);
  if (brief) return kBriefLow + badges;
  const float room = box.height() - kHeader;
  const float least = poked || forgets ? kOneChartLow + badges : kLeastLow;
  return std::clamp(std::floor(room * kLowShare), least, kMostLow + badges);
}

int rows_in(const Rect& box, bool brief, bool poked, bool forgets) {
  const float room =
      box.height() - header_height(brief) - low_height(box, brief, poked, forgets) - kPinnedGap;
  return std::clamp(static_cast<int>(room / kLeastRow), 2, view::kMostRows);
}

void choose_rows(PaneLayout& pane) {
  const int n = pane.window.n_shown();
  const float header = header_height(pane.brief);
  float room = pane.box.height() - header - low_height(pane.box, pane.brief, pane.poked, pane.forgets);
  pane.pinned_gap = pane.window.pinned ? kPinnedGap : 0;
  const auto bucket = std::find_if(kBuckets.begin(), kBuckets.end(), [&](int most) { return n <= most; });
  const int rows = pane.window.pinned || bucket == kBuckets.end() ? n : *bucket;
  pane.row_height = std::clamp(std::floor((room - pane.pinned_gap) / static_cast<float>(std::max(1, rows))),
                               kLeastRow, kMostRow);
  if (static_cast<float>(n) * pane.row_height > room) pane.row_height = kLeastRow;
  room = std::min(room, std::max(1.0f, static_cast<float>(rows)) * pane.row_height + pane.pinned_gap);
  pane.rows = {pane.box.x0 + kPadding, pane.box.y0 + header, pane.box.x1 - kPadding,
               pane.box.y0 + header + room};
}

/// From left to right: labels, Q, K, V, matrix.
void choose_columns(PaneLayout& pane) {
  const float inner = pane.rows.width();
  const float labels = std::clamp(std::floor(inner * 0.186f), 80.0f, 128.0f) + (pane.forgets ? kIndex : 0);
  const float gaps = 4 + 10 + 10 + 14;
  const float least_matrix = std::max(140.0f, inner * 0.36f);
  const float room = (inner - labels - gaps - least_matrix) / 3 - kGutter;  // of one block's cells
  const int head_dim = std::max(1, pane.head_dim);
  float cells = std::floor(room / static_cast<float>(head_dim)) * static_cast<float>(head_dim);
  cells = std::min(cells, 6.0f * static_cast<float>(head_dim));
  cells = std::clamp(cells, std::min(56.0f, room), std::max(56.0f, room));
  const float block = kGutter + std::floor(cells);

  Rect rest = pane.rows;
  pane.labels = rest.cut_left(labels);
  rest.cut_left(4);
  pane.q = rest.cut_left(block);
  rest.cut_left(10);
  pane.k = rest.cut_left(block);
  rest.cut_left(10);
  pane.v = rest.cut_left(block);
  rest.cut_left(14);
  pane.matrix = rest;
  const auto n = static_cast<float>(std::max(1, pane.window.n_shown()));
  const float cells_room = pane.matrix.width() - kGutter - pane.pinned_gap;
  const float fit = cells_room / n;
  pane.column_width = std::clamp(fit >= 8 ? std::floor(fit) : fit, kLeastColumn, kMostColumn);
  pane.matrix.x1 = pane.matrix.x0 + kGutter + pane.column_width * n + pane.pinned_gap;
}

void choose_lines(PaneLayout& pane) {
  Rect header{pane.rows.x0, pane.box.y0 + 8, pane.rows.x1, pane.rows.y0 - 4};
  pane.title = header.cut_top(24);
  pane.sharing = header.cut_top(pane.brief ? 0 : 20);
  pane.block_title = header;

  Rect low{pane.rows.x0, pane.rows.y1 + 8, pane.rows.x1, pane.box.y1 - 6};
  pane.footer = low.cut_bottom(kFooterLine);
  low.cut_bottom(4);
  if (pane.forgets && !pane.brief) {
    pane.price = low.cut_bottom(kPrice);
    low.cut_bottom(4);
  }
  if (pane.poked) {
    pane.badges = low.cut_bottom(kBadges);
    low.cut_bottom(4);
  }
  const float output_height = std::clamp(pane.row_height, 20.0f, 27.0f);
  pane.output = {pane.v.x0, low.y0 + 6, pane.v.x1, low.y0 + 6 + output_height};
  pane.output_title = {pane.labels.x0, pane.output.y0, pane.v.x0 - 8, pane.output.y1};
  pane.kept = {pane.labels.x0, pane.output.y1 + 8, pane.v.x1, low.y1};
  Rect charts{pane.matrix.x0, low.y0, pane.matrix.x1, low.y1};
  if (pane.brief || charts.height() < kNameLine + 2 * (kCaption + kLeastBars) - 4) {  // the weights alone
    if (pane.brief || !pane.forgets) pane.kept.y1 = pane.kept.y0;
    pane.names = charts.cut_top(kNameLine);
    pane.weight_caption = charts.cut_top(kCaption);
    pane.weight_bars = charts;
    pane.weight_caption.x1 = pane.rows.x1;
    return;
  }
  const bool two_lines = charts.height() >= 2 * (kNameLine + kCaption) + 2 * 24;
  pane.names = charts.cut_top(two_lines ? 2 * kNameLine : kNameLine);
  const float bars = std::max(1.0f, std::floor((charts.height() - 2 * kCaption) / 2));
  // The names stay at their columns if the rows do not fill their room.
  pane.names = pane.names.moved(0, pane.row(view::Part::token, pane.window.n_tokens - 1).y1 - pane.rows.y1);
  pane.score_caption = charts.cut_top(kCaption);
  pane.score_bars = charts.cut_top(bars);
  pane.weight_caption = charts.cut_top(kCaption);
  pane.weight_bars = charts.cut_top(bars);
  pane.score_caption.x1 = pane.weight_caption.x1 = pane.rows.x1;
}

PaneLayout make_pane(const Rect& box, const view::PaneState& state, const view::ViewState& view) {
  PaneLayout pane;
  pane.brief = is_brief(box, view);
  pane.poked = view.n_pokes > 0;
  pane.forgets = state.forgets;
  pane.side = state.side;
  pane.box = box;
  pane.head_dim = state.k.head_dim;
  pane.window = view.window;
  choose_rows(pane);
  choose_columns(pane);
  choose_lines(pane);
  return pane;
}

/// The bars above and below the panes; rest keeps what is between them.
void cut_bars(Layout& layout, Rect& rest, const view::ViewState& view) {
  const ImVec2 size{layout.screen.width(), layout.screen.height()};
  layout.top = rest.cut_top(kTopHeight);
  layout.tokens = rest.cut_top(kTokensHeight);
  layout.sentence = rest.cut_top(kSentenceHeight);
  layout.legend = rest.cut_bottom(size.x >= kOneLineFrom ? kLegendHeight : kTwoLineLegend);
  if (view.lecture) return;
  layout.tabs = layout.legend.cut_right(kTabsWidth + kGap);
  layout.tabs = layout.tabs.cut_bottom(kLegendHeight);
  layout.tabs.x1 -= kGap;
  const bool open = view.tab != view::Tab::none;
  if (open) {
    layout.tab =
        rest.cut_bottom(std::clamp(std::floor(size.y * 0.231f), kTabHeight, kMostTabHeight)).inset(kGap, 0);
    rest.cut_bottom(kGap);
  }
  // A low window has no room for the costs of one step beside those of all steps.
  if (!open || size.y >= kCostsBesideTab) layout.costs = rest.cut_bottom(kCostsHeight).inset(kGap, 0);
}

/// Everything but the inside of the panes.
Layout divide(ImVec2 size, const view::ViewState& view) {
  Layout layout;
  layout.screen = {0, 0, size.x, size.y};
  Rect rest = layout.screen;
  cut_bars(layout, rest, view);
  rest.cut_bottom(kGap);
  if (view.lecture) {
    rest.cut_left(kGap);
  } else {
    layout.rail = rest.cut_left(kGap + kRailWidth);
    layout.rail.x0 += kGap / 2;
  }
  rest.cut_right(kGap);
  const bool crowded = view.tab != view::Tab::none && size.y < kModelBesideTab;
  if (!view.lecture && !crowded) {
    layout.model = rest.cut_top(kModelHeight);
    rest.cut_top(kGap);
  }
  layout.inspector_pops_over = size.x < kPopOverBelow && !view.lecture;
  const float inspector = std::clamp(std::floor(size.x * 0.194f), kInspectorWidth, 360.0f);
  if (!layout.inspector_pops_over && !view.lecture) {
    layout.inspector = rest.cut_right(inspector);
    rest.cut_right(kGap);
  }
  const float width = std::floor((rest.width() - kGap) / 2);
  layout.panes[0].box = rest.cut_left(width);
  rest.cut_left(kGap);
  layout.panes[1].box = rest.cut_left(width);
  // The pop-over lies over the bars at the bottom, and leaves the rows in sight.
  if (layout.inspector_pops_over)
    layout.inspector = {kGap, size.y - kPopOverHeight, size.x - kGap, size.y - kGap};
  return layout;
}

}  // namespace

float lecture_zoom(ImVec2 size, const view::ViewState& view) {
  if (!view.lecture) return 1;
  constexpr float kLeastWidth = 896, kLeastHeight = 560, kMost = 2;
  const float fit = std::min(size.x / kLeastWidth, size.y / kLeastHeight);
  return std::clamp(std::floor(fit * 10) / 10, 1.0f, kMost);
}

Layout make_layout(ImVec2 size, const view::ViewState& view) {
  Layout layout = divide(size, view);
  for (size_t side = 0; side < 2; ++side)
    layout.panes[side] = make_pane(layout.panes[side].box, view.panes[side], view);
  return layout;
}

int rows_that_fit(ImVec2 size, const view::ViewState& view) {
  const Rect box = divide(size, view).panes[0].box;
  return rows_in(box, is_brief(box, view), view.n_pokes > 0, view.panes[0].forgets);
}

}  // namespace lastrow::ui
