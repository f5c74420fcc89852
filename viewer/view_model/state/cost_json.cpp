#include "viewer/view_model/state/cost_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace lastrow::view {

namespace {

using nlohmann::json;

json line(const CostLine& l) {
  json values = json::array();
  for (const double x : l.values) values.push_back(std::isnan(x) ? json(nullptr) : json(x));
  return {{"name", l.name}, {"end", l.end_label}, {"now", l.now_label}, {"values", values}};
}

json axis(const Axis& a) {
  json ticks = json::array();
  for (const AxisTick& t : a.ticks) ticks.push_back({{"at", t.at}, {"label", t.label}});
  return {{"title", a.title}, {"ticks", ticks}};
}

json hover(const std::optional<CostHover>& h) {
  if (!h) return nullptr;
  return {{"step", h->step},
          {"title", h->title},
          {"with", h->values[0]},
          {"without", h->values[1]},
          {"ratio", h->ratio}};
}

json roofline(const RooflinePicture& r) {
  json points = json::array(), roofs = json::array();
  for (const auto& p : r.points) points.push_back(p ? json{{"x", p->x}, {"y", p->y}} : json(nullptr));
  for (const RoofLine& l : r.roofs) roofs.push_back(l.label);
  return {{"measured", r.measured}, {"sentence", r.sentence}, {"points", points}, {"roofs", roofs}};
}

}  // namespace

json cost_json(const CostCurves& c) {
  constexpr const char* kQuantities[] = {"flop", "bytes", "time"};
  return {{"quantity", kQuantities[static_cast<size_t>(c.quantity)]},
          {"scale", c.scale == CostScale::linear ? "linear" : "log"},
          {"step", c.step},
          {"last_step", c.last_step},
          {"with", line(c.lines[0])},
          {"without", line(c.lines[1])},
          {"x", axis(c.x)},
          {"y", axis(c.y)},
          {"ratio", c.ratio},
          {"caption", c.caption},
          {"hover", hover(c.hover)},
          {"roofline", roofline(c.roofline)}};
}

}  // namespace lastrow::view
