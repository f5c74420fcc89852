#include "viewer/platform/rasterizer.h"

#include <imgui.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "viewer/imgui/versions.h"
#include "viewer/platform/damage.h"

namespace lastrow::ui {
namespace {

constexpr int64_t kSub = 256;  // subpixel steps in one pixel

struct Vertex {
  int64_t x, y;                // 1/256 pixel
  float u, v;                  // texels, shifted so that the centres of texels are whole numbers
  std::array<float, 4> color;  // 0–255, not premultiplied
};

int64_t snap(float pixels) { return static_cast<int64_t>(std::lround(pixels * float{kSub})); }

/// The first pixel whose centre is at this subpixel coordinate or to its right.
int first_pixel(int64_t sub) { return static_cast<int>((sub + kSub / 2 - 1) >> 8); }

int64_t floor_div(int64_t a, int64_t b) { return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0); }
int64_t ceil_div(int64_t a, int64_t b) { return -floor_div(-a, b); }

void blend(uint8_t* pixel, const std::array<float, 4>& color, float coverage) {
  const int alpha = static_cast<int>(color[3] * coverage + 0.5f);
  if (alpha <= 0) return;
  for (size_t c = 0; c < 3; ++c) {
    const int source = static_cast<int>(color[c] + 0.5f), old = pixel[c];
    pixel[c] = static_cast<uint8_t>((source * alpha + old * (255 - alpha) + 127) / 255);
  }
}

class Painter {
 public:
  Painter(const AlphaTexture& texture, Image& image) : texture_(texture), image_(image) {}

  void set_clip(const PixelRect& clip) { clip_ = clip; }

  /// a and c: two opposite corners.
  void rectangle(const Vertex& a, const Vertex& c) {
    const Vertex& left = a.x <= c.x ? a : c;
    const Vertex& right = a.x <= c.x ? c : a;
    const Vertex& top = a.y <= c.y ? a : c;
    const Vertex& bottom = a.y <= c.y ? c : a;
    const int x0 = std::max(clip_.x0, first_pixel(left.x)), x1 = std::min(clip_.x1, first_pixel(right.x));
    const int y0 = std::max(clip_.y0, first_pixel(top.y)), y1 = std::min(clip_.y1, first_pixel(bottom.y));
    if (x0 >= x1 || y0 >= y1) return;
    if (a.u == c.u && a.v == c.v) {
      fill(x0, y0, x1, y1, a.color, sample(a.u, a.v));
      return;
    }
    const float du = (right.u - left.u) / static_cast<float>(right.x - left.x) * float{kSub};
    const float dv = (bottom.v - top.v) / static_cast<float>(bottom.y - top.y) * float{kSub};
    for (int y = y0; y < y1; ++y) {
      const float v = top.v + (static_cast<float>(y) + 0.5f - static_cast<float>(top.y) / float{kSub}) * dv;
      float u = left.u + (static_cast<float>(x0) + 0.5f - static_cast<float>(left.x) / float{kSub}) * du;
      uint8_t* pixel = image_.pixel(x0, y);
      for (int x = x0; x < x1; ++x, pixel += 4, u += du) blend(pixel, a.color, sample(u, v));
    }
  }

  void triangle(const Vertex& a, const Vertex& b_in, const Vertex& c_in) {
    int64_t area = (b_in.x - a.x) * (c_in.y - a.y) - (c_in.x - a.x) * (b_in.y - a.y);
    if (area == 0) return;
    const Vertex& b = area > 0 ? b_in : c_in;
    const Vertex& c = area > 0 ? c_in : b_in;
    area = std::abs(area);
    const std::array<const Vertex*, 3> v{&a, &b, &c};
    const int y0 = std::max(clip_.y0, first_pixel(std::min({a.y, b.y, c.y})));
    const int y1 = std::min(clip_.y1, first_pixel(std::max({a.y, b.y, c.y})) + 1);
    const bool plain =
        a.color == b.color && a.color == c.color && a.u == b.u && a.u == c.u && a.v == b.v && a.v == c.v;
    const float plain_coverage = plain ? sample(a.u, a.v) : 0;
    for (int y = y0; y < y1; ++y) {
      int64_t first = clip_.x0, last = clip_.x1 - 1;
      std::array<int64_t, 3> at_zero{};  // edge i, opposite vertex i, at the centre of pixel (0, y)
      std::array<int64_t, 3> step{};
      for (size_t i = 0; i < 3; ++i) {
        const Vertex &p = *v[(i + 1) % 3], &q = *v[(i + 2) % 3];
        const int64_t dx = q.x - p.x, dy = q.y - p.y;
        at_zero[i] = dx * (int64_t{y} * kSub + kSub / 2 - p.y) - dy * (kSub / 2 - p.x);
        step[i] = -dy * kSub;
        const bool top_left = dy < 0 || (dy == 0 && dx > 0);
        const int64_t inside = at_zero[i] - (top_left ? 0 : 1);
        if (step[i] > 0)
          first = std::max(first, ceil_div(-inside, step[i]));
        else if (step[i] < 0)
          last = std::min(last, floor_div(inside, -step[i]));
        else if (inside < 0)
          last = first - 1;
      }
      if (first > last) continue;
      if (plain) {
        fill(static_cast<int>(first), y, static_cast<int>(last) + 1, y + 1, a.color, plain_coverage);
      } else {
        span(v, at_zero, step, area, y, static_cast<int>(first), static_cast<int>(last));
      }
    }
  }

 private:
  void fill(int x0, int y0, int x1, int y1, const std::array<float, 4>& color, float coverage) {
    const bool opaque = color[3] * coverage >= 254.5f;
    const std::array<uint8_t, 4> solid{static_cast<uint8_t>(color[0]), static_cast<uint8_t>(color[1]),
                                       static_cast<uint8_t>(color[2]), 255};
    for (int y = y0; y < y1; ++y) {
      uint8_t* pixel = image_.pixel(x0, y);
      if (opaque)
        for (int x = x0; x < x1; ++x, pixel += 4) std::copy(solid.begin(), solid.end(), pixel);
      else
        for (int x = x0; x < x1; ++x, pixel += 4) blend(pixel, color, coverage);
    }
  }

  void span(const std::array<const Vertex*, 3>& v, const std::array<int64_t, 3>& at_zero,
            const std::array<int64_t, 3>& step, int64_t area, int y, int first, int last) {
    uint8_t* pixel = image_.pixel(first, y);
    for (int x = first; x <= last; ++x, pixel += 4) {
      std::array<float, 3> w{};
      for (size_t i = 0; i < 3; ++i)
        w[i] = static_cast<float>(at_zero[i] + step[i] * x) / static_cast<float>(area);
      std::array<float, 4> color{};
      for (size_t c = 0; c < 4; ++c)
        color[c] = w[0] * v[0]->color[c] + w[1] * v[1]->color[c] + w[2] * v[2]->color[c];
      const float coverage = sample(w[0] * v[0]->u + w[1] * v[1]->u + w[2] * v[2]->u,
                                    w[0] * v[0]->v + w[1] * v[1]->v + w[2] * v[2]->v);
      blend(pixel, color, coverage);
    }
  }

  /// Bilinear, clamped at the border; 0–1.
  float sample(float u, float v) const {
    u = std::clamp(u, 0.0f, static_cast<float>(texture_.width - 1));
    v = std::clamp(v, 0.0f, static_cast<float>(texture_.height - 1));
    const int x = static_cast<int>(u), y = static_cast<int>(v);
    const float fx = u - static_cast<float>(x), fy = v - static_cast<float>(y);
    const int x_next = std::min(x + 1, texture_.width - 1), y_next = std::min(y + 1, texture_.height - 1);
    const uint8_t* row = texture_.alpha.data() + static_cast<size_t>(y) * static_cast<size_t>(texture_.width);
    const uint8_t* below =
        texture_.alpha.data() + static_cast<size_t>(y_next) * static_cast<size_t>(texture_.width);
    const float upper = float(row[x]) * (1 - fx) + float(row[x_next]) * fx;
    const float lower = float(below[x]) * (1 - fx) + float(below[x_next]) * fx;
    return (upper * (1 - fy) + lower * fy) * (1.0f / 255);
  }

  const AlphaTexture& texture_;
  Image& image_;
  PixelRect clip_;
};

/// Whether the triangles (0 1 2)(0 2 3) form an upright rectangle of one colour,
/// as ImGui's PrimRect makes it.
bool is_rectangle(const ImDrawIdx* i, const ImDrawVert* v) {
  if (i[3] != i[0] || i[4] != i[2]) return false;
  const ImDrawVert &a = v[i[0]], &b = v[i[1]], &c = v[i[2]], &d = v[i[5]];
  return a.col == b.col && a.col == c.col && a.col == d.col && a.pos.x == d.pos.x && b.pos.x == c.pos.x &&
         a.pos.y == b.pos.y && c.pos.y == d.pos.y && a.uv.x == d.uv.x && b.uv.x == c.uv.x &&
         a.uv.y == b.uv.y && c.uv.y == d.uv.y;
}

}  // namespace

AlphaTexture font_texture() {
  AlphaTexture texture;
#if IMGUI_VERSION_NUM < 19200
  unsigned char* pixels = nullptr;
  ImGui::GetIO().Fonts->GetTexDataAsAlpha8(&pixels, &texture.width, &texture.height);
  LASTROW_CHECK(pixels != nullptr, "the font atlas has no pixels");
  texture.alpha.assign(pixels,
                       pixels + static_cast<size_t>(texture.width) * static_cast<size_t>(texture.height));
#else
  ImTextureData& data = *ImGui::GetIO().Fonts->TexData;
  texture.width = data.Width;
  texture.height = data.Height;
  const auto n = static_cast<size_t>(data.Width) * static_cast<size_t>(data.Height);
  const auto bytes = static_cast<size_t>(data.BytesPerPixel);  // alpha is the last of each pixel
  texture.alpha.resize(n);
  for (size_t i = 0; i < n; ++i) texture.alpha[i] = data.Pixels[i * bytes + bytes - 1];
  data.SetTexID(1);
  data.SetStatus(ImTextureStatus_OK);
#endif
  return texture;
}

void rasterize(const ImDrawData& data, const AlphaTexture& texture, Image& image) {
  const ImVec2 origin = data.DisplayPos, scale = data.FramebufferScale;
  const auto texels_x = static_cast<float>(texture.width), texels_y = static_cast<float>(texture.height);
  const auto vertex = [&](const ImDrawVert& v) {
    return Vertex{snap((v.pos.x - origin.x) * scale.x),
                  snap((v.pos.y - origin.y) * scale.y),
                  v.uv.x * texels_x - 0.5f,
                  v.uv.y * texels_y - 0.5f,
                  {static_cast<float>((v.col >> IM_COL32_R_SHIFT) & 255),
                   static_cast<float>((v.col >> IM_COL32_G_SHIFT) & 255),
                   static_cast<float>((v.col >> IM_COL32_B_SHIFT) & 255),
                   static_cast<float>((v.col >> IM_COL32_A_SHIFT) & 255)}};
  };
  Painter painter(texture, image);
  for (int n = 0; n < list_count(data); ++n) {
    const ImDrawList& list = *data.CmdLists[n];
    for (const ImDrawCmd& command : list.CmdBuffer) {
      if (command.UserCallback != nullptr) continue;
      painter.set_clip(clip_of(command, data).common({0, 0, image.width, image.height}));
      const ImDrawIdx* index = list.IdxBuffer.Data + command.IdxOffset;
      const ImDrawVert* vertices = list.VtxBuffer.Data + command.VtxOffset;
      for (unsigned i = 0; i + 2 < command.ElemCount;) {
        if (i + 5 < command.ElemCount && is_rectangle(index + i, vertices)) {
          painter.rectangle(vertex(vertices[index[i]]), vertex(vertices[index[i + 2]]));
          i += 6;
        } else {
          painter.triangle(vertex(vertices[index[i]]), vertex(vertices[index[i + 1]]),
                           vertex(vertices[index[i + 2]]));
          i += 3;
        }
      }
    }
  }
}

Image rendered_picture(const AlphaTexture& texture, uint32_t background) {
  const ImDrawData* data = ImGui::GetDrawData();
  LASTROW_CHECK(data != nullptr && data->Valid, "no frame was rendered");
  Image image(static_cast<int>(std::lround(data->DisplaySize.x * data->FramebufferScale.x)),
              static_cast<int>(std::lround(data->DisplaySize.y * data->FramebufferScale.y)));
  for (size_t i = 0; i < image.rgba.size(); i += 4)
    for (size_t c = 0; c < 4; ++c) image.rgba[i + c] = static_cast<uint8_t>((background >> (8 * c)) & 255);
  rasterize(*data, texture, image);
  return image;
}

}  // namespace lastrow::ui
