// The commands that choose where to look and how time runs: step, beat, layer, head, hover, pin, play.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "viewer/view_model/describe/strips.h"
#include "viewer/view_model/describe/target_text.h"
#include "viewer/view_model/run/controller_impl.h"

namespace lastrow::view {

namespace {

/// a + b, or the nearest int: a script may ask for any number.
int sum(int a, int b) {
  constexpr int64_t kLeast = std::numeric_limits<int>::min(), kMost = std::numeric_limits<int>::max();
  return static_cast<int>(std::clamp(int64_t{a} + b, kLeast, kMost));
}

}  // namespace

// ---- steps

std::string Controller::Impl::go_to_step(int step) {
  if (step < 0) return refuse(fmt::format("there is no step {}: steps count from 0, the prefill", step));
  goal.step = step;
  menu.reset();
  want_goal();
  return "";
}

std::string Controller::Impl::carry_out(const GoToStep& c) {
  if (!c.last) return go_to_step(c.step);
  return go_to_step(current ? current->last_step : goal.step);
}

std::string Controller::Impl::carry_out(const ChangeStep& c) {
  if (c.by < -goal.step) return refuse("this is the first step: the prefill");
  return go_to_step(sum(goal.step, c.by));
}

// ---- beats

std::string Controller::Impl::carry_out(const GoToBeat& c) {
  clock.playing = false;
  clock.play_to(c.beat);
  return "";
}

std::string Controller::Impl::carry_out(const ChangeBeat& c) {
  clock.playing = false;
  const int to = sum(static_cast<int>(clock.beat()), c.by);
  if (to >= kBeats) {
    if (current && current->context_full)
      return refuse(fmt::format("the context of {} tokens is full: go back, or type a shorter prompt",
                                current->setup->max_seq_len));
    beat_request = Beat::project;
    return go_to_step(goal.step + 1);
  }
  if (to < 0) {
    if (goal.step == 0) return refuse("this is the beginning: before the prefill");
    clock.show(Beat::keep, false);
    return go_to_step(goal.step - 1);
  }
  clock.show(static_cast<Beat>(to), c.by > 0);
  return "";
}

std::string Controller::Impl::carry_out(const PlayPause&) {
  if (script_running())
    player->toggle_pause();
  else
    clock.playing = !clock.playing;
  return "";
}

std::string Controller::Impl::carry_out(const SetSpeed& c) {
  if (std::isnan(c.speed)) return refuse("the speed is a number from 0.25 to 4");
  clock.speed = std::clamp(c.speed, 0.25, 4.0);
  return "";
}

std::string Controller::Impl::carry_out(const SetReducedMotion& c) {
  clock.reduced_motion = c.on;
  return "";
}

// ---- layer and head; while work is under way, the request waits for the next snapshot

std::string Controller::Impl::carry_out(const SetLayer& c) {
  if (working() || !current) {
    layer_request = c.layer;
    return "";
  }
  const int n_layers = current->setup->config().n_layers;
  if (c.layer >= n_layers)
    return refuse(
        fmt::format("there is no layer {}: {} has layers 0 to {}", c.layer, goal.model, n_layers - 1));
  layer = c.layer < 0 ? n_layers - 1 : c.layer;
  menu.reset();
  return "";
}

std::string Controller::Impl::carry_out(const ChangeLayer& c) {
  return carry_out(SetLayer{std::max(0, sum(layer, c.by))});
}

std::string Controller::Impl::carry_out(const SetHead& c) {
  if (working() || !current) {
    head_request = c.head;
    return "";
  }
  const int n_heads = current->setup->config().n_q_heads;
  if (c.head >= n_heads)
    return refuse(
        fmt::format("there is no head {}: {} has query heads 0 to {}", c.head, goal.model, n_heads - 1));
  head = c.head < 0 ? most_focused_head(*current->setup, *current->unpoked, layer) : c.head;
  menu.reset();
  return "";
}

std::string Controller::Impl::carry_out(const ChangeHead& c) {
  return carry_out(SetHead{std::max(0, sum(head, c.by))});
}

// ---- the mouse

std::string Controller::Impl::carry_out(const Hover& c) {
  hovered = c.target;
  if (hovered && current && !target_exists(*current, *hovered)) hovered.reset();
  return "";
}

std::string Controller::Impl::carry_out(const Pin& c) {
  if (c.target && current && !target_exists(*current, *c.target))
    return refuse("there is nothing to pin here");
  pinned = c.target == pinned ? std::nullopt : c.target;
  return "";
}

// ---- the window of tokens

TokenWindow Controller::Impl::window() const {
  return window_of(current ? current->now->n_tokens : 0, room, first_token);
}

std::string Controller::Impl::carry_out(const ScrollTokens& c) {
  const TokenWindow now = window();
  if (now.whole()) return refuse("there is nothing to scroll: all tokens are shown");
  const int step = c.unit == ScrollUnit::all    ? now.n_tokens
                   : c.unit == ScrollUnit::page ? std::max(1, now.n - 1)
                                                : 1;
  // In 64 bits, because a script may ask for any number.
  const int64_t to = now.first + int64_t{c.by} * step;
  return carry_out(ScrollTo{static_cast<int>(std::clamp<int64_t>(to, 0, now.last_first()))});
}

/// At the end the window follows the newest token.
std::string Controller::Impl::carry_out(const ScrollTo& c) {
  const bool at_end = c.first < 0 || (current && c.first >= window().last_first());
  first_token = at_end ? kNewest : c.first;
  return "";
}

std::string Controller::Impl::carry_out(const SetRoom& c) {
  room = c.rows;
  return "";
}

}  // namespace lastrow::view
