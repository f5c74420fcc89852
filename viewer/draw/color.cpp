#include "viewer/draw/color.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace lastrow::ui {
namespace {

using Triple = std::array<double, 3>;
using Matrix = std::array<Triple, 3>;

Triple operator*(const Matrix& m, const Triple& x) {
  Triple y{};
  for (size_t i = 0; i < 3; ++i) y[i] = m[i][0] * x[0] + m[i][1] * x[1] + m[i][2] * x[2];
  return y;
}

/// Linear light, 0 … 1.
Triple to_linear(Hex color) {
  Triple rgb{};
  for (size_t i = 0; i < 3; ++i) {
    const double c = double((color >> (16 - 8 * i)) & 255) / 255;
    rgb[i] = c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  }
  return rgb;
}

Hex from_linear(const Triple& rgb) {
  Hex color = 0;
  for (const double linear : rgb) {
    const double x = std::clamp(linear, 0.0, 1.0);
    const double c = x <= 0.0031308 ? 12.92 * x : 1.055 * std::pow(x, 1 / 2.4) - 0.055;
    color = (color << 8) | static_cast<Hex>(std::lround(c * 255));
  }
  return color;
}

constexpr Matrix kRgbToLms{{{0.4122214708, 0.5363325363, 0.0514459929},
                            {0.2119034982, 0.6806995451, 0.1073969566},
                            {0.0883024619, 0.2817188376, 0.6299787005}}};
constexpr Matrix kLmsToLab{{{0.2104542553, 0.7936177850, -0.0040720468},
                            {1.9779984951, -2.4285922050, 0.4505937099},
                            {0.0259040371, 0.7827717662, -0.8086757660}}};
constexpr Matrix kLabToLms{
    {{1, 0.3963377774, 0.2158037573}, {1, -0.1055613458, -0.0638541728}, {1, -0.0894841775, -1.2914855480}}};
constexpr Matrix kLmsToRgb{{{4.0767416621, -3.3077115913, 0.2309699292},
                            {-1.2684380046, 2.6097574011, -0.3413193965},
                            {-0.0041960863, -0.7034186147, 1.7076147010}}};

constexpr Matrix kProtan{
    {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}}};
constexpr Matrix kDeutan{
    {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}}};
constexpr Matrix kTritan{
    {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}}};

/// CIELAB under D65.
Lab to_cielab(Hex color) {
  constexpr Matrix kRgbToXyz{{{0.4124564, 0.3575761, 0.1804375},
                              {0.2126729, 0.7151522, 0.0721750},
                              {0.0193339, 0.1191920, 0.9503041}}};
  constexpr Triple kWhite{0.95047, 1.0, 1.08883};
  Triple f = kRgbToXyz * to_linear(color);
  for (size_t i = 0; i < 3; ++i) {
    const double t = f[i] / kWhite[i];
    f[i] = t > 216.0 / 24389 ? std::cbrt(t) : (24389.0 / 27 * t + 16) / 116;
  }
  return {116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])};
}

double luminance(Hex color) {
  const Triple rgb = to_linear(color);
  return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
}

}  // namespace

Lab to_oklab(Hex color) {
  Triple lms = kRgbToLms * to_linear(color);
  for (double& x : lms) x = std::cbrt(x);
  const Triple lab = kLmsToLab * lms;
  return {lab[0], lab[1], lab[2]};
}

Hex from_oklab(const Lab& lab) {
  Triple lms = kLabToLms * Triple{lab.l, lab.a, lab.b};
  for (double& x : lms) x = x * x * x;
  return from_linear(kLmsToRgb * lms);
}

Hex mix_oklab(Hex from, Hex to, double fraction) {
  const Lab a = to_oklab(from), b = to_oklab(to);
  return from_oklab(
      {std::lerp(a.l, b.l, fraction), std::lerp(a.a, b.a, fraction), std::lerp(a.b, b.b, fraction)});
}

Hex as_seen(Hex color, Sight sight) {
  switch (sight) {
    case Sight::protan:
      return from_linear(kProtan * to_linear(color));
    case Sight::deutan:
      return from_linear(kDeutan * to_linear(color));
    case Sight::tritan:
      return from_linear(kTritan * to_linear(color));
    default:
      return color;
  }
}

double delta_e00(Hex first, Hex second) {
  constexpr double kPi = std::numbers::pi;
  const Lab x = to_cielab(first), y = to_cielab(second);
  const double mean_c = (std::hypot(x.a, x.b) + std::hypot(y.a, y.b)) / 2;
  const double c7 = std::pow(mean_c, 7), g = 0.5 * (1 - std::sqrt(c7 / (c7 + std::pow(25.0, 7))));
  const double a1 = x.a * (1 + g), a2 = y.a * (1 + g);
  const double c1 = std::hypot(a1, x.b), c2 = std::hypot(a2, y.b);
  const auto hue = [](double a, double b) {
    const double h = a == 0 && b == 0 ? 0 : std::atan2(b, a);
    return h < 0 ? h + 2 * kPi : h;
  };
  const double h1 = hue(a1, x.b), h2 = hue(a2, y.b);
  const bool gray = c1 * c2 == 0;
  double dh = gray ? 0 : h2 - h1;
  if (dh > kPi) dh -= 2 * kPi;
  if (dh < -kPi) dh += 2 * kPi;
  const double dl = y.l - x.l, dc = c2 - c1, d_hue = 2 * std::sqrt(c1 * c2) * std::sin(dh / 2);
  const double l = (x.l + y.l) / 2, c = (c1 + c2) / 2;
  double h = gray ? h1 + h2 : (h1 + h2) / 2;
  if (!gray && std::abs(h1 - h2) > kPi) h += h1 + h2 < 2 * kPi ? kPi : -kPi;
  const double t = 1 - 0.17 * std::cos(h - kPi / 6) + 0.24 * std::cos(2 * h) +
                   0.32 * std::cos(3 * h + kPi / 30) - 0.20 * std::cos(4 * h - 63 * kPi / 180);
  const double bend = (h * 180 / kPi - 275) / 25;
  const double theta = kPi / 6 * std::exp(-bend * bend);
  const double cc7 = std::pow(c, 7),
               rotation = -std::sin(2 * theta) * 2 * std::sqrt(cc7 / (cc7 + std::pow(25.0, 7)));
  const double s_l = 1 + 0.015 * (l - 50) * (l - 50) / std::sqrt(20 + (l - 50) * (l - 50));
  const double s_c = 1 + 0.045 * c, s_h = 1 + 0.015 * c * t;
  const double u = dl / s_l, v = dc / s_c, w = d_hue / s_h;
  return std::sqrt(u * u + v * v + w * w + rotation * v * w);
}

double contrast(Hex a, Hex b) {
  const double la = luminance(a), lb = luminance(b);
  return (std::max(la, lb) + 0.05) / (std::min(la, lb) + 0.05);
}

}  // namespace lastrow::ui
