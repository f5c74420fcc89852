// Texts for fonts that lack our signs.
#pragma once

#include <string>
#include <string_view>

namespace lastrow::ui {

/// The same text in ASCII: "×" → "x", "①" → "(1)", "·" → "-", "→" → "->" …; any other sign becomes "?".
std::string to_ascii(std::string_view utf8);

}  // namespace lastrow::ui
