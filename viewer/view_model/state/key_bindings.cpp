#include "viewer/view_model/state/key_bindings.h"

namespace lastrow::view {

namespace {

std::vector<KeyBinding> make_key_table() {
  const char* const time = "Time";
  const char* const place = "Where to look";
  const char* const subject = "What to run";
  const char* const poke = "Poke";
  const char* const program = "Program";
  std::vector<KeyBinding> table;
  // One binding at a time: with one initialiser list for all, GCC 12 needs minutes and gigabytes.
  const auto add = [&table](Key key, char character, bool shift, bool ctrl, const UserCommand& command,
                            const char* key_name, const char* label, const char* tooltip, const char* group) {
    KeyBinding& binding = table.emplace_back();
    binding.key = key;
    binding.character = character;
    binding.shift = shift;
    binding.ctrl = ctrl;
    binding.command = command;
    binding.key_name = key_name;
    binding.label = label;
    binding.tooltip = tooltip;
    binding.group = group;
  };
  add(Key::space, 0, false, false, PlayPause{}, "Space", "Play", "Play from here, or pause.", time);
  add(Key::right, 0, false, false, ChangeBeat{+1}, "→", "Next beat", "Play the next beat of this step.",
      time);
  add(Key::left, 0, false, false, ChangeBeat{-1}, "←", "Previous beat", "Go back one beat.", time);
  add(Key::right, 0, true, false, ChangeStep{+1}, "→", "Next step", "Decode one more token.", time);
  add(Key::left, 0, true, false, ChangeStep{-1}, "←", "Previous step", "Go back one token.", time);
  add(Key::home, 0, false, false, GoToStep{0, false}, "Home", "Prefill",
      "Go to the step that reads the prompt.", time);
  add(Key::end, 0, false, false, GoToStep{0, true}, "End", "Last step", "Go to the last step run so far.",
      time);
  add(Key::character, '[', false, false, ChangeLayer{-1}, "[", "Layer below", "Look one layer lower.", place);
  add(Key::character, ']', false, false, ChangeLayer{+1}, "]", "Layer above", "Look one layer higher.",
      place);
  add(Key::character, ',', false, false, ChangeHead{-1}, ",", "Previous head",
      "Look at the previous query head.", place);
  add(Key::character, '.', false, false, ChangeHead{+1}, ".", "Next head", "Look at the next query head.",
      place);
  const auto scroll = [&](Key key, bool ctrl, int by, ScrollUnit unit, const char* key_name,
                          const char* label, const char* tooltip) {
    add(key, 0, false, ctrl, ScrollTokens{by, unit}, key_name, label, tooltip, place);
  };
  const char *const rows = "Scroll", *const pages = "Scroll pages", *const ends = "Oldest, newest";
  const char* const rows_tip =
      "Scroll the tokens. You can also use the wheel, the bar at the right, or the overview.";
  const char* const pages_tip = "Scroll by as many tokens as are visible.";
  const char* const ends_tip = "Show the oldest tokens, or follow the newest.";
  scroll(Key::up, false, -1, ScrollUnit::token, "↑", rows, rows_tip);
  scroll(Key::down, false, +1, ScrollUnit::token, "↓", rows, rows_tip);
  scroll(Key::page_up, false, -1, ScrollUnit::page, "PgUp", pages, pages_tip);
  scroll(Key::page_down, false, +1, ScrollUnit::page, "PgDn", pages, pages_tip);
  scroll(Key::home, true, -1, ScrollUnit::all, "Home", ends, ends_tip);
  scroll(Key::end, true, +1, ScrollUnit::all, "End", ends, ends_tip);
  add(Key::character, '$', false, false, ToggleTab{Tab::cost}, "$", "Cost",
      "Show what all steps so far have cost, with the cache and without it.", place);
  add(Key::character, 'm', false, false, NextModel{}, "M", "Next model",
      "Same prompt, next model: more query heads share one K/V head.", subject);
  add(Key::character, 'b', false, false, NextBackend{}, "B", "Next backend",
      "Compute the same steps with the next backend.", subject);
  add(Key::character, 'k', false, false, OpenChoices{ChoiceList::caches}, "K", "Cache",
      "Choose how the left side keeps K and V, and which rows it forgets.", subject);
  add(Key::character, 'i', false, false, OpenPrompt{true}, "I", "Prompt",
      "Type or click another prompt, and set temperature and seed.", subject);
  add(Key::character, 'o', false, true, OpenFileBox{true}, "O", "Open", "Open a model file (.safetensors).",
      subject);
  add(Key::character, 'p', false, false, PokeHere{}, "P", "Poke",
      "Scramble or zero the row you point at, and see what changes.", poke);
  add(Key::character, 'r', false, false, RestoreAll{}, "R", "Restore", "Undo every poke.", poke);
  add(Key::character, 'z', false, true, UndoPoke{}, "Z", "Undo", "Take back the last poke or restore.", poke);
  add(Key::character, 'y', false, true, RedoPoke{}, "Y", "Redo", "Do again what was undone.", poke);
  add(Key::character, 'z', true, true, RedoPoke{}, "Z", "Redo (also)", "Do again what was undone.", poke);
  add(Key::character, 'c', false, false, CopyCell{}, "C", "Copy",
      "Copy the row or table that is pinned or under the mouse, for a spreadsheet.", program);
  add(Key::character, 't', false, false, ToggleTheme{}, "T", "Theme", "Switch between light and dark.",
      program);
  add(Key::character, 's', false, true, Screenshot{}, "S", "Screenshot", "Write the window to a PNG file.",
      program);
  add(Key::character, 'l', false, false, ToggleLecture{}, "L", "Lecture mode",
      "Large letters for a lecture hall. Only the parts that explain the step stay.", program);
  add(Key::f11, 0, false, false, ToggleFullScreen{}, "F11", "Full screen", "Enter or leave full screen.",
      program);
  add(Key::enter, 0, false, false, Confirm{}, "Enter", "Tour",
      "Start the tour, or go to the next sentence. With an open menu: scramble the row.", program);
  add(Key::enter, 0, true, false, PreviousSentence{}, "Enter", "Sentence before",
      "Go back to the sentence of a script before this one.", program);
  add(Key::escape, 0, false, false, Escape{}, "Esc", "Explore",
      "Close what is open, cancel what runs, or leave a script.", program);
  add(Key::character, '?', false, false, ToggleHelp{}, "?", "Help", "List all keys.", program);
  return table;
}

}  // namespace

const std::vector<KeyBinding>& key_table() {
  static const std::vector<KeyBinding> table = make_key_table();
  return table;
}

}  // namespace lastrow::view
