#include "viewer_window/panels/random_user.h"

#include <fmt/format.h>

#include <chrono>
#include <climits>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "viewer/view_model/state/key_bindings.h"
#include "viewer/view_model/state/state_json.h"

namespace lastrow::ui {
namespace {

constexpr const char* kSmall = "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=32,context=20,seed=5";

view::ControllerOptions small() {
  view::ControllerOptions options;
  options.model = kSmall;
  options.prompt = "a b c";
  options.step = 2;
  return options;
}

/// The default value of alternative `index` of a variant, visited by `choose`.
template <typename Variant, typename Choose, size_t... i>
Variant alternative(size_t index, Choose choose, std::index_sequence<i...>) {
  Variant made;
  ((i == index ? (choose(made.template emplace<i>()), 0) : 0), ...);
  return made;
}
template <typename Variant, typename Choose>
Variant alternative(size_t index, Choose choose) {
  return alternative<Variant>(index, choose, std::make_index_sequence<std::variant_size_v<Variant>>());
}

}  // namespace

RandomUser::RandomUser(uint64_t seed) : random_(seed), controller_(small()), screen_(1440, 900) {
  controller_.settle();
  frame();
}

// ---- what to do

int RandomUser::number(int least, int most) {
  return least + static_cast<int>(random_() % static_cast<uint64_t>(most - least + 1));
}

int RandomUser::any_number() {
  constexpr int kHostile[] = {INT_MIN, INT_MAX, -1, INT_MIN + 1, 1 << 20, -1000};
  return one_in(8) ? kHostile[number(0, 5)] : number(-3, 12);
}

std::string RandomUser::any_model() {
  constexpr const char* kNames[] = {
      kSmall,
      kSmall,
      kSmall,
      "random:layers=1,q_heads=1,kv_heads=1,head_dim=2,vocab=8,context=4,seed=1",
      "random:layers=3,q_heads=6,kv_heads=1,head_dim=16,vocab=64,context=40,arch=gpt2,seed=2",
      "",
      "no such model",
      "random:layers=0",
      "random:layers=99999999999999",
      "/nowhere/model.safetensors",
      "random:head_dim=7,q_heads=3,kv_heads=2"};
  return kNames[number(0, static_cast<int>(std::size(kNames)) - 1)];
}

std::string RandomUser::any_text() {
  constexpr const char* kTexts[] = {"a b c",    "a",       "",         "   ",    "the quick brown fox",
                                    "\xff\xfe", "a\nb\tc", "t1 t2 t3", "é ∞ 漢", "%s%n{}{0}"};
  std::string text = kTexts[number(0, static_cast<int>(std::size(kTexts)) - 1)];
  if (one_in(20)) text = std::string(static_cast<size_t>(number(1, 9000)), 'a');
  return text;
}

view::Target RandomUser::any_target() {
  return {one_in(2) ? Mode::cached : Mode::recompute, static_cast<view::Part>(number(0, 7)), any_number(),
          any_number()};
}

void RandomUser::choose(view::SetBackend& c) {
  constexpr const char* kNames[] = {"eigen", "naive", "naive", "", "no such backend", "cuda", "eigen:k05"};
  c.name = kNames[number(0, static_cast<int>(std::size(kNames)) - 1)];
}
void RandomUser::choose(view::SetCache& c) {
  constexpr const char* kNames[] = {"contiguous",
                                    "contiguous:window=3,sinks=1",
                                    "paged:block=4",
                                    "window:w=3,block=1",
                                    "window:w=4,sinks=2,block=2",
                                    "window",
                                    "budget:rows=4,policy=heavy",
                                    "budget:rows=1",
                                    "budget:rows=5,policy=random",
                                    "",
                                    "no such cache",
                                    "budget:rows=-1",
                                    "paged:block=1000"};
  c.text = kNames[number(0, static_cast<int>(std::size(kNames)) - 1)];
}
void RandomUser::choose(view::Hover& c) {
  if (!one_in(4)) c.target = any_target();
}
void RandomUser::choose(view::Pin& c) {
  if (!one_in(4)) c.target = any_target();
}
void RandomUser::choose(view::SetSpeed& c) {
  constexpr double kSpeeds[] = {1,
                                4,
                                0.25,
                                0,
                                -1,
                                1e300,
                                std::numeric_limits<double>::infinity(),
                                std::numeric_limits<double>::quiet_NaN()};
  c.speed = kSpeeds[number(0, static_cast<int>(std::size(kSpeeds)) - 1)];
}
void RandomUser::choose(view::PokeRow& c) {
  c = {static_cast<view::Part>(number(0, 7)), any_number(),
       one_in(2) ? Poke::Action::scramble : Poke::Action::zero,
       one_in(2) ? Poke::When::now : Poke::When::since};
}
void RandomUser::choose(view::RestoreRow& c) {
  c.part = static_cast<view::Part>(number(0, 7));
  c.position = any_number();
}
void RandomUser::choose(view::ScrollTokens& c) {
  c = {any_number(), static_cast<view::ScrollUnit>(number(0, 2))};
}

view::UserCommand RandomUser::any_command() {
  const auto any = [this](auto& command) { choose(command); };
  if (one_in(10)) {
    constexpr int kLast = static_cast<int>(std::variant_size_v<view::WindowCommand>) - 1;
    return alternative<view::WindowCommand>(static_cast<size_t>(number(0, kLast)), any);
  }
  constexpr int kLast = static_cast<int>(std::variant_size_v<view::Command>) - 1;
  auto command = alternative<view::Command>(static_cast<size_t>(number(0, kLast)), any);
  // Built-in models and the emulator take long; a few of them are enough.
  const bool slow = std::holds_alternative<view::NextModel>(command) ||
                    std::holds_alternative<view::NextBackend>(command) ||
                    std::holds_alternative<view::StartTour>(command);
  if (slow && !one_in(10)) return view::Command(view::SetModel{kSmall});
  return command;
}

KeyPress RandomUser::any_key() {
  if (one_in(3)) {
    KeyPress press{.character = static_cast<char>(number('!', '~'))};
    press.ctrl = one_in(4);
    const bool slow = press.character == 'm' || press.character == 'b';
    return slow && !one_in(10) ? KeyPress{.key = view::Key::escape} : press;
  }
  return {.key = static_cast<view::Key>(number(1, static_cast<int>(view::Key::f11))),
          .shift = one_in(3),
          .ctrl = one_in(4)};
}

void RandomUser::move_mouse() {
  const ImVec2 size = screen_.size();
  if (one_in(10)) return screen_.point({});
  screen_.point(ImVec2{static_cast<float>(number(-5, static_cast<int>(size.x) + 5)),
                       static_cast<float>(number(-5, static_cast<int>(size.y) + 5))});
}

void RandomUser::act() {
  constexpr double kTimes[] = {0, 1.0 / 60, 1.0 / 60, 0.3, 2, 3600};
  now_ += kTimes[number(0, 5)];
  std::vector<KeyPress> keys;
  switch (number(0, 9)) {
    case 0:
    case 1:
    case 2:
    case 3: {
      const view::UserCommand command = any_command();
      const auto* c = std::get_if<view::Command>(&command);
      event_ = fmt::format("command {}", c != nullptr ? c->index() : 1000 + command.index());
      carry_out(command);
      break;
    }
    case 4:
      keys.push_back(any_key());
      if (one_in(4)) keys.push_back(any_key());
      event_ = fmt::format("key {} '{}'", static_cast<int>(keys[0].key), keys[0].character);
      break;
    case 5:
    case 6:
      event_ = "mouse";
      move_mouse();
      break;
    case 7: {
      const int button = number(0, 2);
      bool& down = pressed_[static_cast<size_t>(button)];
      down = !down;
      event_ = fmt::format("button {} {}", button, down);
      screen_.press(button, down);
      if (one_in(2)) move_mouse();
      break;
    }
    case 8:
      event_ = "wheel";
      screen_.wheel(static_cast<float>(number(-2, 2)), static_cast<float>(number(-3, 3)));
      break;
    default:
      event_ = "size";
      if (one_in(3)) screen_.resize(number(640, 3000), number(480, 1700));
      break;
  }
  frame(keys);
  if (one_in(40)) come_to_rest();
}

void RandomUser::carry_out(const view::UserCommand& command) {
  if (const auto* for_controller = std::get_if<view::Command>(&command))
    return controller_.send(*for_controller);
  const auto& for_window = std::get<view::WindowCommand>(command);
  if (const auto* size = std::get_if<view::SetSize>(&for_window)) screen_.resize(size->width, size->height);
  if (std::holds_alternative<view::Screenshot>(for_window))
    controller_.send(view::ShowNotice{"Picture written", false});
}

// ---- what must hold

void RandomUser::frame(std::vector<KeyPress> keys) {
  const auto start = std::chrono::steady_clock::now();
  const view::Frame frame = controller_.frame(now_);
  std::vector<view::UserCommand> commands;
  screen_.draw(frame, commands, keys);
  const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
  longest_frame_ms_ = std::max(longest_frame_ms_, taken.count());
  check_view(*frame.view);
  check(frame.progress >= 0 && frame.progress <= 1, fmt::format("progress {}", frame.progress));
  for (const view::UserCommand& command : commands) carry_out(command);
  if (one_in(10)) check_json(*frame.view);
}

void RandomUser::check(bool holds, const std::string& what) {
  if (!holds && complaint_.empty()) complaint_ = fmt::format("{} (after {})", what, event_);
}

void RandomUser::check_target(const view::ViewState& view, const view::Target& target,
                              const std::string& what) {
  check(target.row >= 0 && target.row < view.n_tokens,
        fmt::format("{}: row {} of {}", what, target.row, view.n_tokens));
  const bool cell = target.part == view::Part::score || target.part == view::Part::weight;
  check(target.column < (cell ? view.n_tokens : view.head_dim),
        fmt::format("{}: column {}", what, target.column));
}

void RandomUser::check_view(const view::ViewState& view) {
  check(view.ready || !was_ready_, "it was ready, and is no longer ready");
  was_ready_ = view.ready;
  if (!view.ready) return;
  const view::Transport& time = view.transport;
  check(time.step >= 0 && time.step <= time.last_step, "the step is not among those run");
  check(time.ticks.size() == static_cast<size_t>(time.last_step) + 1, "not a tick for each step");
  check(time.speed >= 0.25 && time.speed <= 4, fmt::format("speed {}", time.speed));
  check(view.layer >= 0 && view.layer < view.n_layers, "no such layer");
  check(view.head >= 0 && view.head < view.heads.n_q_heads, "no such head");
  check(view.n_tokens > 0 && view.n_tokens <= view.max_seq_len, "too many tokens");
  for (const view::PaneState& pane : view.panes) {
    check(pane.n_tokens == view.n_tokens, "a pane has other tokens");
    check(pane.decides_row >= 0 && pane.decides_row < pane.n_tokens, "no row decides");
  }
  if (view.inspector.hovered) check_target(view, *view.inspector.hovered, "hovered");
  if (view.inspector.pinned) check_target(view, view.inspector.pinned->target, "pinned");
  if (view.poke_menu) check_target(view, view.poke_menu->target, "menu");
}

void RandomUser::check_json(const view::ViewState& view) {
  check(nlohmann::json::accept(view::to_json(view)), "the state as JSON cannot be read");
}

void RandomUser::come_to_rest() {
  controller_.send(view::CancelWork{});
  if (one_in(2)) controller_.send(view::SetModel{kSmall});
  controller_.send(view::SetBackend{one_in(4) ? "naive" : "eigen"});
  auto view = controller_.settle();
  check(!view->busy.active, "it is busy, though all work is done");
  check_view(*view);
  check_json(*view);
  constexpr int kMostOpen = 10;
  for (int i = 0; i < kMostOpen; ++i) controller_.send(view::Escape{});
  view = controller_.settle();
  check(!view->poke_menu && !view->help_open && !view->prompt_box.open && !view->notice &&
            !view->tour.active && !view->inspector.pinned,
        "ten times Esc leaves something open");
}

}  // namespace lastrow::ui
