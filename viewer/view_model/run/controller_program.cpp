// The commands about the program itself: tour, help, theme, clipboard.
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
  return is_one_of<SetModel, SetPrompt, SetBackend, NextModel, NextBackend, GoToStep, ChangeStep, GoToBeat,
                   ChangeBeat, SetLayer, ChangeLayer, SetHead, ChangeHead, ShowPoke>(command);
}

}  // namespace

// ---- the tour

void Controller::Impl::leave_tour() {
  player.reset();
  script_sentence.clear();
  asked.reset();
}

void Controller::Impl::leave_tour_for(const Command& command) {
  if (!script_running() || !script_is_tour || !moves_about(command)) return;
  leave_tour();
  notice = Notice{"You have left the tour; Enter starts it again.", NoticeKind::info};
}

std::string Controller::Impl::carry_out(const StartTour&) {
  clock.playing = false;
  pinned.reset();
  hovered.reset();
  menu.reset();
  help_open = prompt_open = pokes_open = false;
  start_script(tour_script(), nullptr, false, true);
  return "";
}

std::string Controller::Impl::carry_out(const Confirm&) {
  if (!script_running()) return carry_out(StartTour{});
  player->skip_wait();
  return "";
}

std::string Controller::Impl::carry_out(const Escape&) {
  if (menu)
    menu.reset();
  else if (help_open)
    help_open = false;
  else if (prompt_open)
    prompt_open = false;
  else if (notice)
    notice.reset();
  else if (script_running() && script_is_tour)
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
  const std::optional<Target>& target = pinned ? pinned : hovered;
  if (!current || !target || !target_exists(*current, *target))
    return refuse("point at a cell first, or click one; then C copies it");
  clipboard =
      target_title(*current, selection(), *target) + "\n" + target_line(*current, selection(), *target);
  ++clipboard_serial;
  return "";
}

std::string Controller::Impl::carry_out(const DismissNotice&) {
  notice.reset();
  return "";
}

}  // namespace lastrow::view
