// What every panel gets, and the few widgets that panels share.
//
// A panel is a function draw_NAME(Panel&). It draws its part of the view state, and appends a command for
// whatever the user did there. What must survive until the next frame is in PanelState.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "viewer/draw/icons.h"
#include "viewer/panels/layout.h"
#include "viewer/panels/text_field.h"
#include "viewer/view_model/state/key_bindings.h"

namespace lastrow::ui {

enum class OpenBox : uint8_t { none, prompt, file };

struct PanelState {
  float scroll_grip = 0;                // where in the thumb the mouse holds it
  std::optional<view::Target> hovered;  // the target last sent as Hover
  std::string cost_plot;                // the cost plot under the mouse, and the step last sent as HoverCost
  std::optional<int> cost_step;
  std::optional<view::Target> menu_shown;  // the poke menu that is open
  float pokes_height = 0;                  // of the content of the list of pokes, in the last frame
  std::array<TextField, 4> fields;         // [view::Field], of the open box
  OpenBox box = OpenBox::none;             // the box with fields that was open in the last frame
  int keyboard_due = 0;                    // frames until a box without the keyboard asks for it again
  bool box_entered = false;                // Enter was pressed in the box
  uint64_t box_serial = 0;                 // of the texts last taken over from the view
  Rect sentence_free;                      // the free part of the sentence bar
  Rect popover;                            // a box over a pane, in a narrow window; empty: none
};

struct Panel {
  Canvas& canvas;
  const view::ViewState& view;
  float progress;  // of the beat, 0 … 1
  const Layout& layout;
  PanelState& state;
  std::vector<view::UserCommand>& commands;

  const Palette& hex() const { return canvas.hex(); }
  ImU32 color(Hex hex, float alpha = 1) const { return to_u32(hex, alpha); }
  void send(const view::Command& command);
  void press(const view::KeyBinding& key);  // sends the command of the key
};

/// What the mouse does at a place.
struct Touch {
  bool clicked = false, hovered = false;
};
/// Makes a rectangle react to the mouse. Each id must be unique in the window.
Touch touch(const char* id, const Rect& r);
Touch touch(const char* id, int index, const Rect& r);

/// Shows a tooltip: a title in bold, a sentence, keys.
void tooltip(Panel& panel, std::string_view title, std::string_view text, std::string_view keys = {});

/// Draws the background of a button, and returns whether it was clicked.
bool button_ground(Panel& panel, const char* id, const Rect& r, bool active = false, bool enabled = true,
                   Touch* touched = nullptr);

/// The binding of a key in the key table.
const view::KeyBinding& binding_for(view::Key key, char character = 0, bool shift = false, bool ctrl = false);

/// An icon button that does what the key does; its tooltip names the key.
void key_button(Panel& panel, const Rect& r, Icon icon, const view::KeyBinding& binding, bool enabled = true,
                bool active = false);

/// A box in the colours of a pane.
void pane_ground(Panel& panel, const Rect& r);

void draw_transport(Panel& panel);
void draw_tokens(Panel& panel);
void draw_sentence(Panel& panel);
void draw_rail(Panel& panel);
void draw_model_strip(Panel& panel);  // the parts of the model, and the heads
void draw_pane(Panel& panel, Mode side);
constexpr float kInspectorLine = 18;  // height of a line of text in the inspector
void draw_inspector(Panel& panel);
/// Takes what it needs from the top of the column.
void draw_worked_example(Panel& panel, Rect& column);
void draw_costs(Panel& panel);
void draw_tabs(Panel& panel);  // the bar of tabs, and the open tab
void draw_legend(Panel& panel);
void draw_menus(Panel& panel);     // poke menu, boxes, lists of choices
void draw_pokes(Panel& panel);     // the list of pokes, if it is open
void draw_overlays(Panel& panel);  // help, notice, work under way
/// How much of the sentence bar a notice and the progress of work need now.
float message_width(const Panel& panel);

}  // namespace lastrow::ui
