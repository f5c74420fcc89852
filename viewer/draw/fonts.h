// The fonts: DejaVu if it is installed, otherwise ImGui's own font and texts in ASCII.
//
//   Fonts fonts(scale);   builds ImGui's font atlas: before the first frame, or between two frames
//   fonts.of(Type::body).size …
#pragma once

#include <imgui.h>

#include <array>
#include <string>
#include <string_view>

namespace lastrow::ui {

/// The kind of a text decides its size: small 12, label 14, body 16, sentence 22; mono is for numbers.
/// display, 40, is for one large number: it has only digits and signs.
enum class Type { small, label, label_bold, body, body_bold, sentence, mono, mono_small, display };
constexpr int kTypes = 9;

struct TypeFace {
  ImFont* font = nullptr;
  float size = 14;  // logical pixels
};

class Fonts {
 public:
  /// Texts are spelt in ASCII if no font is found, or if look_for_fonts is false.
  explicit Fonts(float scale, bool look_for_fonts = true);

  const TypeFace& of(Type type) const { return faces_[static_cast<size_t>(type)]; }
  /// True: the font lacks our signs, so texts must go through to_ascii (ascii.h).
  bool ascii_only() const { return ascii_only_; }
  float width(Type type, std::string_view text) const;
  /// The text as this font can show it; it ends with "…" if it would be wider than max_width.
  std::string fit(Type type, std::string_view text, float max_width) const;
  std::string spelt(std::string_view text) const;

 private:
  std::array<TypeFace, kTypes> faces_;
  bool ascii_only_ = false;
};

}  // namespace lastrow::ui
