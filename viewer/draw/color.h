// Colours as people see them: mixing in OKLab, the difference ΔE00, and colour-blind vision.
//
// Sources: OKLab, Ottosson 2020; CIEDE2000, Sharma, Wu and Dalal 2005; simulation of protanopia, deuteranopia
// and tritanopia, Machado, Oliveira and Fernandes 2009 (severity 1).
#pragma once

#include <cstdint>

namespace lastrow::ui {

/// sRGB, 0xRRGGBB as in style sheets.
using Hex = uint32_t;

struct Lab {
  double l = 0, a = 0, b = 0;
};

Lab to_oklab(Hex color);
Hex from_oklab(const Lab& lab);
/// fraction 0: `from`, 1: `to`.
Hex mix_oklab(Hex from, Hex to, double fraction);

enum class Sight { normal, protan, deutan, tritan };
Hex as_seen(Hex color, Sight sight);
/// CIEDE2000 under D65. 1 is just noticeable side by side; two colours 17 apart are hardly ever confused.
double delta_e00(Hex a, Hex b);
/// WCAG contrast ratio, 1 … 21.
double contrast(Hex a, Hex b);

}  // namespace lastrow::ui
