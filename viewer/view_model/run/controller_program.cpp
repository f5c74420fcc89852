// The commands about the program itself: tour, help, theme, clipboard.
#include <utility>

#include "viewer/view_model/describe/copy_text.h"
#include "viewer/view_model/describe/target_text.h"
#include "viewer/view_model/run/controller_impl.h"
#include "viewer/view_model/script/tour.h"

namespace lastrow::view {

namespace {

template <typename... Kinds>
bool is_one_of(const Command& command) {
  return (std::holds_alternative<Kinds>(command) || ...);
}

/// Commands that change what the tour shows. The tour sets all of that itself.
bool moves_about(const Command& command) {
  return is_one_of<SetModel, SetPrompt, SetBackend, SetCache, ChangeCacheSize, NextModel, NextBackend,
                   SetTemperature, SetSeed, RunPrompt, OpenPath, GoToStep, ChangeStep, GoToBeat, ChangeBeat,
                   SetLayer, ChangeLayer, SetHead, ChangeHead, ShowPoke>(command);
}

}  // namespace

// ---- the tour

void Controller::Impl::leave_tour() {
  player.reset();
  script_sentence.clear();
  asked.reset();
}

void Controller::Impl::play_own_script() {
  script_sentence.clear();
  start_script(*own_script, own_host, false, false);
}

/// Also goes back to the user's own text, if there was one.
void Controller::Impl::leave_tour_for_good() {
  leave_tour();
  return_to_own_text();
}

void Controller::Impl::return_to_own_text() {
  const std::optional<Goal> own = std::exchange(text_before_tour, std::nullopt);
  if (!own || (own->model == first_goal.model && own->prompt == first_goal.prompt &&
               own->sampling == first_goal.sampling && own->cache == goal.cache))
    return;
  goal = *own;
  pokes.clear();
  want_goal();
  notice = Notice{"The tour is over: back to your text.", NoticeKind::info};
}

void Controller::Impl::leave_tour_for(const Command& command) {
  if (!script_running() || !script_is_tour || !moves_about(command)) return;
  leave_tour();
  text_before_tour.reset();
  notice = Notice{"You have left the tour; Enter starts it again.", NoticeKind::info};
}

std::string Controller::Impl::carry_out(const StartTour&) {
  clock.playing = false;
  pinned.reset();
  hovered.reset();
  pokes_open = false;
  if (current && !script_running()) text_before_tour = goal;
  start_script(tour_script(), nullptr, false, true);
  return "";
}

std::string Controller::Impl::carry_out(const Confirm&) {
  if (menu) return apply(PokeRow{menu->part, menu->row, Poke::Action::scramble, Poke::When::now});
  if (prompt_open) return carry_out(RunPrompt{});
  if (file_box.open) return carry_out(OpenPath{file_box.path});
  if (!script_running()) {
    if (!own_script) return apply(StartTour{});
    play_own_script();
    player->toggle_pause();
    return "";
  }
  player->skip_wait();
  return "";
}

std::string Controller::Impl::carry_out(const PreviousSentence&) {
  if (!script_running()) return refuse("no script is playing: Enter starts the tour");
  player->go_back();
  return "";
}

std::string Controller::Impl::carry_out(const Escape&) {
  if (open_choices != ChoiceList::none)
    open_choices = ChoiceList::none;
  else if (menu)
    menu.reset();
  else if (help_open)
    help_open = false;
  else if (prompt_open || file_box.open)
    close_boxes();
  else if (busy().active)
    return carry_out(CancelWork{});
  else if (notice)
    notice.reset();
  else if (script_running() && script_is_tour)
    leave_tour_for_good();
  else if (script_running() && !script_instant)
    leave_tour();
  else if (pokes_open)
    pokes_open = false;
  else if (pinned)
    pinned.reset();
  else
    tour_offered = false;
  return "";
}

// ---- the rest

std::string Controller::Impl::carry_out(const SetTheme& c) {
  theme = c.theme;
  return "";
}

std::string Controller::Impl::carry_out(const ToggleTheme&) {
  theme = theme == Theme::light ? Theme::dark : Theme::light;
  return "";
}

std::string Controller::Impl::carry_out(const ToggleHelp&) {
  help_open = !help_open;
  return "";
}

std::string Controller::Impl::carry_out(const ToggleLecture&) {
  lecture = !lecture;
  return "";
}

std::string Controller::Impl::carry_out(const CopyCell&) {
  if (!current) return refuse("there is no step to copy from yet");
  std::optional<Target> target = pinned ? pinned : hovered;
  if (target && !target_exists(*current, *target)) target.reset();
  CopiedText copied = copy_text(*current, selection(), target);
  if (!copied.error.empty()) return refuse(copied.error);
  clipboard = std::move(copied.text);
  ++clipboard_serial;
  notice = Notice{"Copied: " + copied.what, NoticeKind::info};
  return "";
}

std::string Controller::Impl::carry_out(const ShowNotice& c) {
  notice = Notice{c.text, c.error ? NoticeKind::error : NoticeKind::info};
  return "";
}

std::string Controller::Impl::carry_out(const DismissNotice&) {
  clear_notice();
  return "";
}

void Controller::Impl::clear_notice() {
  notice.reset();
  timed_notice.reset();
}

/// A notice goes away after a while, counted from the first frame that shows it.
void Controller::Impl::end_old_notice() {
  constexpr double kInfoSeconds = 4, kErrorSeconds = 12;
  if (notice != timed_notice) {
    timed_notice = notice;
    notice_since = clock.now();
  }
  if (!notice) return;
  if (clock.now() - notice_since < (notice->kind == NoticeKind::info ? kInfoSeconds : kErrorSeconds)) return;
  clear_notice();
  dirty = true;
}

}  // namespace lastrow::view
