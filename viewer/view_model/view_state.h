// Everything on the screen, as plain values. Made by the controller, drawn by the panels.
//
//   Frame f = controller.frame(now_seconds);   // each frame; cheap
//   draw(*f.view, f.progress);                 // f.view is immutable and may be kept
//
// Panels compute no number and no sentence of their own: what is not here is not shown. The same pointer (and
// the same progress) means the same picture, so nothing need be drawn again. Texts are UTF-8 and use · → × ≤
// ± √ ∞ Σ ① ② ③ ④; to_ascii() in text.h spells them for fonts that lack these.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "viewer/view_model/beat.h"
#include "viewer/view_model/commands.h"
#include "viewer/view_model/pane_state.h"

namespace lastrow::view {

// ---- top bar

struct ScrubTick {
  int step = 0;       // 0 is prefill
  std::string label;  // "prefill", "1", "2", …
  std::string token;  // the token(s) fed: "the quick brown fox", "jumps"
  int n_tokens = 1;   // of this step; prefill is one wide tick
};
struct BeatChip {
  int part = 0;       // 1 … 4
  std::string label;  // "① project", "② append", "③ attend", "④ next"
  Beat first, last;   // its beats; a click sends GoToBeat{last}
  bool current = false, done = false;
  std::vector<BeatInfo> beats;  // the sub-beats; more than one for ③ and ④
};
struct Transport {
  int step = 0;
  int last_step = 0;  // the furthest one run
  bool at_first = false, context_full = false;
  bool playing = false;
  double speed = 1;
  bool reduced_motion = false;
  Beat beat = Beat::keep;
  std::vector<ScrubTick> ticks;  // steps 0 … last_step
  std::vector<BeatChip> chips;   // four
  std::string banner;            // "Decode 4 · position 7 · 8 keys"
};

// ---- token strip

enum class TokenRole : uint8_t { prompt, generated, input, next };
struct TokenChip {
  int position = 0;
  int id = 0;
  std::string text;
  TokenRole role = TokenRole::prompt;  // input: framed; next: dashed
};
struct NextToken {
  int id = 0;
  std::string text;
  float logit = 0, probability = 0;  // softmax over the whole vocabulary
  float logit_change = 0;            // against the step without pokes; 0 without pokes
};
struct NextTokens {
  Side side = Side::cached;
  std::vector<NextToken> top;  // five, most probable first
};

// ---- sentence

enum class SentenceKind : uint8_t { beat, tour, ask, offer };
struct Sentence {
  std::string text;
  SentenceKind kind = SentenceKind::beat;
  std::string hint;  // right of it, dim: "Enter: one-minute tour · Esc: explore", "Enter: next · Esc: leave"
};

// ---- strips

struct HeadChip {
  int head = 0;
  int kv_head = 0;
  bool selected = false;
  bool same_group = false;  // shares the K/V of the selected head
  float focus = 0;          // largest weight of the last row, 0 … 1, drawn as the square's fill
  std::string tooltip;
};
struct HeadStrip {
  int n_q_heads = 0, n_kv_heads = 0, group_size = 1;
  std::vector<HeadChip> heads;
  std::string caption;  // "8 query heads, 2 K/V heads: each K/V head serves 4"
  std::string kind;     // "MHA", "GQA", "MQA"
};
struct LayerChip {
  int layer = 0;
  bool selected = false, last = false;
  bool poked = false;
  std::string label;  // "3 (last)"
  std::string tooltip;
};
struct LayerStrip {
  std::vector<LayerChip> layers;
  bool complete = false;  // beat ④ reached: all layers are done
};

// ---- inspector

struct Product {      // one bar
  std::string label;  // "d 3", "s 2 fox"
  float a = 0, b = 0, product = 0;
};
struct Provenance {
  std::vector<std::pair<std::string, std::string>> lines;  // {"written by", "decode 2"}, {"bytes", "64"}, …
};
struct Pinned {
  Target target;
  std::string title;              // "k[3] · fox"
  std::string formula;            // with the numbers in
  std::vector<Product> products;  // empty where nothing was multiplied
  std::string products_title;     // "q[7]·k[3], element by element"
  float total = 0;                // what the products add up to
  std::string total_text;         // "Σ 5.31 / √16 = 1.33"
  Provenance provenance;
  std::vector<std::string> reads;  // "read by queries 3–7: 5×"
  std::vector<float> values;       // of the row, [head_dim]; empty for a cell
  int exponent = 0;
};
struct Inspector {
  std::optional<Target> hovered;
  std::string hover_title;  // "k[3] · fox · layer 3 · K/V head 0"
  std::string hover_line;   // one line of value and formula with the numbers in
  std::optional<Pinned> pinned;
  std::string empty_hint = "Point at any cell; click to pin it.";
};

/// Lines through both panes at the hovered place; −1: none.
struct Crosshair {
  int t = -1, s = -1;
  bool elbow = false;  // from k[s] right to the cell (s, s), then down column s to row elbow_to
  int elbow_to = -1;
  std::string elbow_text;  // "used by this and every later row"
};

// ---- pokes

struct MenuEntry {
  std::string label;  // "Scramble, only in this step"
  std::string tooltip;
  bool enabled = true;
  std::string reason;  // why not, where not
  Command command;
};
struct PokeMenu {
  Target target;
  std::string title;  // "k[3] · fox · layer 3 · K/V head 0 (query heads 0–3)"
  std::vector<MenuEntry> entries;
};

// ---- costs, legend, help

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
  /// Signs beside rows that stand on the screen now: {"=", "same bits as one step ago"}, {"≈", "but for
  /// rounding"}.
  std::vector<std::pair<std::string, std::string>> marks;
};

// ---- program state

struct Choice {
  std::string name;  // what SetModel / SetBackend take
  std::string label;
  bool usable = true;
  std::string reason;  // why not
  bool selected = false;
};
struct PromptBox {
  bool open = false;
  std::string text;   // to start with
  std::string error;  // under the field; empty when fine
  std::string hint;   // "words the model knows, or any letters: they are spelt"
};
enum class NoticeKind : uint8_t { info, error };
struct Notice {
  std::string text;  // one line: what was wrong and what to do
  NoticeKind kind = NoticeKind::info;
};
struct Busy {
  bool active = false;
  std::string text;     // "Running decode 12 …"
  double fraction = 0;  // < 0: not known
  bool can_cancel = false;
};
enum class Waiting : uint8_t { nothing, reading, poke, pause };
struct TourState {
  bool offered = false;  // "Enter: one-minute tour"
  bool active = false;
  int row = 0, n_rows = 0;  // "tour 3 of 12"
  Waiting waiting = Waiting::nothing;
  std::string waiting_text;         // "waiting for your poke of q[3] …"
  double waited = 0, wait_for = 0;  // whole seconds
  std::optional<Target> asked;      // the row that the tour wants poked
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
