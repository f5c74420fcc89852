// A user who does anything at all: commands with hostile numbers and names, keys, clicks, other window sizes,
// jumps of the clock. What it does depends on its seed alone. When work arrives depends on the machine.
//
//   RandomUser user(seed);
//   for (int i = 0; i < 1000; ++i) user.act();   throws what the viewer throws, which it never should
//   user.complaint()                             "" as long as everything holds that must always hold
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "viewer/view_model/run/controller.h"
#include "viewer_window/panels/pointed_screen.h"

namespace lastrow::ui {

class RandomUser {
 public:
  explicit RandomUser(uint64_t seed);

  /// One event, and a frame.
  void act();
  /// Waits for all work, then presses Esc until nothing is open.
  void come_to_rest();
  /// The first thing that did not hold, and the event before it.
  const std::string& complaint() const { return complaint_; }
  double longest_frame_ms() const { return longest_frame_ms_; }

 private:
  int number(int least, int most);
  bool one_in(int n) { return number(1, n) == 1; }
  int any_number();  // small, or hostile
  std::string any_model();
  std::string any_text();
  view::Target any_target();
  view::UserCommand any_command();
  KeyPress any_key();

  // ---- one function for each command with something to choose; the others are sent as they are
  template <typename T>
  void choose(T&) {}
  void choose(view::SetModel& c) { c.name = any_model(); }
  void choose(view::SetPrompt& c) { c.text = any_text(); }
  void choose(view::SetBackend& c);
  void choose(view::SetCache& c);
  void choose(view::ChangeCacheSize& c) {
    c = {one_in(2) ? view::CacheSize::rows : view::CacheSize::sinks, any_number()};
  }
  void choose(view::OpenChoices& c) { c.list = static_cast<view::ChoiceList>(number(0, 3)); }
  void choose(view::OpenPrompt& c) { c.open = one_in(2); }
  void choose(view::GoToStep& c) { c = {any_number(), one_in(4)}; }
  void choose(view::ChangeStep& c) { c.by = any_number(); }
  void choose(view::GoToBeat& c) { c.beat = static_cast<view::Beat>(number(0, view::kBeats - 1)); }
  void choose(view::ChangeBeat& c) { c.by = any_number(); }
  void choose(view::SetLayer& c) { c.layer = any_number(); }
  void choose(view::ChangeLayer& c) { c.by = any_number(); }
  void choose(view::SetHead& c) { c.head = any_number(); }
  void choose(view::ChangeHead& c) { c.by = any_number(); }
  void choose(view::Hover& c);
  void choose(view::Pin& c);
  void choose(view::SetSpeed& c);
  void choose(view::SetReducedMotion& c) { c.on = one_in(2); }
  void choose(view::OpenPokeMenu& c) { c.target = any_target(); }
  void choose(view::PokeRow& c);
  void choose(view::RestoreRow& c);
  void choose(view::SetTheme& c) { c.theme = one_in(2) ? view::Theme::light : view::Theme::dark; }
  void choose(view::ScrollTokens& c);
  void choose(view::SetSize& c) { c = {number(1024, 2600), number(700, 1500)}; }

  void move_mouse();
  void carry_out(const view::UserCommand& command);
  void frame(std::vector<KeyPress> keys = {});
  void check(bool holds, const std::string& what);
  void check_view(const view::ViewState& view);
  void check_target(const view::ViewState& view, const view::Target& target, const std::string& what);
  void check_json(const view::ViewState& view);

  std::mt19937_64 random_;
  view::Controller controller_;
  PointedScreen screen_;
  double now_ = 0, longest_frame_ms_ = 0;
  std::array<bool, 3> pressed_{};
  bool was_ready_ = false;
  std::string event_, complaint_;
};

}  // namespace lastrow::ui
