// The six states stay apart for every kind of colour vision, and text can be read on its background.
#include <doctest/doctest.h>

#include <array>
#include <cmath>

#include "viewer/draw/theme.h"

using namespace lastrow::ui;

TEST_CASE("colour difference agrees with the published test pairs") {
  // Black and white are 100 apart, whatever the formula's hue terms do.
  CHECK(delta_e00(0x000000, 0xFFFFFF) == doctest::Approx(100).epsilon(0.001));
  CHECK(delta_e00(0x993404, 0x993404) == doctest::Approx(0));
  CHECK(delta_e00(0x993404, 0x22309A) == doctest::Approx(delta_e00(0x22309A, 0x993404)));
  // sRGB red against green and blue, as other implementations of CIEDE2000 give them.
  CHECK(delta_e00(0xFF0000, 0x00FF00) == doctest::Approx(86.61).epsilon(0.001));
  CHECK(delta_e00(0xFF0000, 0x0000FF) == doctest::Approx(52.88).epsilon(0.001));
}

TEST_CASE("colours survive the way to OKLab and back") {
  for (const Hex color : {0x000000u, 0xFFFFFFu, 0x6A3DA1u, 0x14633Fu, 0xF0501Fu, 0x808080u})
    CHECK(from_oklab(to_oklab(color)) == color);
  CHECK(mix_oklab(0x6A3DA1, 0xF5F5F3, 0) == 0x6A3DA1);
  CHECK(mix_oklab(0x6A3DA1, 0xF5F5F3, 1) == 0xF5F5F3);
  CHECK(to_oklab(0xFFFFFF).l == doctest::Approx(1).epsilon(1e-4));
}

TEST_CASE("states stay apart in protan, deutan and tritan vision") {
  using lastrow::view::State;
  constexpr double kHardToMistake = 17;
  constexpr std::array kStates{State::computed_now, State::again_needed, State::again_unused,
                               State::from_cache, State::masked};
  for (const auto theme : {lastrow::view::Theme::light, lastrow::view::Theme::dark})
    for (const Sight sight : {Sight::normal, Sight::protan, Sight::deutan, Sight::tritan})
      for (size_t a = 0; a < kStates.size(); ++a)
        for (size_t b = a + 1; b < kStates.size(); ++b) {
          const Hex first = as_seen(state_color(palette(theme), kStates[a]), sight);
          const Hex second = as_seen(state_color(palette(theme), kStates[b]), sight);
          INFO("theme ", static_cast<int>(theme), ", sight ", static_cast<int>(sight), ", states ", a,
               " and ", b);
          CHECK(delta_e00(first, second) >= kHardToMistake);
        }
}

TEST_CASE("text can be read on every ground it stands on") {
  constexpr double kReadable = 4.5;  // WCAG 2, level AA
  for (const auto theme : {lastrow::view::Theme::light, lastrow::view::Theme::dark}) {
    const Palette& p = palette(theme);
    for (const Hex ground : {p.window, p.pane, p.raised, p.hover}) {
      CHECK(contrast(p.text, ground) >= 7);
      CHECK(contrast(p.muted, ground) >= kReadable);
    }
    CHECK(contrast(p.on_accent, p.accent) >= kReadable);
    CHECK(contrast(p.error, p.pane) >= kReadable);
  }
}

TEST_CASE("a value's colour grows away from zero, and saturates at the scale") {
  for (const auto theme : {lastrow::view::Theme::light, lastrow::view::Theme::dark}) {
    const Colors colors(theme);
    CHECK(colors.value(0) == to_u32(colors.hex().zero));
    CHECK(colors.value(1) == to_u32(colors.hex().positive));
    CHECK(colors.value(-1) == to_u32(colors.hex().negative));
    CHECK(colors.value(7) == colors.value(1));
    CHECK(colors.value(0.5f) != colors.value(-0.5f));
    CHECK(colors.value(NAN) == to_u32(colors.hex().broken));
    CHECK(colors.value(1, 0) == to_u32(colors.hex().pane));  // faded out: the background
  }
}
