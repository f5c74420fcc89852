// What the window costs while nothing happens, and while the mouse moves. OpenGL draws on the CPU here, so
// every frame that is drawn without need can be measured.
#include <doctest/doctest.h>

#include "viewer_window/driving.h"

using namespace lastrow::ui;

namespace {

/// The part of a core that the viewer uses while something happens.
template <typename What>
double share_of_a_core(ViewerWindow& viewer, What what) {
  const double before = viewer.process().cpu_seconds();
  const auto start = std::chrono::steady_clock::now();
  what();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  return (viewer.process().cpu_seconds() - before) / taken.count();
}

void sleep_for(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

}  // namespace

TEST_CASE("a window in which nothing happens uses no CPU, whatever the mouse points at") {
  if (display() == nullptr) return;
  const Folder folder("window_idle");
  ViewerWindow viewer(folder, {"--step", "28"});
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  constexpr double kNothing = 0.02;  // thirty frames a second, all alike, would use more
  const auto rests = [&] {
    sleep_for(1);  // the last frames of what came before
    return share_of_a_core(viewer, [] { sleep_for(2); });
  };
  CHECK(rests() < kNothing);
  viewer.point(300, 300);  // at a cell: crosshair and numbers
  CHECK(rests() < kNothing);
  viewer.click(300, 300, 3);  // a menu
  CHECK(rests() < kNothing);
  viewer.key("Escape");
  viewer.point(20, 860);  // a button with its tooltip
  CHECK(rests() < kNothing);
}

TEST_CASE("a moving mouse uses at most 60 % of a core") {
  if (display() == nullptr) return;
#if defined(__SANITIZE_ADDRESS__) || !defined(NDEBUG)
  MESSAGE("skipped: this build is checked or not optimised");
#else
  const Folder folder("window_moves");
  ViewerWindow viewer(folder, {"--step", "250"});
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  // The window opens at its first step and computes the others; that is work of the backends, not of the mouse.
  REQUIRE(viewer.becomes([](const nlohmann::json& state) { return state["step"] == 250; }, 120));
  sleep_for(1);  // the last frames of what came before
  const double used = share_of_a_core(viewer, [&] { viewer.sweep(100, 290, 1000, 600, 4); });
  MESSAGE("a moving mouse over 254 tokens uses ", used * 100, " % of a core");
  CHECK(used < 0.6);
#endif
}
