// The table of keys.
#include "viewer/view_model/state/key_bindings.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace lastrow::view;

TEST_CASE("every key has one meaning, a label, a tooltip") {
  std::vector<std::string> seen;
  for (const KeyBinding& key : key_table()) {
    CHECK(std::string(key.label) != "");
    CHECK(std::string(key.tooltip).ends_with("."));
    CHECK(std::find(seen.begin(), seen.end(), key.key_text()) == seen.end());
    seen.push_back(key.key_text());
  }
}

TEST_CASE("a key is spelt with its modifiers") {
  const auto spelt = [](Key key, bool shift, bool ctrl) {
    for (const KeyBinding& b : key_table())
      if (b.key == key && b.shift == shift && b.ctrl == ctrl) return b.key_text();
    return std::string();
  };
  CHECK(spelt(Key::right, false, false) == "→");
  CHECK(spelt(Key::right, true, false) == "Shift+→");
  CHECK(spelt(Key::home, false, true) == "Ctrl+Home");
  CHECK(spelt(Key::home, false, true) == "Ctrl+Home");
}
