// Scripts: the tour, headless pictures, tests. One command a line; # starts a comment.
//
//   Script s = parse_script(text, "tour.txt");   throws ScriptError "tour.txt:3: expected …, got …"
//   run_script(controller, s, host, error);      or controller.play(s, host)
//
//   model NAME · prompt "TEXT" · backend NAME
//   step N | +1 | -1 | first | last              layer N | last           head N | default
//   sub start | project | append | score | mask | softmax | sum | next | keep
//   poke q|k|v POS scramble|zero [now|since]     restore all | restore q|k|v POS
//   say TEXT     sentence; {n} tokens, {n-1}, {next}, {w3} word at 3, {p} focus position, {w} its word, {d}
//   change ask poke q|k|v POS | ask TEXT                the row the user is to poke; or a sentence that asks
//   wait poke SECONDS | wait SECONDS             for a poke, at most so long; or time to look
//   expect same_token | identical|changed cached|recompute|both
//   focus POS    what `p` stands for from here: POS, or where it gets hardly any weight the most attended
//   past one theme light|dark · size WxH · hover q|k|v|score|weight|output ROW [COLUMN] · pin … · hover none
//   · pin none shot NAME.png · state NAME.json · menu q|k|v POS · key NAME
//
// POS is a number or `p`. A row of the script ends with each say or ask TEXT; a wait after it is of its row.
#pragma once

#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "core/error.h"
#include "viewer/view_model/commands.h"

namespace lastrow::view {

/// A wrong line; the message names file, line and what was expected.
struct ScriptError : UsageError {
  using UsageError::UsageError;
};

/// A position, or the focus position `p`.
struct ScriptPosition {
  int position = 0;
  bool focus = false;
};

struct DoCommand {
  Command command;
};  // whatever has no position in it
struct DoStepBy {
  int by = 0;
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
enum class Expectation : uint8_t { same_token, identical, changed };
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

using ScriptAction = std::variant<DoCommand, DoStepBy, DoPoke, DoRestore, DoFocus, Say, AskPoke, Wait, Expect,
                                  PointAt, OpenMenuAt, WriteShot, WriteState>;

struct ScriptLine {
  int number = 0;  // in the file, from 1
  int row = 0;     // which sentence it belongs to, from 1
  std::string text;
  ScriptAction action;
};

struct Script {
  std::string name;
  std::vector<ScriptLine> lines;
  int n_rows = 0;
};

Script parse_script(const std::string& text, const std::string& name);
/// Reads and parses; throws FileError when it cannot be read, is no regular file, or is longer than 1 MiB.
Script load_script(const std::string& path);
/// The one-minute tour; embedded, so it is there whatever the working directory.
Script tour_script();

}  // namespace lastrow::view
