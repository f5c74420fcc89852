// The inside of the controller: what the user wants, what is there, and what is open.
// Only controller*.cpp may include it.
//
//   apply(command)        one carry_out() per command; changes the state below and sets `dirty`
//   frame(now)            takes an outcome of the worker, moves the clock, and rebuilds a view that is dirty
//
// Only the worker's thread runs sessions; everything here belongs to the thread that draws.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "viewer/view_model/describe/cache_menu.h"
#include "viewer/view_model/describe/overview.h"
#include "viewer/view_model/describe/prompt_box.h"
#include "viewer/view_model/run/beat_clock.h"
#include "viewer/view_model/run/controller.h"
#include "viewer/view_model/run/poke_history.h"
#include "viewer/view_model/run/worker.h"
#include "viewer/view_model/script/script_player.h"

namespace lastrow::view {

struct Controller::Impl final : ScriptedViewer {
  explicit Impl(ControllerOptions options);

  // ---- controller.cpp: work and time
  Frame frame(double time);
  void take_outcome();
  void arrive(Outcome outcome);
  void no_snapshot_came(bool newest);
  void finish_work();
  void next_step_or_stop();
  void end_animation();
  void end_script();
  std::shared_ptr<const ViewState> rest();
  bool script_running() const { return player && !player->finished(); }

  // ---- controller_focus.cpp: steps that are too large to keep whole
  Focus wanted_focus() const;
  Focus focus_there() const;
  void refocus();

  // ---- controller_view.cpp: the picture
  void rebuild();
  void fill_program_state(ViewState& view) const;
  Sentence sentence() const;
  Busy busy() const;
  TourState tour() const;

  // ---- controller_*.cpp: one function per command; each returns an error, or ""
  std::string apply(const Command& command);
  std::string refuse(std::string error);  // also shows it on the screen
  void want_goal();
  void keep_place_under(const CacheOptions& cache);
  void want_what_is_there();
  void keep_pokes_on_screen();

  // controller_run.cpp: what to run
  std::string carry_out(const SetModel&);
  std::string carry_out(const SetPrompt&);
  std::string carry_out(const SetBackend&);
  std::string carry_out(const SetCache&);
  std::string carry_out(const ChangeCacheSize&);
  std::string carry_out(const NextModel&);
  std::string carry_out(const NextBackend&);
  std::string carry_out(const SetTemperature&);
  std::string carry_out(const SetSeed&);
  std::string carry_out(const CancelWork&);
  void require_readable(const std::string& prompt) const;
  // controller_boxes.cpp: what opens over the panes
  std::string carry_out(const OpenPrompt&);
  std::string carry_out(const OpenFileBox&);
  std::string carry_out(const OpenChoices&);
  std::string carry_out(const EditField&);
  std::string carry_out(const AppendWord&);
  std::string carry_out(const ChangeTemperature&);
  std::string carry_out(const RunPrompt&);
  std::string carry_out(const OpenPath&);
  void close_others(const Command& command);
  void close_boxes();
  // controller_look.cpp: where to look, and time
  std::string carry_out(const GoToStep&);
  std::string carry_out(const ChangeStep&);
  std::string carry_out(const GoToBeat&);
  std::string carry_out(const ChangeBeat&);
  std::string carry_out(const SetLayer&);
  std::string carry_out(const ChangeLayer&);
  std::string carry_out(const SetHead&);
  std::string carry_out(const ChangeHead&);
  std::string carry_out(const Hover&);
  std::string carry_out(const Pin&);
  std::string carry_out(const ScrollTokens&);
  std::string carry_out(const ScrollTo&);
  std::string carry_out(const SetRoom&);
  std::string carry_out(const PlayPause&);
  std::string carry_out(const SetSpeed&);
  std::string carry_out(const SetReducedMotion&);
  std::string go_to_step(int step);
  TokenWindow window() const;
  // controller_pokes.cpp
  std::string carry_out(const OpenPokeMenu&);
  std::string carry_out(const ClosePokeMenu&);
  std::string carry_out(const PokeHere&);
  std::string carry_out(const PokeRow&);
  std::string carry_out(const RestoreRow&);
  std::string carry_out(const RestoreAll&);
  std::string carry_out(const RemovePoke&);
  std::string carry_out(const ShowPoke&);
  std::string carry_out(const UndoPoke&);
  std::string carry_out(const RedoPoke&);
  std::string carry_out(const OpenPokes&);
  std::string pokes_changed();
  // controller_tabs.cpp
  std::string carry_out(const ShowTab&);
  std::string carry_out(const ToggleTab&);
  std::string carry_out(const SetCostQuantity&);
  std::string carry_out(const SetCostScale&);
  std::string carry_out(const HoverCost&);
  // controller_program.cpp: tour, look of the window, clipboard
  std::string carry_out(const StartTour&);
  std::string carry_out(const Confirm&);
  std::string carry_out(const PreviousSentence&);
  std::string carry_out(const Escape&);
  std::string carry_out(const SetTheme&);
  std::string carry_out(const ToggleTheme&);
  std::string carry_out(const ToggleHelp&);
  std::string carry_out(const ToggleLecture&);
  std::string carry_out(const CopyCell&);
  std::string carry_out(const ShowNotice&);
  std::string carry_out(const DismissNotice&);
  void clear_notice();
  void end_old_notice();
  void play_own_script();
  void start_script(Script script, ScriptHost* host, bool instant, bool is_tour);
  void leave_tour();
  void leave_tour_for_good();
  void return_to_own_text();
  void leave_tour_for(const Command& command);

  // ---- ScriptedViewer
  bool working() const override { return worker.busy(); }
  bool animating() const override { return clock.animating(); }
  std::string perform(const Command& command) override;
  std::string take_work_error() override;
  const Snapshot* snapshot() const override { return current ? &*current : nullptr; }
  Selection selection() const override;
  void set_sentence(const std::string& text, bool asks) override;
  void set_asked(std::optional<Target> row) override;
  uint64_t pokes_by_user() const override { return user_pokes; }
  PokeRow last_poke_by_user() const override { return user_poke; }
  std::shared_ptr<const ViewState> view_at_rest() override { return rest(); }
  size_t mark_place() override;
  void return_to_place(size_t place) override;

  // What is wanted and what is there.
  Goal goal, first_goal;
  std::optional<Goal> text_before_tour;
  PokeHistory pokes;  // want_goal() puts them into the goal, and the sessions leave out what is not active
  std::optional<Snapshot> current;
  std::optional<Beat> beat_request;  // the beat to play when the next snapshot arrives
  // What to look at when the next snapshot arrives; −1: the last layer, the most focused head.
  std::optional<int> layer_request = -1, head_request = -1;
  int layer = 0, head = 0;
  int room = kMostRows, first_token = kNewest;  // of the window of tokens

  BeatClock clock;
  double busy_since = -1;

  // What the user points at and has open.
  std::optional<Target> hovered, pinned, asked, menu;
  CostLook costs;
  bool prompt_open = false, help_open = false, tour_offered = true, pokes_open = false;
  PromptDraft draft;
  FileBox file_box;
  bool closes_when_done = false;  // the open box closes when what it asked for is on the screen
  ChoiceList open_choices = ChoiceList::none;
  CacheSizeChoice cache_sizes;  // in the list of caches
  Theme theme = Theme::light;
  bool lecture = false;
  std::optional<Notice> notice, timed_notice;  // timed_notice: on the screen since notice_since
  double notice_since = 0;
  std::string work_error, clipboard;
  uint64_t clipboard_serial = 0, user_pokes = 0;
  PokeRow user_poke;  // the last one; user_pokes counts them

  // Scripts.
  std::unique_ptr<ScriptPlayer> player;
  bool script_is_tour = false, script_instant = false;
  std::string script_sentence;
  bool script_asks = false;
  int exit_code = 0;
  std::string script_error;
  // What was shown at the sentences of the script so far.
  struct Place {
    Goal goal;
    PokeHistory pokes;
    int layer, head;
    Beat beat;
    std::optional<Target> hovered, pinned;
  };
  std::vector<Place> places;
  // The script that play() got for the window: Enter plays it again.
  std::optional<Script> own_script;
  ScriptHost* own_host = nullptr;

  OverviewCache overviews;
  bool dirty = true;  // the picture is out of date
  uint64_t revision = 0;
  std::shared_ptr<const ViewState> view = std::make_shared<ViewState>();

  Worker worker;  // last, so that its thread ends before anything else is destroyed
};

}  // namespace lastrow::view
