// Where things are: equal things side by side in both panes, nothing outside its box, and the place under the
// mouse is the place that was drawn.
#include <doctest/doctest.h>

#include "viewer/panels/layout.h"
#include "viewer/panels/scroll.h"
#include "viewer/panels/scrub.h"

using namespace lastrow::ui;
using lastrow::Mode;
using lastrow::view::Part;
using lastrow::view::Target;

namespace {

lastrow::view::ViewState state_of(int n_tokens, int head_dim) {
  lastrow::view::ViewState view;
  for (const Mode side : {Mode::cached, Mode::recompute}) {
    auto& pane = view.panes[static_cast<size_t>(side)];
    pane.side = side;
    pane.n_tokens = n_tokens;
    pane.k.head_dim = head_dim;
  }
  return view;
}

void check_inside(const Rect& inner, const Rect& outer) {
  CHECK(inner.x0 >= outer.x0 - 0.01f);
  CHECK(inner.y0 >= outer.y0 - 0.01f);
  CHECK(inner.x1 <= outer.x1 + 0.01f);
  CHECK(inner.y1 <= outer.y1 + 0.01f);
}

const ImVec2 kSizes[] = {{1024, 700}, {1440, 900}, {1920, 1080}, {1920, 1200}};

}  // namespace

TEST_CASE("at 1440 × 900 eight tokens have 40-pixel rows and 72-pixel blocks, as designed") {
  const Layout layout = make_layout({1440, 900}, state_of(8, 16), {});
  const PaneLayout& pane = layout.panes[0];
  CHECK(pane.row_height == 40);
  CHECK(pane.q.width() == 72);
  CHECK(pane.matrix.width() >= 160);
  CHECK(layout.inspector.width() >= 270);
  CHECK_FALSE(layout.inspector_pops_over);
  CHECK(make_layout({1024, 700}, state_of(8, 16), {}).inspector_pops_over);
}

TEST_CASE("rows are as high as their bucket, so that a step rarely moves anything") {
  const auto height = [](int n) { return make_layout({1440, 900}, state_of(n, 16), {}).panes[0].row_height; };
  for (int n = 1; n <= 8; ++n) CHECK(height(n) == 40);
  for (int n = 9; n <= 12; ++n) CHECK(height(n) == 33);
  for (int n = 13; n <= 16; ++n) CHECK(height(n) == 27);
  for (int n = 17; n <= 24; ++n) CHECK(height(n) == 18);
  for (int n = 25; n <= 32; ++n) CHECK(height(n) == 13);
}

TEST_CASE("both panes have one shape, and everything lies inside") {
  for (const ImVec2 size : kSizes)
    for (const int n : {1, 4, 8, 9, 13, 17, 32, 33, 200})
      for (const int head_dim : {8, 16, 64, 128}) {
        CAPTURE(size.x);
        CAPTURE(n);
        CAPTURE(head_dim);
        const Layout layout = make_layout(size, state_of(n, head_dim), {});
        const PaneLayout &left = layout.panes[0], &right = layout.panes[1];
        CHECK(left.row_height == right.row_height);
        CHECK(left.q.width() == right.q.width());
        CHECK(left.matrix.width() == right.matrix.width());
        CHECK(left.rows.y0 == right.rows.y0);
        for (const PaneLayout* pane : {&left, &right}) {
          check_inside(pane->box, layout.screen);
          for (const Rect* part : {&pane->q, &pane->k, &pane->v, &pane->matrix, &pane->rows, &pane->output,
                                   &pane->score_bars, &pane->weight_bars, &pane->footer})
            check_inside(*part, pane->box);
          CHECK(pane->labels.x1 <= pane->q.x0);
          CHECK(pane->q.x1 <= pane->k.x0);
          CHECK(pane->k.x1 <= pane->v.x0);
          CHECK(pane->v.x1 <= pane->matrix.x0);
          CHECK(pane->weight_bars.y1 <= pane->footer.y0);
        }
      }
}

TEST_CASE("score row t lines up with q[t], score column s with nothing but column s") {
  const PaneLayout pane = make_layout({1440, 900}, state_of(8, 16), {}).panes[1];
  for (int i = 0; i < 8; ++i) {
    CHECK(pane.row(Part::q, i).y0 == pane.row(Part::score, i).y0);
    CHECK(pane.row(Part::k, i).y0 == pane.row(Part::v, i).y0);
    CHECK(pane.cell(i, i).x0 < pane.column_center(i));
    CHECK(pane.cell(i, i).x1 > pane.column_center(i));
  }
}

TEST_CASE("what is under the mouse is what was drawn there") {
  for (const ImVec2 size : kSizes)
    for (const int n : {4, 8, 32, 50}) {
      const Layout layout = make_layout(size, state_of(n, 16), {});
      for (const PaneLayout& pane : layout.panes)
        for (int t = pane.first_row; t < pane.first_row + pane.n_rows; ++t) {
          for (const Part part : {Part::q, Part::k, Part::v})
            for (const int d : {0, 7, 15}) {
              const Target target{pane.side, part, t, d};
              CHECK(target_at(pane, Part::none, place_of(pane, target).center()) == target);
            }
          for (int s = pane.first_column; s < pane.first_column + pane.n_columns; ++s) {
            const Target target{pane.side, Part::weight, t, s};
            CHECK(target_at(pane, Part::weight, place_of(pane, target).center()) == target);
          }
        }
    }
}

TEST_CASE("beyond what fits, the newest rows are in sight until one scrolls") {
  const auto view = state_of(100, 16);
  const PaneLayout newest = make_layout({1440, 900}, view, {}).panes[0];
  CHECK(newest.first_row + newest.n_rows == 100);
  CHECK(newest.first_column + newest.n_columns == 100);
  const PaneLayout oldest = make_layout({1440, 900}, view, {.first_row = 0, .first_column = 0}).panes[0];
  CHECK(oldest.first_row == 0);
  CHECK(oldest.first_column == 0);
  CHECK(place_of(oldest, Target{Mode::cached, Part::k, 99, 0}).empty());
}

TEST_CASE("a bar shows what part is in sight, and none where everything fits") {
  CHECK(row_bar(make_layout({1440, 900}, state_of(8, 16), {}).panes[0]).track.empty());
  CHECK(column_bar(make_layout({1440, 900}, state_of(8, 16), {}).panes[0]).track.empty());
  for (const ImVec2 size : kSizes)
    for (const int n : {60, 200, 4096}) {
      const auto view = state_of(n, 16);
      const PaneLayout newest = make_layout(size, view, {}).panes[0];
      const PaneLayout oldest = make_layout(size, view, {.first_row = 0, .first_column = 0}).panes[0];
      for (const auto& [bar, at_start] :
           {std::pair{row_bar(newest), row_bar(oldest)}, std::pair{column_bar(newest), column_bar(oldest)}}) {
        check_inside(bar.track, newest.box);
        check_inside(bar.thumb, bar.track);
        CHECK(bar.thumb.x1 == doctest::Approx(bar.track.x1));
        CHECK(bar.thumb.y1 == doctest::Approx(bar.track.y1));
        CHECK(at_start.thumb.x0 == doctest::Approx(bar.track.x0));
        CHECK(at_start.thumb.y0 == doctest::Approx(bar.track.y0));
      }
      CHECK(row_bar(newest).thumb.height() >= 16);  // large enough to be caught
    }
}

TEST_CASE("keys scroll by a token, a page, or to an end, and never beyond") {
  const auto view = state_of(100, 16);
  using lastrow::view::ScrollTokens;
  using lastrow::view::ScrollUnit;
  Scroll scroll;
  const auto press = [&](ScrollTokens by) {
    scroll_by(scroll, make_layout({1440, 900}, view, scroll).panes[0], by);
    return make_layout({1440, 900}, view, scroll).panes[0];
  };
  const int last = 100 - make_layout({1440, 900}, view, {}).panes[0].n_rows;
  CHECK(press({-1, 0, ScrollUnit::token}).first_row == last - 1);
  CHECK(press({+1, 0, ScrollUnit::token}).first_row == last);
  CHECK(scroll.first_row == -1);  // follows the newest
  CHECK(press({+1, 0, ScrollUnit::page}).first_row == last);
  CHECK(press({-1, -1, ScrollUnit::all}).first_row == 0);
  CHECK(press({-1, 0, ScrollUnit::page}).first_row == 0);
  CHECK(scroll.first_column == 0);
  const int page = press({+1, 0, ScrollUnit::page}).first_row;
  CHECK(page == 100 - last - 1);  // one row of the page before stays in sight
  CHECK(press({0, +1, ScrollUnit::page}).first_column > 0);
  press({+1, +1, ScrollUnit::all});
  CHECK(scroll.first_row == -1);
  CHECK(scroll.first_column == -1);
}

TEST_CASE(
    "the scrub's labels are whole and apart, however narrow its ticks; the current step always has one") {
  const auto width_of = [](size_t i) { return i == 0 ? 38.0f : i < 10 ? 7.6f : i < 100 ? 15.3f : 22.9f; };
  for (const float unit : {44.0f, 19.0f, 17.5f, 14.0f, 8.0f, 3.0f, 0.8f})
    for (const size_t n : {1u, 2u, 10u, 11u, 40u, 250u}) {
      CAPTURE(unit);
      CAPTURE(n);
      std::vector<Rect> ticks;
      std::vector<float> widths;
      for (size_t i = 0; i < n; ++i) {
        const float x = i == 0 ? 0.0f : (1.6f + static_cast<float>(i)) * unit;
        ticks.push_back({x, 0, i == 0 ? 2.6f * unit : x + unit - (unit > 8 ? 3 : 0), 24});
        widths.push_back(width_of(i));
      }
      for (const size_t current : {size_t{0}, n / 2, n - 1}) {
        bool has_current = false;
        float end = -1e9f;
        for (const TickLabel& label : tick_labels(ticks, widths, current)) {
          CHECK(label.place.width() >= widths[label.tick]);  // nothing is cut to "…"
          CHECK(label.place.x0 >= end);
          CHECK(label.place.x0 >= 0);
          CHECK(label.place.x0 <= ticks[label.tick].center().x);
          CHECK(label.place.x1 >= ticks[label.tick].center().x);
          end = label.place.x1;
          has_current |= label.tick == current;
        }
        CHECK(has_current);
      }
    }
}
