// Every action of the user. Keys (keys.h), buttons, tooltips, the menu of pokes and scripts all make these,
// so that what one way can do, all can.
//
//   controller.send(ChangeStep{+1});                       from a panel
//
// Commands are plain values; the controller says in a notice why one could not be carried out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "viewer/view_model/beat.h"
#include "viewer/view_model/pane_state.h"

namespace lastrow::view {

/// A place in a pane. row: t for q, score, weight, output; s for k and v; the position for token.
/// column: s of a score or weight cell; d within a value row; −1: the whole row.
struct Target {
  Side side = Side::cached;
  Part part = Part::none;
  int row = 0;
  int column = -1;
  bool operator==(const Target&) const = default;
};

enum class Theme : uint8_t { light, dark };
enum class PokeAction : uint8_t { scramble, zero };
enum class PokeScope : uint8_t { now, since };  // only this step; since the row's own step

// What to run.
struct SetModel {
  std::string name;
};  // built-in name, file, or random:…; keeps the prompt if it can
struct SetPrompt {
  std::string text;
};  // an unknown or empty text leaves all as it was, with an error
struct SetBackend {
  std::string name;
};
struct NextModel {};
struct NextBackend {};
struct OpenPrompt {
  bool open = true;
};  // the input box; Enter in it sends SetPrompt, Esc OpenPrompt{false}

// Where to look. Step 0 is prefill, step n ≥ 1 is decode n. A step that has not been run yet is run.
struct GoToStep {
  int step = 0;
  bool last = false;
};  // last: the last one already run
struct ChangeStep {
  int by = 0;
};
struct GoToBeat {
  Beat beat = Beat::keep;
};  // shows the end of that beat
struct ChangeBeat {
  int by = 0;
};  // plays the next beat; past the last one goes to the next step
struct SetLayer {
  int layer = 0;
};  // −1: the last
struct ChangeLayer {
  int by = 0;
};
struct SetHead {
  int head = 0;
};  // query head; −1: the default, whose last row is most focused
struct ChangeHead {
  int by = 0;
};
struct Hover {
  std::optional<Target> target;
};  // send on change only; nullopt when the mouse leaves
struct Pin {
  std::optional<Target> target;
};  // click; the same target again unpins

// Time.
struct PlayPause {};
struct SetSpeed {
  double speed = 1;
};  // 0.25 … 4
struct SetReducedMotion {
  bool on = false;
};  // beats take no time

// Pokes act on the layer and head on show; K and V on the K/V head, so on all that share it.
struct OpenPokeMenu {
  Target target;
};  // right click; target.part q, k or v
struct ClosePokeMenu {};
struct PokeHere {};  // key P: the menu for the hovered, else the pinned row, else asks
struct PokeRow {
  Part part = Part::q;
  int position = 0;
  PokeAction action = PokeAction::scramble;
  PokeScope scope = PokeScope::now;
};
struct RestoreRow {
  Part part = Part::q;
  int position = 0;
};  // in this layer and head
struct RestoreAll {};

// The rest.
struct StartTour {};
struct Confirm {};  // Enter: starts the tour, or its next line
struct Escape {};   // closes menu, help, input, pin; else ends tour; else hides the offer
struct SetTheme {
  Theme theme = Theme::light;
};
struct ToggleTheme {};
struct ToggleHelp {};
struct CopyCell {};  // C: the controller puts the text into ViewState::clipboard
struct CancelWork {};
struct DismissNotice {};

// Carried out by the window, not by the controller; in the table so that keys and help are complete.
enum class ScrollUnit : uint8_t { token, page, all };
struct ScrollTokens {
  int rows = 0, columns = 0;  // −1 to older ones, +1 to newer ones, 0 not
  ScrollUnit unit = ScrollUnit::token;
};  // both panes, where more tokens are there than fit
struct ToggleFullScreen {};
struct Screenshot {
  std::string file;
};  // empty: a new name in the current folder
struct SetSize {
  int width = 0, height = 0;
};
struct Quit {};

using Command =
    std::variant<SetModel, SetPrompt, SetBackend, NextModel, NextBackend, OpenPrompt, GoToStep, ChangeStep,
                 GoToBeat, ChangeBeat, SetLayer, ChangeLayer, SetHead, ChangeHead, Hover, Pin, PlayPause,
                 SetSpeed, SetReducedMotion, OpenPokeMenu, ClosePokeMenu, PokeHere, PokeRow, RestoreRow,
                 RestoreAll, StartTour, Confirm, Escape, SetTheme, ToggleTheme, ToggleHelp, CopyCell,
                 CancelWork, DismissNotice, ScrollTokens, ToggleFullScreen, Screenshot, SetSize, Quit>;

}  // namespace lastrow::view
