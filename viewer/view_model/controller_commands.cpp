// What each command does. An answer is the error, or empty.
#include <fmt/format.h>

#include <algorithm>

#include "registry/registry.h"
#include "viewer/view_model/controller_impl.h"
#include "viewer/view_model/inspector.h"

namespace lastrow::view {

namespace {

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};

/// What a user does about time and place; it leaves the tour, which sets both itself.
bool navigates(const Command& command) {
  return std::holds_alternative<SetModel>(command) || std::holds_alternative<SetPrompt>(command) ||
         std::holds_alternative<SetBackend>(command) || std::holds_alternative<NextModel>(command) ||
         std::holds_alternative<NextBackend>(command) || std::holds_alternative<GoToStep>(command) ||
         std::holds_alternative<ChangeStep>(command) || std::holds_alternative<GoToBeat>(command) ||
         std::holds_alternative<ChangeBeat>(command) || std::holds_alternative<SetLayer>(command) ||
         std::holds_alternative<ChangeLayer>(command) || std::holds_alternative<SetHead>(command) ||
         std::holds_alternative<ChangeHead>(command);
}

}  // namespace

std::string Controller::Impl::refuse(std::string error) {
  notice = Notice{error, NoticeKind::error};
  dirty = true;
  return error;
}

void Controller::Impl::want_goal() {
  worker.want(goal);
  dirty = true;
}

void Controller::Impl::want_what_is_there() {
  if (!current) return;
  const World& w = *current->world;
  goal = {w.model_name, w.prompt, w.backend, current->now->step, current->now->pokes};
}

void Controller::Impl::leave_tour_for(const Command& command) {
  if (!player || player->finished() || !script_is_tour || !navigates(command)) return;
  player.reset();
  script_sentence.clear();
  asked.reset();
  notice = Notice{"You have left the tour; Enter starts it again.", NoticeKind::info};
}

std::string Controller::Impl::apply(const Command& command) {
  dirty = true;
  const auto nothing = [](auto&&...) { return std::string(); };
  return std::visit(Overloaded{
                        [&](const SetModel& c) {
                          if (c.name.empty())
                            return refuse("no model is named: choose one of the list, a file, or random:…");
                          goal.model = c.name;
                          want_goal();
                          return nothing();
                        },
                        [&](const SetPrompt& c) { return set_prompt(c.text); },
                        [&](const SetBackend& c) {
                          goal.backend = c.name;
                          want_goal();
                          return nothing();
                        },
                        [&](const NextModel&) { return next_choice(true); },
                        [&](const NextBackend&) { return next_choice(false); },
                        [&](const OpenPrompt& c) {
                          prompt_open = c.open;
                          prompt_error.clear();
                          return nothing();
                        },
                        [&](const GoToStep& c) {
                          return go_to_step(c.last ? (current ? current->last_step : goal.step) : c.step);
                        },
                        [&](const ChangeStep& c) {
                          if (goal.step + c.by < 0) return refuse("this is the first step: the prefill");
                          return go_to_step(goal.step + c.by);
                        },
                        [&](const GoToBeat& c) { return go_to_beat(c.beat); },
                        [&](const ChangeBeat& c) { return change_beat(c.by); },
                        [&](const SetLayer& c) { return set_layer(c.layer); },
                        [&](const ChangeLayer& c) { return set_layer(std::max(0, layer + c.by)); },
                        [&](const SetHead& c) { return set_head(c.head); },
                        [&](const ChangeHead& c) { return set_head(std::max(0, head + c.by)); },
                        [&](const Hover& c) {
                          hovered = c.target;
                          return nothing();
                        },
                        [&](const Pin& c) {
                          if (c.target && current && !target_exists(*current, *c.target))
                            return refuse("there is nothing to pin at that place");
                          pinned = c.target == pinned ? std::nullopt : c.target;
                          return nothing();
                        },
                        [&](const PlayPause&) {
                          if (player && !player->finished())
                            player->toggle_pause();
                          else
                            playing = !playing;
                          return nothing();
                        },
                        [&](const SetSpeed& c) {
                          speed = std::clamp(c.speed, 0.25, 4.0);
                          return nothing();
                        },
                        [&](const SetReducedMotion& c) {
                          reduced_motion = c.on;
                          return nothing();
                        },
                        [&](const OpenPokeMenu& c) { return open_menu(c.target); },
                        [&](const ClosePokeMenu&) {
                          menu.reset();
                          return nothing();
                        },
                        [&](const PokeHere&) { return poke_here(); },
                        [&](const PokeRow& c) { return poke(c); },
                        [&](const RestoreRow& c) { return restore(c); },
                        [&](const RestoreAll&) { return restore_all(); },
                        [&](const StartTour&) { return start_tour(); },
                        [&](const Confirm&) { return confirm(); },
                        [&](const Escape&) { return escape(); },
                        [&](const SetTheme& c) {
                          theme = c.theme;
                          return nothing();
                        },
                        [&](const ToggleTheme&) {
                          theme = theme == Theme::light ? Theme::dark : Theme::light;
                          return nothing();
                        },
                        [&](const ToggleHelp&) {
                          help_open = !help_open;
                          return nothing();
                        },
                        [&](const CopyCell&) { return copy_cell(); },
                        [&](const CancelWork&) {
                          worker.cancel();
                          return nothing();
                        },
                        [&](const DismissNotice&) {
                          notice.reset();
                          return nothing();
                        },
                        // The window's own.
                        [&](const ScrollTokens&) { return nothing(); },
                        [&](const ToggleFullScreen&) { return nothing(); },
                        [&](const Screenshot&) { return nothing(); },
                        [&](const SetSize&) { return nothing(); },
                        [&](const Quit&) { return nothing(); },
                    },
                    command);
}

std::string Controller::Impl::set_prompt(const std::string& text) {
  // What can be said at once is said at once; the same check is made where the session starts.
  if (current && current->world->model_name == goal.model) {
    try {
      current->world->model->tokenizer().encode(text);
    } catch (const Error& e) {
      if (!prompt_open) return refuse(e.what());
      prompt_error = e.what();
      return e.what();
    }
  }
  prompt_error.clear();
  goal.prompt = text;
  want_goal();
  return "";
}

std::string Controller::Impl::next_choice(bool of_models) {
  std::vector<std::string> names;
  if (of_models)
    names = builtin_model_names();
  else
    for (const BackendEntry& b : list_backends())
      if (b.usable) names.push_back(b.name);
  std::string& chosen = of_models ? goal.model : goal.backend;
  if (names.empty()) return refuse("there is no other to choose");
  const auto at = std::find(names.begin(), names.end(), chosen);
  chosen = at == names.end() || at + 1 == names.end() ? names.front() : *(at + 1);
  want_goal();
  return "";
}

std::string Controller::Impl::go_to_step(int step) {
  if (step < 0) return refuse("steps begin at 0, the prefill");
  goal.step = step;
  std::erase_if(goal.pokes, [&](const Poke& p) { return p.when == Poke::When::now && p.step != step; });
  menu.reset();
  want_goal();
  return "";
}

void Controller::Impl::show_beat(Beat to, bool animate) {
  beat = beat_target = to;
  progress = animate && info(to).duration_ms > 0 && !reduced_motion ? 0.0f : 1.0f;
  beat_began = now;
  dirty = true;
}

std::string Controller::Impl::go_to_beat(Beat to) {
  playing = false;
  if (to <= beat || reduced_motion) {
    show_beat(to, to == beat);  // the same beat again is played again
    return "";
  }
  if (progress >= 1) beat_began = now;
  beat_target = to;  // the clock plays all beats up to it
  return "";
}

std::string Controller::Impl::change_beat(int by) {
  playing = false;
  const int to = static_cast<int>(beat) + by;
  if (to >= kBeats) {
    if (current && current->context_full)
      return refuse(fmt::format("the context of {} tokens is full: go back, or type a shorter prompt",
                                current->world->max_seq_len));
    beat_request = Beat::project;
    return go_to_step(goal.step + 1);
  }
  if (to < 0) {
    if (goal.step == 0) return refuse("this is the beginning: before the prefill");
    show_beat(Beat::keep, false);
    return go_to_step(goal.step - 1);
  }
  show_beat(static_cast<Beat>(to), by > 0);
  return "";
}

std::string Controller::Impl::set_layer(int to) {
  if (working() || !current) {
    layer_request = to;
    return "";
  }
  const ModelConfig& c = current->world->config();
  if (to >= c.n_layers)
    return refuse(fmt::format("there is no layer {}: {} has layers 0 to {}", to, goal.model, c.n_layers - 1));
  layer = to < 0 ? c.n_layers - 1 : to;
  menu.reset();
  return "";
}

std::string Controller::Impl::set_head(int to) {
  if (working() || !current) {
    head_request = to;
    return "";
  }
  const ModelConfig& c = current->world->config();
  if (to >= c.n_q_heads)
    return refuse(
        fmt::format("there is no head {}: {} has query heads 0 to {}", to, goal.model, c.n_q_heads - 1));
  head = to < 0 ? most_focused_head(*current->world, *current->unpoked, layer) : to;
  menu.reset();
  return "";
}

std::string Controller::Impl::start_tour() {
  tour_offered = false;
  playing = false;
  pinned.reset();
  hovered.reset();
  menu.reset();
  help_open = prompt_open = false;
  script_is_tour = true;
  script_instant = false;
  exit_code = 0;
  script_error.clear();
  script_sentence.clear();
  player = std::make_unique<ScriptPlayer>(tour_script(), *this, nullptr, false);
  return "";
}

std::string Controller::Impl::confirm() {
  if (player && !player->finished())
    player->skip_wait();
  else
    return start_tour();
  return "";
}

std::string Controller::Impl::escape() {
  if (menu)
    menu.reset();
  else if (help_open)
    help_open = false;
  else if (prompt_open)
    prompt_open = false;
  else if (notice)
    notice.reset();
  else if (player && !player->finished() && script_is_tour) {
    player.reset();
    script_sentence.clear();
    asked.reset();
  } else if (pinned)
    pinned.reset();
  else
    tour_offered = false;
  return "";
}

std::string Controller::Impl::copy_cell() {
  const std::optional<Target>& target = pinned ? pinned : hovered;
  if (!current || !target || !target_exists(*current, *target))
    return refuse("point at a cell first, or click one; then C copies it");
  clipboard =
      target_title(*current, selection(), *target) + "\n" + target_line(*current, selection(), *target);
  ++clipboard_serial;
  return "";
}

}  // namespace lastrow::view
