// Everything on the screen, as plain values. The controller makes it, the panels draw it.
//
//   Frame f = controller.frame(now_seconds);   // each frame; cheap
//   draw(*f.view, f.progress);                 // f.view never changes, so it may be kept
//
// Panels compute no number and write no sentence of their own: they show only what is here. The same pointer
// with the same progress means the same picture, so it need not be drawn again. Texts are UTF-8 and use
// · → × ≤ ± √ ∞ Σ ① ② ③ ④; draw/ascii.h spells them for fonts that lack these signs.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "viewer/view_model/state/cache_menu.h"
#include "viewer/view_model/state/commands.h"
#include "viewer/view_model/state/cost_curves.h"
#include "viewer/view_model/state/costs.h"
#include "viewer/view_model/state/inspector.h"
#include "viewer/view_model/state/legend.h"
#include "viewer/view_model/state/pane_state.h"
#include "viewer/view_model/state/poke_menu.h"
#include "viewer/view_model/state/pokes.h"
#include "viewer/view_model/state/program_state.h"
#include "viewer/view_model/state/prompt_box.h"
#include "viewer/view_model/state/sampling.h"
#include "viewer/view_model/state/strips.h"
#include "viewer/view_model/state/tour_state.h"
#include "viewer/view_model/state/transport.h"

namespace lastrow::view {

struct ViewState {
  // Defined in view_state.cpp, because otherwise each file that uses them would take long to compile.
  ViewState();
  ViewState(const ViewState&);
  ViewState(ViewState&&) noexcept;
  ViewState& operator=(const ViewState&);
  ViewState& operator=(ViewState&&) noexcept;
  ~ViewState();

  uint64_t revision = 0;  // grows with every change
  bool ready = false;     // false until the first step is done: draw only the notice and the progress of work
  std::string model, backend, prompt;
  int n_layers = 0, layer = 0, head = 0, head_dim = 0, n_tokens = 0, max_seq_len = 0;
  TokenWindow window;    // of both panes
  int room = kMostRows;  // the last SetRoom

  Transport transport;
  std::vector<TokenChip> tokens;
  std::vector<SpeltWord> spelt_words;  // runs of `tokens` that are the characters of one word
  std::array<NextTokens, 2> next;      // [Mode]
  SamplingState sampling;
  bool same_next_token = true;
  std::string next_summary;  // "both sides choose “over”"
  bool next_visible = true;  // true from beat `next` on; before that the place stays empty
  Sentence sentence;
  HeadStrip heads;
  ModelStrip model_strip;
  std::array<PaneState, 2> panes;  // [Mode]
  Crosshair crosshair;
  Inspector inspector;
  std::optional<PokeMenu> poke_menu;
  PokeList pokes;
  int n_pokes = 0;         // active in this step
  std::string pokes_text;  // "q[3] scrambled in layer 3, head 0 · now"; empty without pokes
  std::vector<CostEntry> costs;
  std::string costs_title;  // "whole step, all layers and heads"
  Tab tab = Tab::none;      // open at the bottom
  std::vector<TabChip> tabs;
  CostCurves cost_curves;  // always there; its roofline only while the tab is open
  Legend legend;
  TourState tour;
  PromptBox prompt_box;
  FileBox file_box;
  std::vector<Choice> models, backends;
  CacheMenu caches;
  ChoiceList open_choices = ChoiceList::none;  // which of the three lists is open
  std::optional<Notice> notice;
  Busy busy;
  Theme theme = Theme::light;
  bool lecture = false;    // large letters; no rail, inspector, tabs
  bool help_open = false;  // draw key_table()
  std::string clipboard;   // goes to the clipboard each time clipboard_serial grows
  uint64_t clipboard_serial = 0;
};

struct Frame {
  std::shared_ptr<const ViewState> view;  // never null
  float progress = 1;                     // of the beat, 0 … 1; 1 at rest
  bool animating = false;                 // call frame() again soon, and draw if view or progress has changed
};

}  // namespace lastrow::view
