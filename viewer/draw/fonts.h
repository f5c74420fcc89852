// The fonts: DejaVu where it is installed, else ImGui's own with ASCII spellings.
//
//   Fonts fonts(scale);   fills ImGui's font atlas anew; make it before the first frame, or between frames
//   fonts.of(Type::body).size …
#pragma once

#include <imgui.h>

#include <array>
#include <string>
#include <string_view>

namespace lastrow::ui {

/// What a text is, which decides its size: 12 small · 14 label · 16 body · 22 sentence; mono for numbers.
enum class Type { small, label, label_bold, body, body_bold, sentence, mono, mono_small };
constexpr int kTypes = 8;

struct TypeFace {
  ImFont* font = nullptr;
  float size = 14;  // logical pixels
};

class Fonts {
 public:
  /// Without installed fonts, or when they are not to be looked for, texts are spelt in ASCII.
  explicit Fonts(float scale, bool look_for_fonts = true);

  const TypeFace& of(Type type) const { return faces_[static_cast<size_t>(type)]; }
  /// No font with our signs was found: texts must go through to_ascii (ascii.h).
  bool ascii_only() const { return ascii_only_; }
  float width(Type type, std::string_view text) const;
  /// The text as this font can show it, cut with "…" so that it is at most max_width wide.
  std::string fit(Type type, std::string_view text, float max_width) const;
  std::string spelt(std::string_view text) const;

 private:
  std::array<TypeFace, kTypes> faces_;
  bool ascii_only_ = false;
};

}  // namespace lastrow::ui
