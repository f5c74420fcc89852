#include "viewer/view_model/script/parse_script.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <sstream>
#include <string_view>

#include "core/number.h"
#include "io/input_file.h"
#include "viewer/view_model/script/line_reader.h"
#include "viewer/view_model/state/key_bindings.h"

namespace lastrow::view {

namespace {

ScriptAction parse_step(LineReader& in) {
  const char* const expected = "step N, +1, -1, first or last";
  if (in.take("first")) return DoCommand{GoToStep{0, false}};
  if (in.take("last")) return DoCommand{GoToStep{0, true}};
  const bool relative = in.peek().starts_with('+') || in.peek().starts_with('-');
  if (relative) return DoCommand{ChangeStep{in.number<int>(expected, -(1 << 20), 1 << 20)}};
  return DoCommand{GoToStep{in.number<int>(expected, 0, 1 << 20), false}};
}

ScriptAction parse_sub(LineReader& in) {
  std::string expected = "one of";
  for (const BeatInfo& b : kBeatTable) expected += std::string(" ") + b.word;
  const std::optional<Beat> beat = beat_from_word(in.peek());
  if (!beat) in.fail(expected);
  in.word(expected);
  return DoCommand{GoToBeat{*beat}};
}

ScriptAction parse_poke(LineReader& in) {
  DoPoke poke;
  poke.poke.part = in.row_part();
  poke.position = in.position();
  if (in.take("scramble"))
    poke.poke.action = Poke::Action::scramble;
  else if (in.take("zero"))
    poke.poke.action = Poke::Action::zero;
  else
    in.fail("scramble or zero");
  if (in.take("since"))
    poke.poke.when = Poke::When::since;
  else if (!in.done() && !in.take("now"))
    in.fail("now, since or the end of the line");
  return poke;
}

ScriptAction parse_restore(LineReader& in) {
  if (in.take("all")) return DoCommand{RestoreAll{}};
  if (in.done()) in.fail("all, or q|k|v and a position");
  const Part part = in.row_part();
  return DoRestore{part, in.position()};
}

ScriptAction parse_pokes(LineReader& in) {
  if (in.take("open")) return DoCommand{OpenPokes{true}};
  if (in.take("closed")) return DoCommand{OpenPokes{false}};
  in.fail("open or closed");
}

ScriptAction parse_ask(LineReader& in) {
  // "ask poke q 3" marks a row; any other text is a sentence that asks.
  if (in.peek() == "poke") {
    in.word("poke");
    const Part part = in.row_part();
    return AskPoke{part, in.position()};
  }
  return Say{in.text("poke q|k|v POS, or a sentence"), true};
}

ScriptAction parse_wait(LineReader& in) {
  Wait wait;
  wait.for_poke = in.take("poke");
  wait.seconds = in.number<double>("poke SECONDS or SECONDS (0 … 600)", 0.0, 600.0);
  return wait;
}

ScriptAction parse_expect(LineReader& in) {
  Expect expect;
  if (in.take("same_token")) return expect;
  if (in.take("identical"))
    expect.what = Expectation::identical;
  else if (in.take("changed"))
    expect.what = Expectation::changed;
  else if (in.take("token_changed"))
    expect.what = Expectation::token_changed;
  else
    in.fail("same_token, identical, changed or token_changed");
  if (in.take("cached"))
    expect.recompute = false;
  else if (in.take("recompute"))
    expect.cached = false;
  else if (!in.take("both"))
    in.fail("cached, recompute or both");
  return expect;
}

ScriptAction parse_point(LineReader& in, bool pin) {
  PointAt point;
  point.pin = pin;
  if (in.take("none")) {
    point.none = true;
    return point;
  }
  if (in.take("recompute"))
    point.target.side = Mode::recompute;
  else
    in.take("cached");
  for (const Part part : {Part::q, Part::k, Part::v, Part::score, Part::weight, Part::output, Part::token})
    if (in.take(name_of(part))) {
      point.target.part = part;
      point.row = in.position();
      if (!in.done()) point.target.column = in.number<int>("a column (0, 1, …)", 0, 1 << 20);
      return point;
    }
  in.fail("none, or [cached|recompute] q|k|v|score|weight|output|token and a row");
}

ScriptAction parse_size(LineReader& in) {
  const std::string_view w = in.peek();
  const auto x = std::min(w.find('x'), w.size());
  const auto width = whole_number<int>(w.substr(0, x));
  const auto height = whole_number<int>(w.substr(std::min(x + 1, w.size())));
  const char* const expected = "a size such as 1440x900 (from 640x480 to 16384x16384)";
  if (!width || !height || *width < 640 || *height < 480 || *width > 16384 || *height > 16384)
    in.fail(expected);
  in.word(expected);
  return DoWindowCommand{SetSize{*width, *height}};
}

std::string file_name(LineReader& in, std::string_view ending) {
  const std::string expected = "a file name ending in " + std::string(ending) + ", without a folder";
  const std::string_view w = in.peek();
  if (!w.ends_with(ending) || w.size() == ending.size() || w.find_first_of("/\\") != std::string_view::npos)
    in.fail(expected);
  return std::string(in.word(expected));
}

ScriptAction parse_theme(LineReader& in) {
  if (in.take("light")) return DoCommand{SetTheme{Theme::light}};
  if (in.take("dark")) return DoCommand{SetTheme{Theme::dark}};
  in.fail("light or dark");
}

ScriptAction parse_tab(LineReader& in) {
  if (in.take("cost")) return DoCommand{ShowTab{Tab::cost}};
  if (in.take("none")) return DoCommand{ShowTab{Tab::none}};
  in.fail("cost or none");
}

ScriptAction parse_cost(LineReader& in) {
  if (in.take("flop")) return DoCommand{SetCostQuantity{CostQuantity::flop}};
  if (in.take("bytes")) return DoCommand{SetCostQuantity{CostQuantity::bytes}};
  if (in.take("time")) return DoCommand{SetCostQuantity{CostQuantity::time}};
  if (in.take("linear")) return DoCommand{SetCostScale{CostScale::linear}};
  if (in.take("log")) return DoCommand{SetCostScale{CostScale::log}};
  if (!in.take("hover")) in.fail("flop, bytes, time, linear, log or hover");
  if (in.take("none")) return DoCommand{HoverCost{}};
  return DoCommand{HoverCost{in.number<int>("none or a step (0, 1, …)", 0, 1 << 20)}};
}

ScriptAction parse_open(LineReader& in) {
  if (in.take("prompt")) return DoCommand{OpenPrompt{true}};
  if (in.take("file")) return DoCommand{OpenFileBox{true}};
  if (in.take("models")) return DoCommand{OpenChoices{ChoiceList::models}};
  if (in.take("backends")) return DoCommand{OpenChoices{ChoiceList::backends}};
  if (in.take("caches")) return DoCommand{OpenChoices{ChoiceList::caches}};
  in.fail("prompt, file, models, backends or caches");
}

ScriptAction parse_type(LineReader& in) {
  for (const auto& [word, field] :
       {std::pair{"prompt", Field::prompt}, std::pair{"temperature", Field::temperature},
        std::pair{"seed", Field::seed}, std::pair{"path", Field::path}})
    if (in.take(word)) return DoCommand{EditField{field, in.done() ? "" : in.text("a text")}};
  in.fail("prompt, temperature, seed or path, and a text");
}

ScriptAction parse_key(LineReader& in) {
  std::string known;
  for (const KeyBinding& key : key_table()) {
    if (in.take(key.key_text())) {
      if (const auto* command = std::get_if<Command>(&key.command)) return DoCommand{*command};
      return DoWindowCommand{std::get<WindowCommand>(key.command)};
    }
    known += (known.empty() ? "" : " ") + key.key_text();
  }
  in.fail("a key as the help spells it: " + known);
}

ScriptAction parse_action(LineReader& in) {
  if (in.take("model")) return DoCommand{SetModel{in.text("the name of a model")}};
  if (in.take("prompt")) return DoCommand{SetPrompt{in.text("a text")}};
  if (in.take("backend")) return DoCommand{SetBackend{in.text("the name of a backend")}};
  if (in.take("cache")) return DoCommand{SetCache{in.text("a cache, such as window:w=4,sinks=2")}};
  if (in.take("temperature"))
    return DoCommand{
        SetTemperature{in.number<float>("a temperature from 0 (greedy) to 2", 0.0f, 2.0f) + 0.0f}};
  if (in.take("seed"))
    return DoCommand{
        SetSeed{in.number<uint64_t>("a seed (0, 1, …)", 0, std::numeric_limits<uint64_t>::max())}};
  if (in.take("open")) return parse_open(in);
  if (in.take("type")) return parse_type(in);
  if (in.take("step")) return parse_step(in);
  if (in.take("layer"))
    return DoCommand{
        SetLayer{in.take("last") ? -1 : in.number<int>("a layer (0, 1, …) or last", 0, 1 << 20)}};
  if (in.take("head"))
    return DoCommand{
        SetHead{in.take("default") ? -1 : in.number<int>("a head (0, 1, …) or default", 0, 1 << 20)}};
  if (in.take("sub")) return parse_sub(in);
  if (in.take("poke")) return parse_poke(in);
  if (in.take("restore")) return parse_restore(in);
  if (in.take("undo")) return DoCommand{UndoPoke{}};
  if (in.take("redo")) return DoCommand{RedoPoke{}};
  if (in.take("pokes")) return parse_pokes(in);
  if (in.take("focus")) return DoFocus{in.number<int>("a position (0, 1, …)", 0, 1 << 20)};
  if (in.take("say")) return Say{in.text("a sentence"), false};
  if (in.take("ask")) return parse_ask(in);
  if (in.take("wait")) return parse_wait(in);
  if (in.take("expect")) return parse_expect(in);
  if (in.take("tab")) return parse_tab(in);
  if (in.take("cost")) return parse_cost(in);
  if (in.take("theme")) return parse_theme(in);
  if (in.take("size")) return parse_size(in);
  if (in.take("hover")) return parse_point(in, false);
  if (in.take("pin")) return parse_point(in, true);
  if (in.take("menu")) {
    const Part part = in.row_part();
    return OpenMenuAt{part, in.position()};
  }
  if (in.take("key")) return parse_key(in);
  if (in.take("shot")) return WriteShot{file_name(in, ".png")};
  if (in.take("state")) return WriteState{file_name(in, ".json")};
  in.fail(
      "one of model prompt backend cache temperature seed open type step layer head sub poke restore undo "
      "redo "
      "pokes focus say ask wait expect tab cost theme size hover pin menu key shot state");
}

}  // namespace

Script parse_script(const std::string& text, const std::string& name) {
  Script script;
  script.name = name;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // some editors write it first
  std::istringstream lines(text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size()) : text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
      line.pop_back();
    const auto first = line.find_first_not_of(" \t");
    if (first == std::string::npos || line[first] == '#') continue;
    if (line.find('\0') != std::string::npos)
      throw ScriptError("{}:{}: holds a zero byte: a script is plain text", name, number);
    LineReader in(name, number, line);
    ScriptAction action = parse_action(in);
    in.end();
    const bool sentence = std::holds_alternative<Say>(action);
    const bool of_last =
        std::holds_alternative<Wait>(action) && script.n_rows > 0;  // belongs to the sentence above
    script.lines.push_back(
        {number, script.n_rows + (of_last ? 0 : 1), line.substr(first), std::move(action)});
    if (sentence) ++script.n_rows;
  }
  return script;
}

Script load_script(const std::string& path) {
  constexpr int64_t kMostBytes = 1 << 20;
  return parse_script(read_text(path, kMostBytes), path);
}

}  // namespace lastrow::view
