#include "viewer/platform/damage.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "viewer/imgui/versions.h"

namespace lastrow::ui {
namespace {

constexpr int kTile = 16;                  // pixels
constexpr size_t kMostRectangles = 24;     // each costs a pass over what is drawn
constexpr double kNearlyEverything = 0.7;  // of the screen: then all of it is drawn

constexpr uint64_t mixed(uint64_t a, uint64_t b) {
  uint64_t x = (a ^ std::rotl(b, 29)) * 0x9E3779B97F4A7C15u;
  x ^= x >> 32;
  return x * 0xD6E8FEB86659FD93u;
}

uint64_t hash_of(const ImDrawVert& v) {
  uint64_t position = 0, texel = 0;
  std::memcpy(&position, &v.pos, sizeof position);
  std::memcpy(&texel, &v.uv, sizeof texel);
  return mixed(mixed(position, texel), v.col);
}

// As std::floor and std::ceil, without a call: processors of the oldest x86-64 have no instruction for them.
int floor_of(float x) {
  const float in_range = std::clamp(x, -1e6f, 1e6f);
  const int toward_zero = static_cast<int>(in_range);
  return toward_zero - (static_cast<float>(toward_zero) > in_range ? 1 : 0);
}
int ceil_of(float x) { return -floor_of(-x); }

/// The pixels that three vertices or a rectangle of four may touch.
PixelRect around(std::initializer_list<const ImDrawVert*> vertices, const ImDrawData& data) {
  float x0 = (*vertices.begin())->pos.x, y0 = (*vertices.begin())->pos.y, x1 = x0, y1 = y0;
  for (const ImDrawVert* v : vertices) {
    x0 = std::min(x0, v->pos.x);
    x1 = std::max(x1, v->pos.x);
    y0 = std::min(y0, v->pos.y);
    y1 = std::max(y1, v->pos.y);
  }
  const ImVec2 origin = data.DisplayPos, scale = data.FramebufferScale;
  return {floor_of((x0 - origin.x) * scale.x), floor_of((y0 - origin.y) * scale.y),
          ceil_of((x1 - origin.x) * scale.x), ceil_of((y1 - origin.y) * scale.y)};
}

/// Calls each(bounds in pixels, first index, number of indices) for the triangles of a command;
/// two triangles that make a rectangle come together.
template <typename Each>
void for_shapes(const ImDrawList& list, const ImDrawCmd& command, const ImDrawData& data, Each each) {
  const ImDrawVert* v = list.VtxBuffer.Data + command.VtxOffset;
  const ImDrawIdx* all = list.IdxBuffer.Data + command.IdxOffset;
  for (unsigned k = 0; k + 2 < command.ElemCount;) {
    const ImDrawIdx* i = all + k;
    const bool pair = k + 5 < command.ElemCount && i[3] == i[0] && i[4] == i[2];
    const PixelRect place = pair ? around({v + i[0], v + i[1], v + i[2], v + i[5]}, data)
                                 : around({v + i[0], v + i[1], v + i[2]}, data);
    each(place, k, pair ? 6u : 3u);
    k += pair ? 6 : 3;
  }
}

bool draws(const ImDrawCmd& command) { return command.UserCallback == nullptr && command.ElemCount > 0; }

}  // namespace

PixelRect PixelRect::common(const PixelRect& r) const {
  return {std::max(x0, r.x0), std::max(y0, r.y0), std::min(x1, r.x1), std::min(y1, r.y1)};
}

PixelRect PixelRect::around(const PixelRect& r) const {
  return {std::min(x0, r.x0), std::min(y0, r.y0), std::max(x1, r.x1), std::max(y1, r.y1)};
}

PixelRect screen_of(const ImDrawData& data) {
  return {0, 0, static_cast<int>(data.DisplaySize.x * data.FramebufferScale.x),
          static_cast<int>(data.DisplaySize.y * data.FramebufferScale.y)};
}

PixelRect clip_of(const ImDrawCmd& command, const ImDrawData& data) {
  const ImVec2 origin = data.DisplayPos, scale = data.FramebufferScale;
  const float x0 = (command.ClipRect.x - origin.x) * scale.x, y0 = (command.ClipRect.y - origin.y) * scale.y,
              x1 = (command.ClipRect.z - origin.x) * scale.x, y1 = (command.ClipRect.w - origin.y) * scale.y;
  const PixelRect screen = screen_of(data);
  const int left = static_cast<int>(x0), width = static_cast<int>(x1 - x0);
  const int below = static_cast<int>(static_cast<float>(screen.y1) - y1), height = static_cast<int>(y1 - y0);
  return screen.common({left, screen.y1 - below - height, left + width, screen.y1 - below});
}

// ---- what has changed

const std::vector<PixelRect>& Damage::update(const ImDrawData& data, uint32_t background) {
  const PixelRect screen = screen_of(data);
  const bool known = !hashes_.empty() && screen == screen_;
  screen_ = screen;
  columns_ = (screen.x1 + kTile - 1) / kTile;
  rows_ = (screen.y1 + kTile - 1) / kTile;
  std::swap(hashes_, before_);
  hash_all(data, background);
  changed_.clear();
  if (!known) {
    changed_.push_back(screen);
    return changed_;
  }
  merge_changed_tiles();
  int64_t area = 0;
  for (const PixelRect& r : changed_) area += r.area();
  if (static_cast<double>(area) > kNearlyEverything * static_cast<double>(screen.area()))
    changed_.assign(1, screen);
  return changed_;
}

void Damage::hash_all(const ImDrawData& data, uint32_t background) {
  hashes_.assign(static_cast<size_t>(columns_) * static_cast<size_t>(rows_), background);
  for (int n = 0; n < list_count(data); ++n) hash_list(*data.CmdLists[n], data);
}

void Damage::hash_list(const ImDrawList& list, const ImDrawData& data) {
  vertex_hashes_.resize(static_cast<size_t>(list.VtxBuffer.Size));
  std::transform(list.VtxBuffer.begin(), list.VtxBuffer.end(), vertex_hashes_.begin(), hash_of);
  for (const ImDrawCmd& command : list.CmdBuffer) {
    if (!draws(command)) continue;
    const PixelRect clip = clip_of(command, data);
    const uint64_t of_clip =
        mixed(mixed(uint64_t(clip.x0) << 32 | uint64_t(clip.y0), uint64_t(clip.x1)), uint64_t(clip.y1));
    const uint64_t* vertices = vertex_hashes_.data() + command.VtxOffset;
    const ImDrawIdx* index = list.IdxBuffer.Data + command.IdxOffset;
    for_shapes(list, command, data, [&](const PixelRect& place, unsigned first, unsigned count) {
      const PixelRect visible = place.common(clip);
      if (visible.empty()) return;
      uint64_t hash = of_clip;
      for (unsigned i = first; i < first + count; ++i) hash = mixed(hash, vertices[index[i]]);
      mix_into(visible, hash);
    });
  }
}

void Damage::mix_into(const PixelRect& place, uint64_t hash) {
  const int last_column = std::min(columns_ - 1, (place.x1 - 1) / kTile),
            last_row = std::min(rows_ - 1, (place.y1 - 1) / kTile);
  for (int row = place.y0 / kTile; row <= last_row; ++row)
    for (int column = place.x0 / kTile; column <= last_column; ++column) {
      uint64_t& tile = hashes_[static_cast<size_t>(row * columns_ + column)];
      tile = mixed(tile, hash);
    }
}

/// Makes a rectangle of each run of changed tiles in a row of tiles. If the row above has a run of the same
/// columns, its rectangle grows down instead.
void Damage::merge_changed_tiles() {
  for (int row = 0; row < rows_; ++row)
    for (int column = 0; column < columns_; ++column) {
      const auto differs = [&](int c) {
        const auto i = static_cast<size_t>(row * columns_ + c);
        return c < columns_ && hashes_[i] != before_[i];
      };
      if (!differs(column)) continue;
      const int first = column;
      while (differs(column)) ++column;
      const PixelRect run = screen_.common({first * kTile, row * kTile, column * kTile, (row + 1) * kTile});
      const auto above = std::find_if(changed_.begin(), changed_.end(), [&](const PixelRect& r) {
        return r.x0 == run.x0 && r.x1 == run.x1 && r.y1 == run.y0;
      });
      if (above != changed_.end())
        above->y1 = run.y1;
      else
        changed_.push_back(run);
    }
  while (changed_.size() > kMostRectangles) merge_two();
}

/// Merges the two rectangles whose union adds the fewest pixels, and every rectangle that overlaps the union.
void Damage::merge_two() {
  size_t best_a = 0, best_b = 1;
  int64_t least = std::numeric_limits<int64_t>::max();
  for (size_t b = 1; b < changed_.size(); ++b)
    for (size_t a = 0; a < b; ++a) {
      const int64_t added = changed_[a].around(changed_[b]).area() - changed_[a].area() - changed_[b].area();
      if (added >= least) continue;
      least = added;
      best_a = a;
      best_b = b;
    }
  PixelRect all = changed_[best_a].around(changed_[best_b]);
  const auto meets = [&](const PixelRect& r) { return !r.common(all).empty(); };
  for (;;) {
    const auto met = std::find_if(changed_.begin(), changed_.end(), meets);
    if (met == changed_.end()) break;
    all = all.around(*met);
    changed_.erase(met);
  }
  changed_.push_back(all);
}

// ---- drawing only that

bool OnlyIn::possible(const ImDrawData& data) {
  const float scale = data.FramebufferScale.x;
  return scale == data.FramebufferScale.y && (scale == 1 || scale == 2 || scale == 4);
}

OnlyIn::OnlyIn(const ImDrawData& data, std::span<const PixelRect> places) {
  const ImVec2 origin = data.DisplayPos, scale = data.FramebufferScale;
  kept_.reserve(static_cast<size_t>(list_count(data)));
  struct Shape {
    PixelRect bounds;
    unsigned first, count;  // of the command's indices
  };
  std::vector<Shape> shapes;  // of one command
  for (int n = 0; n < list_count(data); ++n) {
    ImDrawList& list = *data.CmdLists[n];
    Kept& kept = kept_.emplace_back();
    kept.list = &list;
    for (const ImDrawCmd& command : list.CmdBuffer) {
      if (!draws(command)) continue;
      const PixelRect clip = clip_of(command, data);
      shapes.clear();
      for_shapes(list, command, data, [&](const PixelRect& bounds, unsigned first, unsigned count) {
        if (!bounds.common(clip).empty()) shapes.push_back({bounds, first, count});
      });
      for (const PixelRect& place : places) {
        const PixelRect part = clip.common(place);
        if (part.empty()) continue;
        ImDrawCmd cut = command;
        cut.ClipRect = {origin.x + static_cast<float>(part.x0) / scale.x,
                        origin.y + static_cast<float>(part.y0) / scale.y,
                        origin.x + static_cast<float>(part.x1) / scale.x,
                        origin.y + static_cast<float>(part.y1) / scale.y};
        cut.IdxOffset = static_cast<unsigned>(kept.indices.Size);
        for (const Shape& shape : shapes) {
          if (shape.bounds.common(part).empty()) continue;
          const ImDrawIdx* index = list.IdxBuffer.Data + command.IdxOffset + shape.first;
          for (unsigned i = 0; i < shape.count; ++i) kept.indices.push_back(index[i]);
        }
        cut.ElemCount = static_cast<unsigned>(kept.indices.Size) - cut.IdxOffset;
        if (cut.ElemCount > 0) kept.commands.push_back(cut);
      }
    }
    list.CmdBuffer.swap(kept.commands);
    list.IdxBuffer.swap(kept.indices);
  }
}

OnlyIn::~OnlyIn() {
  for (Kept& kept : kept_) {
    kept.list->CmdBuffer.swap(kept.commands);
    kept.list->IdxBuffer.swap(kept.indices);
  }
}

}  // namespace lastrow::ui
