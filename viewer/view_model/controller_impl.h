// The controller's inside: what the user wants, what is there, and the clock. Only controller*.cpp include
// it.
#pragma once

#include <optional>
#include <string>

#include "viewer/view_model/controller.h"
#include "viewer/view_model/overview.h"
#include "viewer/view_model/poke_story.h"
#include "viewer/view_model/script_player.h"
#include "viewer/view_model/worker.h"

namespace lastrow::view {

struct Controller::Impl final : Stagehand {
  explicit Impl(ControllerOptions options);

  // ---- controller.cpp: time, work, pictures
  Frame frame(double now);
  void take_outcome();
  void arrive(Outcome outcome);
  void advance_clock(double now);
  void end_animation();
  void settle_work();
  std::shared_ptr<const ViewState> rest();
  void rebuild();
  void fill_program_state(ViewState& view);
  void end_script();
  Sentence sentence() const;
  Busy busy() const;
  TourState tour() const;

  // ---- controller_commands.cpp, controller_pokes.cpp: one function a command; each returns an error or
  // nothing
  std::string apply(const Command& command);
  void leave_tour_for(const Command& command);
  void want_what_is_there();
  std::string refuse(std::string error);  // says so on the screen, too
  void want_goal();
  std::string set_prompt(const std::string& text);
  std::string next_choice(bool of_models);
  std::string go_to_step(int step);
  std::string go_to_beat(Beat beat);
  std::string change_beat(int by);
  void show_beat(Beat beat, bool animate);
  std::string set_layer(int layer);
  std::string set_head(int head);
  std::string open_menu(const Target& target);
  std::string poke(const PokeRow& row);
  std::string restore(const RestoreRow& row);
  std::string restore_all();
  std::string poke_here();
  std::string start_tour();
  std::string confirm();
  std::string escape();
  std::string copy_cell();

  // ---- Stagehand, for scripts
  bool working() const override { return worker.busy(); }
  bool animating() const override { return progress < 1 || beat != beat_target; }
  std::string perform(const Command& command) override;
  std::string take_work_error() override;
  const Scene* scene() const override { return current ? &*current : nullptr; }
  Selection selection() const override;
  void set_sentence(const std::string& text, bool asks) override;
  void set_asked(std::optional<Target> row) override;
  uint64_t pokes_by_user() const override { return user_pokes; }
  std::shared_ptr<const ViewState> view_at_rest() override;

  ControllerOptions options;

  // What is wanted and what is there.
  Goal goal;
  std::optional<Scene> current;
  std::optional<int> layer_request = -1,
                     head_request = -1;  // resolved when the scene arrives; −1: last, default
  std::optional<Beat> beat_request;      // to play from, when the next step arrives
  int layer = 0, head = 0;

  // Time.
  double now = 0, beat_began = 0;
  float progress = 1;
  Beat beat = Beat::keep, beat_target = Beat::keep;
  bool playing = false, reduced_motion = false;
  double speed = 1;
  double busy_since = -1;

  // What the user points at and has open.
  std::optional<Target> hovered, pinned, asked, menu;
  bool prompt_open = false, help_open = false, tour_offered = true;
  std::string prompt_error;
  Theme theme = Theme::light;
  std::optional<Notice> notice;
  std::string work_error, clipboard;
  uint64_t clipboard_serial = 0, user_pokes = 0;

  // Scripts.
  std::unique_ptr<ScriptPlayer> player;
  bool script_is_tour = false, script_instant = false;
  std::string script_sentence;
  bool script_asks = false;
  int exit_code = 0;
  std::string script_error;

  bool dirty = true;
  uint64_t revision = 0;
  std::shared_ptr<const ViewState> view = std::make_shared<ViewState>();

  Worker worker;  // last: its thread ends before anything else goes
};

}  // namespace lastrow::view
