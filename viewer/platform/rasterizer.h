// Draws ImGui's triangles without a GPU, so that pictures need no display and no OpenGL.
//
// Call order: build the font atlas; each frame ImGui::Render(); rasterize(*ImGui::GetDrawData(), …).
// The result is what OpenGL's rules give: vertices snapped to 1/256 pixel, a pixel drawn when its centre is
// inside (top-left rule), colours and texture coordinates interpolated linearly, the font atlas sampled
// bilinearly, source-over blending in 8 bits. Equal draw data give equal bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "viewer/platform/image.h"

struct ImDrawData;

namespace lastrow::ui {

/// The font atlas: the only texture that is drawn with. Its colour is white, so alpha alone is kept.
struct AlphaTexture {
  int width = 0, height = 0;
  std::vector<uint8_t> alpha;  // [height, width]
};

/// A copy of the current font atlas, which must have been built.
AlphaTexture font_texture();

/// Draws over the picture, whose size is DisplaySize × FramebufferScale. User callbacks are not called.
void rasterize(const ImDrawData& data, const AlphaTexture& texture, Image& image);

/// A picture of the frame last rendered on a ground of one colour (0xAABBGGRR).
Image picture_of_frame(const AlphaTexture& texture, uint32_t background);

}  // namespace lastrow::ui
