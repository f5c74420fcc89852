// Texts fit their places, in DejaVu and, where it is not installed, in ASCII.
#include <doctest/doctest.h>

#include <algorithm>

#include "viewer/draw/ascii.h"
#include "viewer/draw/fonts.h"
#include "viewer/imgui/versions.h"

using namespace lastrow::ui;

namespace {

class Context {
 public:
  Context() : context_(ImGui::CreateContext()) { ImGui::SetCurrentContext(context_); }
  ~Context() { ImGui::DestroyContext(context_); }
  Context(const Context&) = delete;

 private:
  ImGuiContext* context_;
};

bool is_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 128; });
}

constexpr const char* kSigns = "·→×≤≥±√∞Σ①②③④−“”–…≈↑↓←µ";

}  // namespace

TEST_CASE("a text that is too long ends with dots, and never leaves its place") {
  const Context context;
  for (const bool installed : {true, false}) {
    const Fonts fonts(1, installed);
    const std::string text = "K/V head 1, shared by query heads 4–7 · ① √16 × ∞";
    for (const Type type : {Type::small, Type::label_bold, Type::body, Type::sentence, Type::mono})
      for (float width = 0; width < 700; width += 7) {
        const std::string shown = fonts.fit(type, text, width);
        CHECK(fonts.width(type, shown) <= width);
      }
    CHECK(fonts.fit(Type::label, text, 10000) == fonts.spelt(text));
    CHECK(fonts.fit(Type::label, "", 10).empty());
  }
}

TEST_CASE("signs have an ASCII spelling; anything else becomes a question mark") {
  CHECK(to_ascii("① 3× “fox” · k → v ≤ 1 é") == "(1) 3x \"fox\" - k -> v <= 1 ?");
}

TEST_CASE("without DejaVu everything is spelt in ASCII") {
  const Context context;
  const Fonts fonts(1, false);
  CHECK(fonts.ascii_only());
  CHECK(is_ascii(fonts.spelt(kSigns)));
  CHECK(is_ascii(fonts.fit(Type::label, "scores · q·k / √16 · a long line of text", 90)));
}

TEST_CASE("DejaVu has every sign that the texts use") {
  const Context context;
  const Fonts fonts(1);
  if (fonts.ascii_only()) {
    MESSAGE("skipped: the DejaVu fonts are not installed");
    return;
  }
  for (const Type type : {Type::small, Type::label, Type::label_bold, Type::body, Type::sentence}) {
    const std::string signs = kSigns;
    for (size_t i = 0; i < signs.size();) {  // decode UTF-8 of two or three bytes
      const auto byte = [&](size_t k) { return static_cast<unsigned>(static_cast<unsigned char>(signs[k])); };
      const bool three = byte(i) >= 0xE0;
      const unsigned code = three ? (byte(i) & 15) << 12 | (byte(i + 1) & 63) << 6 | (byte(i + 2) & 63)
                                  : (byte(i) & 31) << 6 | (byte(i + 1) & 63);
      CAPTURE(code);
      CHECK(has_glyph(*fonts.of(type).font, static_cast<ImWchar>(code)));
      i += three ? 3 : 2;
    }
  }
}
