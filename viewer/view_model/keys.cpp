// One table of keys: the window reads it for key presses, buttons and tooltips, the help prints it.
#include "viewer/view_model/commands.h"

namespace lastrow::view {

const std::vector<KeyBinding>& key_table() {
  const char* const time = "Time";
  const char* const place = "Where to look";
  const char* const subject = "What to run";
  const char* const poke = "Poke";
  const char* const program = "Program";
  static const std::vector<KeyBinding> table = {
      {Key::space, 0, false, false, PlayPause{}, "Space", "Play", "Play on from here, or pause.", time},
      {Key::right, 0, false, false, ChangeBeat{+1}, "→", "Next beat", "Play the next beat of this step.",
       time},
      {Key::left, 0, false, false, ChangeBeat{-1}, "←", "Previous beat", "Go back one beat.", time},
      {Key::right, 0, true, false, ChangeStep{+1}, "Shift+→", "Next step", "Decode one more token.", time},
      {Key::left, 0, true, false, ChangeStep{-1}, "Shift+←", "Previous step", "Go back one token.", time},
      {Key::home, 0, false, false, GoToStep{0, false}, "Home", "Prefill",
       "Go to the step that reads the prompt.", time},
      {Key::end, 0, false, false, GoToStep{0, true}, "End", "Last step", "Go to the last step run so far.",
       time},
      {Key::character, '[', false, false, ChangeLayer{-1}, "[", "Layer below", "Look one layer lower.",
       place},
      {Key::character, ']', false, false, ChangeLayer{+1}, "]", "Layer above", "Look one layer higher.",
       place},
      {Key::character, ',', false, false, ChangeHead{-1}, ",", "Previous head",
       "Look at the query head before.", place},
      {Key::character, '.', false, false, ChangeHead{+1}, ".", "Next head", "Look at the next query head.",
       place},
      {Key::character, 'm', false, false, NextModel{}, "M", "Next model",
       "Same prompt in the next model: more heads share one K/V head.", subject},
      {Key::character, 'b', false, false, NextBackend{}, "B", "Next backend",
       "Same steps computed by the next implementation.", subject},
      {Key::character, 'i', false, false, OpenPrompt{true}, "I", "Prompt", "Type another prompt.", subject},
      {Key::character, 'p', false, false, PokeHere{}, "P", "Poke",
       "Scramble or zero the row you point at, and see what changes.", poke},
      {Key::character, 'r', false, false, RestoreAll{}, "R", "Restore", "Undo every poke.", poke},
      {Key::character, 'c', false, false, CopyCell{}, "C", "Copy",
       "Copy the pinned or hovered cell with its numbers.", program},
      {Key::character, 't', false, false, ToggleTheme{}, "T", "Theme", "Light or dark.", program},
      {Key::character, 's', false, true, Screenshot{}, "Ctrl+S", "Screenshot",
       "Write the window to a PNG file.", program},
      {Key::f11, 0, false, false, ToggleFullScreen{}, "F11", "Full screen",
       "Use the whole screen, or leave it.", program},
      {Key::enter, 0, false, false, Confirm{}, "Enter", "Tour", "Start the one-minute tour, or go on in it.",
       program},
      {Key::escape, 0, false, false, Escape{}, "Esc", "Explore", "Close what is open, or leave the tour.",
       program},
      {Key::character, '?', false, false, ToggleHelp{}, "?", "Help", "List all keys.", program},
  };
  return table;
}

}  // namespace lastrow::view
