// The tab Cost as it is drawn: the lines where the state says they are, the gap between them, and nothing of
// it while the tab is closed.
#include <doctest/doctest.h>

#include "viewer/panels/cost_tab.h"
#include "viewer/panels/screen.h"
#include "viewer/view_model/run/controller.h"

using namespace lastrow::ui;
using lastrow::Mode;
using lastrow::view::Controller;
using lastrow::view::CostCurves;
using lastrow::view::ShowTab;
using lastrow::view::Tab;

namespace {

lastrow::view::ControllerOptions at_step(int step) {
  lastrow::view::ControllerOptions options;
  options.step = step;
  return options;
}

Hex color_at(const Image& image, ImVec2 p) {
  const uint8_t* c = image.pixel(static_cast<int>(p.x), static_cast<int>(p.y));
  return static_cast<Hex>(c[0] << 16 | c[1] << 8 | c[2]);
}

/// Whether a pixel within 2 pixels of the place has exactly this colour.
bool has_near(const Image& image, ImVec2 p, Hex color) {
  for (float dx = -2; dx <= 2; ++dx)
    for (float dy = -2; dy <= 2; ++dy)
      if (color_at(image, {p.x + dx, p.y + dy}) == color) return true;
  return false;
}

CostPlotPlaces plot_in(const Layout& layout) { return cost_plot_places(cost_tab_places(layout.tab).curve); }

}  // namespace

TEST_CASE("both lines pass where the state says, and the gap between them is filled") {
  Controller controller(at_step(60));
  controller.settle();
  controller.send(ShowTab{Tab::cost});
  for (const lastrow::view::Theme theme : {lastrow::view::Theme::light, lastrow::view::Theme::dark})
    for (const ImVec2 size : {ImVec2(1440, 900), ImVec2(1024, 700), ImVec2(2560, 1440)}) {
      controller.send(lastrow::view::SetTheme{theme});
      const auto view = controller.settle();
      Screen screen(1);
      const Image image = screen.draw_picture(view, static_cast<int>(size.x), static_cast<int>(size.y));
      const CostCurves& curves = view->cost_curves;
      const CostPlotPlaces places = plot_in(make_layout(size, *view));
      const Palette& colors = palette(theme);
      for (const int step : {20, 35, 50}) {
        CAPTURE(step);
        CAPTURE(size.x);
        const auto i = static_cast<size_t>(step);
        const ImVec2 low = places.at(curves.x_of(step), curves.lines[0].heights[i]),
                     high = places.at(curves.x_of(step), curves.lines[1].heights[i]);
        CHECK(low.y > high.y);
        CHECK(has_near(image, low, cost_color(colors, Mode::cached)));
        CHECK(has_near(image, high, cost_color(colors, Mode::recompute)));
        const Hex gap = color_at(image, {high.x, (low.y * 0.35f + high.y * 0.65f)});
        CHECK(gap != colors.pane);
        CHECK_FALSE(has_near(image, {high.x, high.y - 12}, cost_color(colors, Mode::recompute)));
      }
    }
}

TEST_CASE("a closed tab is a bar and nothing else; an open tab leaves both panes whole") {
  Controller controller(at_step(4));
  auto view = controller.settle();
  for (const ImVec2 size : {ImVec2(1024, 700), ImVec2(1440, 900), ImVec2(1920, 1080), ImVec2(2560, 1440)}) {
    const Layout layout = make_layout(size, *view);
    CHECK(layout.tab.empty());
    CHECK(layout.tabs.x0 >= layout.legend.x1 - 0.01f);
    CHECK(layout.costs.y1 <= layout.tabs.y0 + 0.01f);
  }
  controller.send(ShowTab{Tab::cost});
  view = controller.settle();
  for (const ImVec2 size : {ImVec2(1024, 700), ImVec2(1440, 900), ImVec2(1920, 1080), ImVec2(2560, 1440)}) {
    const Layout layout = make_layout(size, *view);
    CHECK(layout.tab.height() >= 208);
    CHECK(layout.tab.y1 <= layout.tabs.y0 + 0.01f);
    for (const PaneLayout& pane : layout.panes) {
      CHECK(pane.box.y1 <= layout.tab.y0);
      CHECK(pane.window.n_shown() >= 1);
      CHECK(pane.weight_bars.y1 <= pane.footer.y0);
    }
    const CostTabPlaces places = cost_tab_places(layout.tab);
    CHECK(places.summary.x1 < places.curve.x0);
    CHECK(places.curve.x1 < places.roofline.x0);
    CHECK(cost_plot_places(places.curve).plot.width() >= 220);
    CHECK(cost_plot_places(places.curve).plot.height() >= 120);
  }
}

TEST_CASE("a plot of 250 × 140 pixels keeps its parts apart") {
  const CostPlotPlaces places = cost_plot_places({10, 20, 260, 160});
  CHECK(places.small);
  CHECK(places.header.y1 <= places.plot.y0);
  CHECK(places.plot.y1 <= places.x_labels.y0);
  CHECK(places.y_labels.x1 <= places.plot.x0);
  CHECK(places.plot.width() >= 180);
  CHECK(places.plot.height() >= 70);
}
