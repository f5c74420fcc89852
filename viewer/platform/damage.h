// Finds what has changed on the screen since the last frame, so that only this part is drawn again. Without a
// GPU most of a frame's time goes into its pixels, and a moving mouse changes few of them.
//
//   Damage damage;
//   const auto& changed = damage.update(data, background);   each frame, after ImGui::Render()
//   if (changed.empty()) …                                   the picture is the same: draw nothing
//   const OnlyIn only(data, changed);                        limits data to these rectangles until destroyed
//
// Draw the rectangles only over the last picture. If it is lost, or if a texture changes, call forget().
//
// The screen is a grid of tiles. Each tile has one hash of everything that is drawn in it, in order. If the
// hash is the same as in the last frame, the tile looks the same. Invariant: clearing the rectangles in the
// last picture and drawing them gives the same bits as drawing everything.
#pragma once

#include <imgui.h>

#include <cstdint>
#include <span>
#include <vector>

namespace lastrow::ui {

/// In pixels of the framebuffer; the end is exclusive, y points down.
struct PixelRect {
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  bool empty() const { return x1 <= x0 || y1 <= y0; }
  PixelRect common(const PixelRect& r) const;
  PixelRect around(const PixelRect& r) const;  // both, and what lies between
  int64_t area() const { return empty() ? 0 : int64_t{x1 - x0} * (y1 - y0); }
  bool operator==(const PixelRect&) const = default;
};

/// The pixels in which a command draws, rounded as ImGui's OpenGL backend rounds them.
PixelRect clip_of(const ImDrawCmd& command, const ImDrawData& data);
PixelRect screen_of(const ImDrawData& data);

class Damage {
 public:
  /// Rectangles that do not overlap and that cover every pixel that may have changed. It is the whole screen
  /// at the first call, after forget(), and when the size has changed.
  const std::vector<PixelRect>& update(const ImDrawData& data, uint32_t background);
  /// Call it when the last picture is lost, or when a texture has changed.
  void forget() { hashes_.clear(); }

 private:
  void hash_all(const ImDrawData& data, uint32_t background);
  void hash_list(const ImDrawList& list, const ImDrawData& data);
  void mix_into(const PixelRect& place, uint64_t hash);
  void merge_changed_tiles();
  void merge_two();

  PixelRect screen_;
  int columns_ = 0, rows_ = 0;
  std::vector<uint64_t> hashes_, before_;  // [rows, columns]
  std::vector<uint64_t> vertex_hashes_;    // of one list
  std::vector<PixelRect> changed_;
};

/// Removes from the draw data what lies outside the rectangles, and clips what crosses their edges. The
/// destructor puts everything back.
class OnlyIn {
 public:
  OnlyIn(const ImDrawData& data, std::span<const PixelRect> places);
  ~OnlyIn();
  OnlyIn(const OnlyIn&) = delete;
  OnlyIn& operator=(const OnlyIn&) = delete;

  /// Scissors are exact only where a pixel is a power of two of a logical pixel; otherwise draw everything.
  static bool possible(const ImDrawData& data);

 private:
  struct Kept {
    ImDrawList* list = nullptr;
    ImVector<ImDrawCmd> commands;
    ImVector<ImDrawIdx> indices;
  };
  std::vector<Kept> kept_;
};

}  // namespace lastrow::ui
