// What opens over the panes: the prompt box, the file box, the lists of models, backends and caches. Each draws
// nothing while it is closed.
#pragma once

#include "viewer/panels/panel.h"

namespace lastrow::ui {

void draw_prompt_box(Panel& panel);
void draw_file_box(Panel& panel);
void draw_choice_list(Panel& panel);

/// Where the button is that opens a list, in the bar of tokens.
Rect list_button(const Layout& layout, const Panel& panel, view::ChoiceList list);

/// Gives the texts of the view to the fields of a box that has just opened,
/// or when the controller has changed them.
void take_over_texts(Panel& panel, OpenBox box, uint64_t serial,
                     std::initializer_list<std::pair<view::Field, const std::string*>> texts);
/// No box with fields is open any more.
void close_fields(PanelState& state);
/// Draws a field, and sends what the user typed.
void draw_field(Panel& panel, view::Field field, const Rect& r);
/// Call it after the fields were drawn. If Enter was pressed, it is sent now, after the text that was typed before
/// it. If no field has the keyboard, for example after a click elsewhere, `main` gets it.
void finish_fields(Panel& panel, view::Field main);

}  // namespace lastrow::ui
