// What the program itself has to say and to ask: the sentence and the tour, prompt and choices, work,
// notices.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "viewer/view_model/commands.h"

namespace lastrow::view {

enum class SentenceKind : uint8_t { beat, tour, ask, offer };
struct Sentence {
  std::string text;
  SentenceKind kind = SentenceKind::beat;
  std::string hint;  // right of it, dim: "Enter: one-minute tour · Esc: explore", "Enter: next · Esc: leave"
};

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

}  // namespace lastrow::view
