// Everything a user can do, as plain values. Keys (keys.h), buttons, the poke menu and scripts all make these
// values, so each of them can do whatever the others can.
//
//   panel.send(ChangeStep{+1});       a button asks for the next step
//   controller.send(ChangeStep{+1});  and the controller carries it out
//
// A Command is for the controller, a WindowCommand for the program that owns the window, and a UserCommand is
// either. When the controller cannot carry out a command, it says why in a notice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "trace/poke.h"
#include "viewer/view_model/state/beat.h"
#include "viewer/view_model/state/cost_curves.h"
#include "viewer/view_model/state/target.h"
#include "viewer/view_model/state/token_window.h"

namespace lastrow::view {

// ---- what to run

/// A built-in name, a file, or random:…. The prompt stays if the new model can read it.
struct SetModel {
  std::string name;
};
/// A text that the model cannot read changes nothing and gives an error.
struct SetPrompt {
  std::string text;
};
struct SetBackend {
  std::string name;
};
/// The cache of the left side, as in --cache: window:w=4,sinks=2. The types of K and V stay.
struct SetCache {
  std::string text;
};
/// The buttons − and + beside the sizes in the list of caches. Runs again if the cache has this size.
enum class CacheSize : uint8_t { rows, sinks };
struct ChangeCacheSize {
  CacheSize size = CacheSize::rows;
  int by = 0;
};
struct NextModel {};
struct NextBackend {};
/// How tokens are chosen; 0 is greedy. A change starts the generation again.
struct SetTemperature {
  float temperature = 0;
};
struct SetSeed {
  uint64_t seed = 1;
};

// ---- what opens over the panes; only one thing is open at a time

/// Opens or closes the box for prompt, temperature and seed.
struct OpenPrompt {
  bool open = true;
};
/// Opens or closes the box for the path of a model file.
struct OpenFileBox {
  bool open = true;
};
enum class ChoiceList : uint8_t { none, models, backends, caches };
/// Opens a list of choices. The same list a second time closes it.
struct OpenChoices {
  ChoiceList list = ChoiceList::none;
};
enum class Field : uint8_t { prompt, temperature, seed, path };
/// The text of a field of an open box; it is checked at once.
struct EditField {
  Field field = Field::prompt;
  std::string text;
  bool typed = false;  // by the user, in the field itself, which therefore shows it already
};
/// A click on a word in the prompt box: appends it to the text.
struct AppendWord {
  std::string word;
};
/// The buttons − and + beside the temperature in the prompt box.
struct ChangeTemperature {
  int tenths = 0;
};
/// Enter, or the button Run, in the prompt box: runs what the fields say.
struct RunPrompt {};
/// Enter, or a click on a file, in the file box. A folder is opened in the box, a file as the model.
struct OpenPath {
  std::string path;
};

// ---- where to look; a step that has not run yet is run

struct GoToStep {
  int step = 0;       // 0 is prefill, n ≥ 1 is decode n; with new positions: a position
  bool last = false;  // true: the last step run so far
};
struct ChangeStep {
  int by = 0;
};
/// Shows the end of the beat.
struct GoToBeat {
  Beat beat = Beat::keep;
};
/// Plays the next beat; after the last beat it goes to the next step.
struct ChangeBeat {
  int by = 0;
};
struct SetLayer {
  int layer = 0;  // −1: the last
};
struct ChangeLayer {
  int by = 0;
};
struct SetHead {
  int head = 0;  // query head; −1: the head whose last row is most focused
};
struct ChangeHead {
  int by = 0;
};
/// Sent only when the target changes; nullopt when the mouse leaves.
struct Hover {
  std::optional<Target> target;
};
/// A click. The same target a second time unpins it.
struct Pin {
  std::optional<Target> target;
};

// ---- which tokens are shown, if there are more than fit (token_window.h)

enum class ScrollUnit : uint8_t { token, page, all };
struct ScrollTokens {
  int by = 0;  // −1: towards older tokens, +1: towards newer ones
  ScrollUnit unit = ScrollUnit::token;
};
/// first: the first token that is shown, or kNewest.
struct ScrollTo {
  int first = kNewest;
};
/// How many rows of tokens fit on the screen. The program that draws sends it.
struct SetRoom {
  int rows = kMostRows;
};

// ---- time

struct PlayPause {};
struct SetSpeed {
  double speed = 1;  // 0.25 … 4
};
struct SetReducedMotion {
  bool on = false;  // beats take no time
};

// ---- pokes; they change the layer and head that are shown. A poke of K or V changes the K/V head, so it changes
// what every query head of that group reads.

/// A right click on a row of Q, K or V.
struct OpenPokeMenu {
  Target target;
};
struct ClosePokeMenu {};
/// Key P: opens the menu for the hovered row, or else for the pinned row.
struct PokeHere {};
struct PokeRow {
  Part part = Part::q;
  int position = 0;
  Poke::Action action = Poke::Action::scramble;
  Poke::When when = Poke::When::now;
};
/// Undoes the poke of one row in the layer and head that are shown.
struct RestoreRow {
  Part part = Part::q;
  int position = 0;
};
struct RestoreAll {};
/// Takes one poke out of the list, wherever it is active.
struct RemovePoke {
  Poke poke;
};
/// Goes to the layer and head of a poke, and to a step where it is active.
struct ShowPoke {
  Poke poke;
};
/// Takes back the last poke or restore. The last 100 can be taken back.
struct UndoPoke {};
struct RedoPoke {};
/// Opens or closes the list of pokes.
struct OpenPokes {
  bool open = true;
};

// ---- the tab at the bottom

/// Tab::none closes it.
struct ShowTab {
  Tab tab = Tab::none;
};
/// Opens the tab, or closes it if it is open.
struct ToggleTab {
  Tab tab = Tab::cost;
};
struct SetCostQuantity {
  CostQuantity quantity = CostQuantity::flop;
};
struct SetCostScale {
  CostScale scale = CostScale::linear;
};
/// Sent only when the step changes; nullopt when the mouse leaves the curve.
struct HoverCost {
  std::optional<int> step;
};

// ---- tour, look of the window, work under way

enum class Theme : uint8_t { light, dark };

struct StartTour {};
/// Enter: scrambles the row of an open poke menu; runs what is typed in an open box; else starts the tour, or
/// goes on to its next sentence.
struct Confirm {};
/// Shift+Enter: back to the sentence before this one, with what was shown and poked then.
struct PreviousSentence {};
/// Esc: closes or ends the first of these: list, menu, help, box, work under way, notice, tour, list of
/// pokes, pin. If there is none of them, it hides the offer of the tour.
struct Escape {};
struct SetTheme {
  Theme theme = Theme::light;
};
struct ToggleTheme {};
struct ToggleHelp {};
/// Large letters for a lecture hall. Only the parts that explain the step stay.
struct ToggleLecture {};
/// Key C: puts the row or table that is pinned or hovered into ViewState::clipboard, and says so.
struct CopyCell {};
/// Shows a message of the window: "picture written to …".
struct ShowNotice {
  std::string text;
  bool error = false;
};
struct CancelWork {};
struct DismissNotice {};

using Command = std::variant<
    SetModel, SetPrompt, SetBackend, SetCache, ChangeCacheSize, NextModel, NextBackend, SetTemperature,
    SetSeed, OpenPrompt, OpenFileBox, OpenChoices, EditField, AppendWord, ChangeTemperature, RunPrompt,
    OpenPath, GoToStep, ChangeStep, GoToBeat, ChangeBeat, SetLayer, ChangeLayer, SetHead, ChangeHead, Hover,
    Pin, ScrollTokens, ScrollTo, SetRoom, PlayPause, SetSpeed, SetReducedMotion, OpenPokeMenu, ClosePokeMenu,
    PokeHere, PokeRow, RestoreRow, RestoreAll, RemovePoke, ShowPoke, UndoPoke, RedoPoke, OpenPokes, ShowTab,
    ToggleTab, SetCostQuantity, SetCostScale, HoverCost, StartTour, Confirm, PreviousSentence, Escape,
    SetTheme, ToggleTheme, ToggleHelp, ToggleLecture, CopyCell, ShowNotice, CancelWork, DismissNotice>;

/// True for commands that a moved mouse or a resized window sends, because the user has not asked for anything.
inline bool is_passive(const Command& command) {
  return std::holds_alternative<Hover>(command) || std::holds_alternative<SetRoom>(command) ||
         std::holds_alternative<HoverCost>(command);
}

// ---- the window's own commands

struct ToggleFullScreen {};
/// Writes the window to a new PNG file in the output folder.
struct Screenshot {};
/// Only scripts resize the window by command.
struct SetSize {
  int width = 0, height = 0;
};

using WindowCommand = std::variant<ToggleFullScreen, Screenshot, SetSize>;

using UserCommand = std::variant<Command, WindowCommand>;

}  // namespace lastrow::view
