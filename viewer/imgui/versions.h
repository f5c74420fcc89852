// Where Dear ImGui's interface differs between 1.86, which Debian 12 has, and the newest release (1.92.9b): one
// name for both. Only window.cpp, for keys and mouse, and rasterizer.cpp, for the atlas, also ask for the version.
//
// From 1.92 on ImGui makes glyphs when they are first drawn, in the size and for the scale in which they are
// drawn. Before, the atlas is built once, in pixels of the framebuffer, and FontGlobalScale undoes the scale.
#pragma once

#include <imgui.h>
#include <imgui_internal.h>

namespace lastrow::ui {

inline constexpr bool kGlyphsOnDemand = IMGUI_VERSION_NUM >= 19200;

inline int list_count(const ImDrawData& data) {
#if IMGUI_VERSION_NUM < 19200
  return data.CmdListsCount;
#else
  return data.CmdLists.Size;
#endif
}

/// From 1.87 on ImGui takes one key or click a frame: it needs more frames for the rest that came with it.
inline bool input_waits() {
#if IMGUI_VERSION_NUM < 18700
  return false;
#else
  return !ImGui::GetCurrentContext()->InputEventsQueue.empty();
#endif
}

inline void set_font_scale([[maybe_unused]] float scale) {
#if IMGUI_VERSION_NUM < 19200
  ImGui::GetIO().FontGlobalScale = scale;
#endif
}

inline void build_atlas([[maybe_unused]] ImFontAtlas& atlas) {
#if IMGUI_VERSION_NUM < 19200
  atlas.Build();
#endif
}

/// One logical pixel of this font's texts is `scale` pixels wide.
inline void make_glyphs_for([[maybe_unused]] ImFont& font, [[maybe_unused]] float scale) {
#if IMGUI_VERSION_NUM >= 19200
  font.CurrentRasterizerDensity = scale;
#endif
}

inline bool has_glyph(ImFont& font, ImWchar code) {
#if IMGUI_VERSION_NUM < 19200
  return font.FindGlyphNoFallback(code) != nullptr;
#else
  return font.IsGlyphInFont(code);
#endif
}

/// Call it for a context without a window. The code that draws its frames then uses font_texture() (rasterizer.h).
inline void draw_without_backend() {
#if IMGUI_VERSION_NUM >= 19200
  constexpr int kSide = 1024;  // room for all our glyphs, so the texture is never replaced within a frame
  ImGui::GetIO().BackendFlags |= ImGuiBackendFlags_RendererHasTextures;
  ImGui::GetIO().Fonts->TexMinWidth = kSide;
  ImGui::GetIO().Fonts->TexMinHeight = 2 * kSide;
#endif
}

/// For texts that ImGui draws itself. size: in logical pixels, the size for which the font was made.
inline void push_font(ImFont* font, [[maybe_unused]] float size) {
#if IMGUI_VERSION_NUM < 19200
  ImGui::PushFont(font);
#else
  ImGui::PushFont(font, size);
#endif
}

inline void add_frame(ImDrawList& list, ImVec2 a, ImVec2 b, ImU32 color, float radius, float thickness) {
#if IMGUI_VERSION_NUM < 19280
  list.AddRect(a, b, color, radius, 0, thickness);
#else
  list.AddRect(a, b, color, radius, thickness);
#endif
}

inline void stroke_path(ImDrawList& list, ImU32 color, float thickness) {
#if IMGUI_VERSION_NUM < 19280
  list.PathStroke(color, 0, thickness);
#else
  list.PathStroke(color, thickness);
#endif
}

inline void add_polyline(ImDrawList& list, const ImVec2* points, int n, ImU32 color, float thickness) {
#if IMGUI_VERSION_NUM < 19280
  list.AddPolyline(points, n, color, ImDrawFlags_None, thickness);
#else
  list.AddPolyline(points, n, color, thickness);
#endif
}

}  // namespace lastrow::ui
