#include "viewer/panels/scrub.h"

#include <algorithm>
#include <cmath>

namespace lastrow::ui {
namespace {

constexpr float kLabelsApart = 6;  // distance between labels that are wider than their ticks
constexpr float kMargin = 3;

void draw_labels(Panel& panel, const std::vector<Rect>& ticks) {
  const view::Transport& time = panel.view.transport;
  std::vector<float> widths;
  size_t current = 0;
  for (size_t i = 0; i < ticks.size(); ++i) {
    widths.push_back(panel.canvas.width(Type::small, time.ticks[i].label));
    if (time.ticks[i].step == time.step) current = i;
  }
  for (const TickLabel& label : tick_labels(ticks, widths, current)) {
    const bool is_current = label.tick == current;
    if (label.plate && is_current)
      panel.canvas.fill_round(label.place, panel.color(panel.hex().accent), kMargin);
    panel.canvas.text_in(label.place, Type::small,
                         panel.color(is_current ? panel.hex().on_accent : panel.hex().text),
                         time.ticks[label.tick].label, Align::center);
  }
}

}  // namespace

std::vector<TickLabel> tick_labels(std::span<const Rect> ticks, std::span<const float> widths,
                                   size_t current) {
  const auto fits = [&](size_t i) { return widths[i] <= ticks[i].width(); };
  const auto place_of = [&](size_t i) {
    if (fits(i)) return ticks[i];
    const float half = widths[i] / 2 + kMargin;
    const float x = std::max(ticks[i].center().x, ticks[0].x0 + half);  // not beyond the left end of the bar
    return Rect{x - half, ticks[i].y0, x + half, ticks[i].y1};
  };
  size_t every = 1;
  if (ticks.size() > 2 &&
      !fits(ticks.size() - 1)) {  // the last label is the widest; all ticks but the first have one width
    const float pitch = ticks[2].x0 - ticks[1].x0, needed = widths.back() + kLabelsApart;
    for (const size_t n : {2u, 5u, 10u, 20u, 50u, 100u, 200u, 500u, 1000u, 2000u}) {
      every = n;
      if (static_cast<float>(n) * pitch >= needed) break;
    }
  }
  std::vector<TickLabel> labels;
  const Rect taken = place_of(current);
  for (size_t i = 0; i < ticks.size(); ++i) {
    const Rect place = place_of(i);
    if (i != current) {
      const bool too_wide_for_its_own = i == 0 && !fits(i);  // "prefill" would cover the first steps
      const bool meets_current = place.x1 > taken.x0 && place.x0 < taken.x1;
      const bool meets_last = !labels.empty() && place.x0 < labels.back().place.x1;
      if (i % every != 0 || too_wide_for_its_own || meets_current || meets_last) continue;
    }
    labels.push_back({i, place, !fits(i)});
  }
  return labels;
}

void draw_scrub(Panel& panel, const Rect& bar) {
  const view::Transport& time = panel.view.transport;
  if (time.ticks.empty() || bar.width() < 48) return;
  constexpr float kPrefillUnits = 2.6f, kMostUnit = 44;
  const float units = kPrefillUnits + static_cast<float>(time.ticks.size() - 1);
  const float unit = std::min(kMostUnit, bar.width() / units);
  const float gap = unit > 8 ? 3.0f : unit > 4 ? 1.0f : 0.0f;
  const auto tick_start = [&](size_t i) {
    return bar.x0 + (i == 0 ? 0.0f : (kPrefillUnits + static_cast<float>(i - 1)) * unit);
  };
  const float y0 = bar.y0 + 12, y1 = bar.y1 - 12;
  std::vector<Rect> places;
  for (size_t i = 0; i < time.ticks.size(); ++i) {
    const Rect& tick = places.emplace_back(Rect{tick_start(i), y0, tick_start(i + 1) - gap, y1});
    const bool current = time.ticks[i].step == time.step;
    const Hex ground = current ? panel.hex().accent : mix(panel.hex().window, panel.hex().text, 0.12f);
    panel.canvas.fill_round(tick, panel.color(ground), std::min(3.0f, tick.width() / 2));
  }
  draw_labels(panel, places);
  const Rect all{bar.x0, bar.y0 + 8, tick_start(time.ticks.size()), bar.y1 - 8};
  const Touch touched = touch("scrub", all);
  if (!touched.hovered && !ImGui::IsItemActive()) return;
  const float x = ImGui::GetIO().MousePos.x;
  size_t i = 0;
  while (i + 1 < time.ticks.size() && x >= tick_start(i + 1)) ++i;
  if (touched.hovered)
    tooltip(panel, i == 0 ? "Prefill" : "Decode " + time.ticks[i].label,
            "reads “" + time.ticks[i].token + "”");
  if (ImGui::IsItemActive() && time.ticks[i].step != time.step)
    panel.send(view::GoToStep{time.ticks[i].step, false});
}

}  // namespace lastrow::ui
