#include "viewer/draw/fonts.h"

#include <cfloat>
#include <filesystem>
#include <vector>

#include "viewer/draw/ascii.h"
#include "viewer/imgui/versions.h"

namespace lastrow::ui {
namespace {

constexpr std::array<float, kTypes> kSizes{12, 14, 14, 16, 16, 22, 15, 12, 40};

constexpr std::array<const char*, kTypes> kFiles{
    "DejaVuSans.ttf",     "DejaVuSans.ttf",      "DejaVuSans-Bold.ttf",
    "DejaVuSans.ttf",     "DejaVuSans-Bold.ttf", "DejaVuSans.ttf",
    "DejaVuSansMono.ttf", "DejaVuSansMono.ttf",  "DejaVuSans-Bold.ttf"};

/// Latin, punctuation, arrows, mathematics, circled digits: all signs in our texts.
constexpr ImWchar kRanges[] = {0x0020, 0x017F, 0x0391, 0x03C9, 0x2010, 0x2027, 0x2030, 0x203A, 0x2070, 0x208E,
                               0x2190, 0x2194, 0x2200, 0x2200, 0x2208, 0x2208, 0x2211, 0x221E, 0x2248, 0x2248,
                               0x2260, 0x2265, 0x2423, 0x2423, 0x2460, 0x2468, 0x25B2, 0x25BE, 0};
/// Digits, signs, × and the dashes.
constexpr ImWchar kNumberRanges[] = {0x0020, 0x003F, 0x00D7, 0x00D7, 0x2012, 0x2014, 0};

std::string find_font(const char* file) {
  namespace fs = std::filesystem;
  std::vector<fs::path> folders{
      "/usr/share/fonts/truetype/dejavu",   "/usr/share/fonts/dejavu", "/usr/share/fonts/TTF",
      "/usr/share/fonts/dejavu-sans-fonts", "/usr/local/share/fonts",  "/Library/Fonts",
      "/opt/homebrew/share/fonts",          "C:/Windows/Fonts"};
  if (const char* home = std::getenv("HOME")) {
    folders.emplace_back(fs::path(home) / ".local/share/fonts");
    folders.emplace_back(fs::path(home) / ".fonts");
  }
  for (const fs::path& folder : folders) {
    std::error_code error;
    if (fs::is_regular_file(folder / file, error)) return (folder / file).string();
  }
  return {};
}

/// The largest length at or below `end` that does not cut a UTF-8 sequence.
size_t whole_characters(std::string_view text, size_t end) {
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return end;
}

}  // namespace

Fonts::Fonts(float scale, bool look_for_fonts) : ascii_only_(!look_for_fonts) {
  ImGuiIO& io = ImGui::GetIO();
  io.Fonts->Clear();
  // Pixels of the framebuffer, or logical ones; see versions.h.
  const float pixels = kGlyphsOnDemand ? 1 : scale;
  if (!kGlyphsOnDemand) set_font_scale(1 / scale);
  for (const char* file : kFiles)
    if (find_font(file).empty()) ascii_only_ = true;
  for (size_t i = 0; i < kFiles.size(); ++i) {
    faces_[i].size = kSizes[i];
    ImFontConfig config;
    config.OversampleH = scale > 1.5f ? 1 : 2;
    config.PixelSnapH = true;
    if (ascii_only_) {
      config.SizePixels = kSizes[i] * pixels;
      faces_[i].font = io.Fonts->AddFontDefault(&config);
    } else {
      faces_[i].font =
          io.Fonts->AddFontFromFileTTF(find_font(kFiles[i]).c_str(), kSizes[i] * pixels, &config,
                                       static_cast<Type>(i) == Type::display ? kNumberRanges : kRanges);
    }
    make_glyphs_for(*faces_[i].font, scale);
  }
  io.FontDefault = of(Type::label).font;
  build_atlas(*io.Fonts);
}

float Fonts::width(Type type, std::string_view text) const {
  const TypeFace& face = of(type);
  return face.font->CalcTextSizeA(face.size, FLT_MAX, 0, text.data(), text.data() + text.size()).x;
}

std::string Fonts::spelt(std::string_view text) const {
  return ascii_only_ ? to_ascii(text) : std::string(text);
}

std::string Fonts::fit(Type type, std::string_view text, float max_width) const {
  const std::string whole = spelt(text);
  if (width(type, whole) <= max_width) return whole;
  const std::string dots = ascii_only_ ? "..." : "…";
  size_t low = 0, high = whole.size();  // the longest prefix that still fits is in [low, high]
  while (low < high) {
    const size_t middle = (low + high + 1) / 2, end = whole_characters(whole, middle);
    if (end > low && width(type, whole.substr(0, end) + dots) <= max_width)
      low = end;
    else
      high = middle - 1;
  }
  if (low == 0) return width(type, dots) <= max_width ? dots : std::string();
  std::string cut = whole.substr(0, low);
  while (!cut.empty() && cut.back() == ' ') cut.pop_back();
  return cut + dots;
}

}  // namespace lastrow::ui
