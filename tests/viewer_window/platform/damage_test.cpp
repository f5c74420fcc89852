// Only what has changed is drawn again, and the picture is the one that drawing everything gives.
#include "viewer/platform/damage.h"

#include <doctest/doctest.h>

#include "viewer/platform/rasterizer.h"
#include "viewer/view_model/run/controller.h"
#include "viewer_window/panels/pointed_screen.h"
#include "viewer_window/panels/states.h"

using namespace lastrow::ui;

namespace {

struct Drawn {
  const ImDrawData& data;
  AlphaTexture atlas;
};

Drawn drawn(PointedScreen& pointed) {
  ImGui::SetCurrentContext(pointed.screen().context());
  return {*ImGui::GetDrawData(), font_texture()};
}

/// What the window does: clears the places, and draws in them alone.
void draw_over(Image& picture, const Drawn& frame, const std::vector<PixelRect>& places,
               uint32_t background) {
  for (const PixelRect& place : places)
    for (int y = place.y0; y < place.y1; ++y)
      for (int x = place.x0; x < place.x1; ++x)
        for (size_t c = 0; c < 4; ++c)
          picture.pixel(x, y)[c] = static_cast<uint8_t>((background >> (8 * c)) & 255);
  const OnlyIn only(frame.data, places);
  rasterize(frame.data, frame.atlas, picture);
}

int64_t area_of(const std::vector<PixelRect>& places) {
  int64_t area = 0;
  for (const PixelRect& place : places) area += place.area();
  return area;
}

}  // namespace

TEST_CASE("the same frame again: nothing to draw; another size: everything") {
  PointedScreen pointed(1440, 900);
  const auto view = states_of_the_screen({1440, 900}).front().view;
  Damage damage;
  pointed.draw_at_rest(view);
  CHECK(damage.update(drawn(pointed).data, 1) == std::vector<PixelRect>{{0, 0, 1440, 900}});
  pointed.draw_at_rest(view);
  CHECK(damage.update(drawn(pointed).data, 1).empty());
  CHECK(damage.update(drawn(pointed).data, 2) == std::vector<PixelRect>{{0, 0, 1440, 900}});
  damage.forget();
  CHECK(damage.update(drawn(pointed).data, 2) == std::vector<PixelRect>{{0, 0, 1440, 900}});
  pointed.resize(1024, 700);
  pointed.draw_at_rest(view);
  CHECK(damage.update(drawn(pointed).data, 2) == std::vector<PixelRect>{{0, 0, 1024, 700}});
}

TEST_CASE(
    "from each state of the screen to the next: the changed places make the whole picture, bit for bit") {
  for (const int scale : {1, 2}) {
    const int width = 1440 * scale, height = 900 * scale;
    PointedScreen pointed(width, height);
    Damage damage;
    Image kept(width, height);
    int64_t drawn_pixels = 0, all_pixels = 0;
    const std::vector<NamedState> states = states_of_the_screen({1440, 900});
    for (size_t i = 0; i < states.size(); i += scale == 1 ? 1 : 9) {
      CAPTURE(states[i].name);
      pointed.draw_at_rest(states[i].view);
      const Drawn frame = drawn(pointed);
      REQUIRE(OnlyIn::possible(frame.data));
      const uint32_t background = pointed.screen().background();
      const std::vector<PixelRect>& places = damage.update(frame.data, background);
      drawn_pixels += area_of(places);
      all_pixels += int64_t{width} * height;
      draw_over(kept, frame, places, background);
      const Image whole = pointed.screen().picture();
      CHECK(kept.rgba == whole.rgba);
    }
    MESSAGE("scale ", scale, ": drawn ",
            100 * static_cast<double>(drawn_pixels) / static_cast<double>(all_pixels), " % of the pixels");
  }
}

TEST_CASE("a mouse that moves over the rows changes a small part of the screen") {
  lastrow::view::Controller controller;
  controller.settle();
  PointedScreen pointed(1440, 900);
  Damage damage;
  double largest = 0;
  for (int i = 0; i < 8; ++i) {
    controller.send(
        lastrow::view::Hover{lastrow::view::Target{lastrow::Mode::cached, lastrow::view::Part::k, i, 2 * i}});
    pointed.draw_at_rest(controller.settle());
    const auto& places = damage.update(drawn(pointed).data, 1);
    if (i > 0) largest = std::max(largest, static_cast<double>(area_of(places)) / (1440 * 900));
  }
  MESSAGE("at most ", largest * 100, " % of the pixels");
  CHECK(largest > 0);
  CHECK(largest < 0.4);
}
