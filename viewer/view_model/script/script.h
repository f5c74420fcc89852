// A script: the tour, the lessons' scripts, pictures without a display, tests. Each line is one command; a
// line that begins with # is a comment.
//
//   model NAME · backend NAME · prompt "TEXT"
//   cache KIND                     of the left side, as in --cache: window:w=4,sinks=2 or budget:rows=4,policy=heavy
//   temperature 0 … 2 · seed N     0 is greedy
//   open prompt | file | models | backends | caches
//   type prompt|temperature|seed|path TEXT      into a field of the open box; `key Enter` runs it
//   step N | +1 | -1 | first | last
//   layer N | last
//   head N | default
//   sub start | project | append | score | mask | softmax | sum | next | keep
//   focus POS                      `p` means POS from here on; if POS gets hardly any weight, `p` means the
//                                  past position that gets most
//   poke q|k|v POS scramble|zero [now|since]
//   restore all | q|k|v POS
//   undo · redo                    the last poke or restore
//   pokes open | closed            the list of pokes, with before → after
//   menu q|k|v POS
//   hover none | [cached|recompute] q|k|v|score|weight|output|token ROW [COLUMN]
//   pin   none | [cached|recompute] q|k|v|score|weight|output|token ROW [COLUMN]
//   key NAME                       a key as the help spells it: Shift+→
//   tab cost | none
//   cost flop | bytes | time | linear | log
//   cost hover none | STEP
//   theme light | dark
//   size WIDTHxHEIGHT
//   say TEXT                       a sentence. In it {n} is the number of tokens, {n-1} is one less, {next}
//                                  is the next token without pokes, {next_after} the one with them, {w3} the
//                                  word at position 3, {p} the focus position, {w} its word, and {d} how much
//                                  the pokes changed the output
//   ask TEXT                       a sentence that asks the user something
//   ask poke q|k|v POS             marks the row that the user is asked to poke
//   wait SECONDS                   time to look
//   wait poke SECONDS              until the user scrambles the marked row (any poke, if none is marked), but
//                                  at most this long; after another poke it says so, and waits again. While
//                                  the menu of pokes is open, the time does not run
//   expect same_token              both sides choose the same next token
//   expect identical|changed|token_changed cached|recompute|both
//                                  what the pokes did there: no bit of the logits, some bits, or another
//                                  next token
//   shot NAME.png
//   state NAME.json
//
// POS is a number or `p`. Each `say` or `ask TEXT` ends a row of the script;
// a `wait` right after it belongs to its row.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "viewer/view_model/state/commands.h"

namespace lastrow::view {

/// A position, or the focus position `p`.
struct ScriptPosition {
  int position = 0;
  bool focus = false;
};

/// A command without a position in it.
struct DoCommand {
  Command command;
};
struct DoWindowCommand {
  WindowCommand command;
};
struct DoPoke {
  PokeRow poke;
  ScriptPosition position;
};
struct DoRestore {
  Part part = Part::q;
  ScriptPosition position;
};
struct DoFocus {
  int position = 0;
};
struct Say {
  std::string text;
  bool asks = false;
};
struct AskPoke {
  Part part = Part::q;
  ScriptPosition position;
};
struct Wait {
  double seconds = 0;
  bool for_poke = false;
};
enum class Expectation : uint8_t { same_token, identical, changed, token_changed };
struct Expect {
  Expectation what = Expectation::same_token;
  bool cached = true, recompute = true;
};
struct PointAt {
  Target target;
  ScriptPosition row;
  bool pin = false, none = false;
};
struct OpenMenuAt {
  Part part = Part::q;
  ScriptPosition position;
};
struct WriteShot {
  std::string name;
};
struct WriteState {
  std::string name;
};

using ScriptAction = std::variant<DoCommand, DoWindowCommand, DoPoke, DoRestore, DoFocus, Say, AskPoke, Wait,
                                  Expect, PointAt, OpenMenuAt, WriteShot, WriteState>;

struct ScriptLine {
  int number = 0;  // in the file, from 1
  int row = 0;     // the sentence it belongs to, from 1
  std::string text;
  ScriptAction action;
};

struct Script {
  std::string name;
  std::vector<ScriptLine> lines;
  int n_rows = 0;
};

}  // namespace lastrow::view
