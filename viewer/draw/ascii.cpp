#include "viewer/draw/ascii.h"

#include <algorithm>
#include <array>
#include <utility>

namespace lastrow::ui {

std::string to_ascii(std::string_view utf8) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 28> kSpellings{
      {{"·", "-"},   {"→", "->"},  {"←", "<-"},  {"×", "x"},   {"≤", "<="},    {"±", "+-"},  {"√", "sqrt"},
       {"∞", "inf"}, {"Σ", "sum"}, {"①", "(1)"}, {"②", "(2)"}, {"③", "(3)"},   {"④", "(4)"}, {"“", "\""},
       {"”", "\""},  {"–", "-"},   {"−", "-"},   {"—", "-"},   {"…", "..."},   {"↑", "up"},  {"↓", "down"},
       {"µ", "u"},   {"∅", "()"},  {"␣", "_"},   {"Δ", "d"},   {"θ", "theta"}, {"▴", "^"},   {"▾", "v"}}};
  std::string out;
  for (size_t i = 0; i < utf8.size();) {
    const auto rest = utf8.substr(i);
    const auto* hit = std::find_if(kSpellings.begin(), kSpellings.end(),
                                   [&](const auto& s) { return rest.starts_with(s.first); });
    if (hit != kSpellings.end()) {
      out += hit->second;
      i += hit->first.size();
    } else if (static_cast<unsigned char>(utf8[i]) < 0x80) {
      out += utf8[i++];
    } else {
      out += '?';
      for (++i; i < utf8.size() && (static_cast<unsigned char>(utf8[i]) & 0xC0u) == 0x80u; ++i) {
      }
    }
  }
  return out;
}

}  // namespace lastrow::ui
