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

/// A view with as many rows of tokens as fit; `first` is the first token that is shown.
lastrow::view::ViewState state_of(int n_tokens, int head_dim, ImVec2 size = {1440, 900},
                                  int first = lastrow::view::kNewest) {
  lastrow::view::ViewState view;
  for (const Mode side : {Mode::cached, Mode::recompute}) {
    auto& pane = view.panes[static_cast<size_t>(side)];
    pane.side = side;
    pane.n_tokens = n_tokens;
    pane.k.head_dim = head_dim;
  }
  view.window = lastrow::view::window_of(n_tokens, rows_that_fit(size, view), first);
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

TEST_CASE("at 1440 × 900 eight tokens fill the pane, and the inspector has a column") {
  const Layout layout = make_layout({1440, 900}, state_of(8, 16));
  const PaneLayout& pane = layout.panes[0];
  CHECK(pane.row_height >= 32);
  CHECK(pane.q.width() >= 64);
  CHECK(pane.matrix.width() >= 180);
  CHECK(layout.inspector.width() >= 270);
  CHECK_FALSE(layout.inspector_pops_over);
  CHECK(make_layout({1024, 700}, state_of(8, 16, {1024, 700})).inspector_pops_over);
}

TEST_CASE("rows are as high as their bucket, so that a step rarely moves anything") {
  const auto height = [](int n) { return make_layout({1440, 900}, state_of(n, 16)).panes[0].row_height; };
  int heights = 1;
  for (int n = 2; n <= 20; ++n) {
    CHECK(height(n) <= height(n - 1));
    heights += height(n) != height(n - 1);
  }
  CHECK(heights <= 6);
  CHECK(height(7) == height(8));
  CHECK(height(9) == height(12));
}

TEST_CASE("rows and everything under them fill the pane at any size and length") {
  for (const ImVec2 size : kSizes)
    for (const int n : {4, 8, 16, 32, 100}) {
      CAPTURE(size.x);
      CAPTURE(n);
      const PaneLayout pane = make_layout(size, state_of(n, 16, size)).panes[0];
      const int last = pane.window.position(pane.window.n_shown() - 1);
      const float unused = pane.names.y0 - pane.row(Part::k, last).y1;
      CHECK(unused >= 0);
      CHECK(unused < 40);
      CHECK(pane.footer.y1 <= pane.box.y1);
      CHECK(pane.footer.y1 >= pane.box.y1 - 12);
      CHECK(pane.score_bars.height() >= 17);
    }
}

TEST_CASE("both panes have one shape, and everything lies inside") {
  for (const ImVec2 size : kSizes)
    for (const int n : {1, 4, 8, 9, 13, 17, 32, 33, 200})
      for (const int head_dim : {8, 16, 64, 128}) {
        CAPTURE(size.x);
        CAPTURE(n);
        CAPTURE(head_dim);
        const Layout layout = make_layout(size, state_of(n, head_dim, size));
        const PaneLayout &left = layout.panes[0], &right = layout.panes[1];
        CHECK(left.row_height == right.row_height);
        CHECK(left.q.width() == right.q.width());
        CHECK(left.matrix.width() == right.matrix.width());
        CHECK(left.rows.y0 == right.rows.y0);
        for (const PaneLayout* pane : {&left, &right}) {
          check_inside(pane->box, layout.screen);
          for (const Rect* part :
               {&pane->q, &pane->k, &pane->v, &pane->matrix, &pane->rows, &pane->output, &pane->score_bars,
                &pane->weight_bars, &pane->kept, &pane->names, &pane->footer})
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
  const PaneLayout pane = make_layout({1440, 900}, state_of(8, 16)).panes[1];
  for (int i = 0; i < 8; ++i) {
    CHECK(pane.row(Part::q, i).y0 == pane.row(Part::score, i).y0);
    CHECK(pane.row(Part::k, i).y0 == pane.row(Part::v, i).y0);
    CHECK(pane.cell(i, i).x0 < pane.column_center(i));
    CHECK(pane.cell(i, i).x1 > pane.column_center(i));
  }
}

TEST_CASE("what is under the mouse is what was drawn there") {
  for (const ImVec2 size : kSizes)
    for (const int n : {4, 8, 32, 50, 300}) {
      const Layout layout = make_layout(size, state_of(n, 16, size));
      for (const PaneLayout& pane : layout.panes)
        for (int slot = 0; slot < pane.window.n_shown(); ++slot) {
          const int t = pane.window.position(slot);
          for (const Part part : {Part::q, Part::k, Part::v})
            for (const int d : {0, 7, 15}) {
              const Target target{pane.side, part, t, d};
              CHECK(target_at(pane, Part::none, place_of(pane, target).center()) == target);
            }
          for (int column = 0; column < pane.window.n_shown(); ++column) {
            const Target target{pane.side, Part::weight, t, pane.window.position(column)};
            CHECK(target_at(pane, Part::weight, place_of(pane, target).center()) == target);
          }
        }
    }
}

TEST_CASE("rows and columns are the same tokens, and the last one is always among them") {
  for (const ImVec2 size : kSizes)
    for (const int first : {0, 17, 70, lastrow::view::kNewest}) {
      const PaneLayout pane = make_layout(size, state_of(100, 16, size, first)).panes[1];
      CHECK(pane.window.pinned);
      CHECK(pane.window.shows(99));
      const int middle = pane.window.first + pane.window.n / 2;
      CHECK(pane.cell(middle, middle).y0 == pane.row(Part::q, middle).y0);
      CHECK_FALSE(place_of(pane, {Mode::recompute, Part::k, 99, 0}).empty());
      CHECK(pane.row(Part::k, 99).y0 > pane.row(Part::k, pane.window.position(pane.window.n - 1)).y1);
    }
  const PaneLayout oldest = make_layout({1440, 900}, state_of(100, 16, {1440, 900}, 0)).panes[0];
  CHECK(place_of(oldest, {Mode::cached, Part::k, 98, 0}).empty());
}

TEST_CASE("bars show every key, merged where there are more keys than pixels") {
  for (const int n : {8, 60, 254, 4096}) {
    const PaneLayout pane = make_layout({1440, 900}, state_of(n, 16)).panes[0];
    int next = 0;
    for (int i = 0; i < pane.n_bars(); ++i) {
      const auto [first, last] = pane.keys_of_bar(i);
      CHECK(first == next);
      CHECK(last >= first);
      check_inside(pane.bar(pane.weight_bars, i), pane.box);
      next = last + 1;
    }
    CHECK(next == n);
  }
  // Eight bars stand under the eight columns.
  const PaneLayout few = make_layout({1440, 900}, state_of(8, 16)).panes[0];
  CHECK(few.bar(few.weight_bars, 3).x0 == few.column(3).x0);
}

TEST_CASE("a bar shows which tokens are shown, and there is none if all fit") {
  CHECK(scroll_bar(make_layout({1440, 900}, state_of(8, 16)).panes[0]).track.empty());
  for (const ImVec2 size : kSizes)
    for (const int n : {60, 200, 4096}) {
      const PaneLayout newest = make_layout(size, state_of(n, 16, size)).panes[0];
      const ScrollBar bar = scroll_bar(newest);
      const ScrollBar at_start = scroll_bar(make_layout(size, state_of(n, 16, size, 0)).panes[0]);
      check_inside(bar.track, newest.box);
      check_inside(bar.thumb, bar.track);
      CHECK(bar.thumb.y1 == doctest::Approx(bar.track.y1));
      CHECK(at_start.thumb.y0 == doctest::Approx(bar.track.y0));
      CHECK(bar.thumb.height() >= 16);  // large enough to be caught
    }
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
