// Everything on the screen, as plain values. Made by the controller, drawn by the panels.
//
//   Frame f = controller.frame(now_seconds);   // each frame; cheap
//   draw(*f.view, f.progress);                 // f.view is immutable and may be kept
//
// Panels compute no number and no sentence of their own: what is not here is not shown. The same pointer (and
// the same progress) means the same picture, so nothing need be drawn again. Texts are UTF-8 and use · → × ≤
// ± √ ∞ Σ ① ② ③ ④; to_ascii() in text.h spells them for fonts that lack these.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "viewer/view_model/inspector_state.h"
#include "viewer/view_model/pane_state.h"
#include "viewer/view_model/program_state.h"
#include "viewer/view_model/strip_state.h"
#include "viewer/view_model/transport_state.h"

namespace lastrow::view {

struct CostEntry {
  std::string name;           // "rows projected"
  std::string with, without;  // "4", "32", "1.2 KiB"
  std::string ratio;          // "8×"; "—" where the left is 0
  double with_value = 0, without_value = 0;
  std::string tooltip;  // what is counted, in one sentence
};
struct LegendEntry {
  State state;
  std::string label;
};
struct Legend {
  std::vector<LegendEntry> states;
  std::string value_scale;  // "Q ±4 · K ±8 · V ±2 · scores ±8 · out ±4"; weights go from 0 to 1
  std::string poked = "poked";
  /// Signs beside rows that stand on the screen now: {"=", "as one step ago"}, {"≈", "but for rounding"}:
  /// their bits against those of the last step.
  std::vector<std::pair<std::string, std::string>> marks;
};

struct ViewState {
  uint64_t revision = 0;  // grows with every change
  bool ready = false;     // false until the first step is done: draw only notice and busy
  std::string model, backend, prompt;
  int n_layers = 0, layer = 0, head = 0, head_dim = 0, n_tokens = 0, max_seq_len = 0;

  Transport transport;
  std::vector<TokenChip> tokens;
  std::array<NextTokens, 2> next;
  bool same_next_token = true;
  std::string next_summary;  // "both sides choose “over”"
  bool next_visible = true;  // from beat `next` on; before it draw the place empty
  Sentence sentence;
  HeadStrip heads;
  LayerStrip layers;
  std::array<PaneState, 2> panes;  // [Side]
  Crosshair crosshair;
  Inspector inspector;
  std::optional<PokeMenu> poke_menu;
  int n_pokes = 0;
  std::string pokes_text;  // "1 poke: q[3] scrambled in layer 3, head 0 · now"; empty without
  std::vector<CostEntry> costs;
  std::string costs_title;  // "whole step, all layers and heads"
  Legend legend;
  TourState tour;
  PromptBox prompt_box;
  std::vector<Choice> models, backends;
  std::optional<Notice> notice;
  Busy busy;
  Theme theme = Theme::light;
  bool help_open = false;  // draw key_table()
  std::string clipboard;   // put on the clipboard whenever clipboard_serial grows
  uint64_t clipboard_serial = 0;
};

struct Frame {
  std::shared_ptr<const ViewState> view;  // never null
  float progress = 1;                     // of the beat, 0 … 1; 1 at rest
  bool animating = false;                 // call frame() again soon; draw if view or progress is another
};

}  // namespace lastrow::view
