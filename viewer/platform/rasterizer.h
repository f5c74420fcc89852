// Draws ImGui's triangles without a GPU, so that pictures need no display and no OpenGL.
//
// Call order: build the font atlas once; in each frame ImGui::Render(), then
// rasterize(*ImGui::GetDrawData(), …).
//
// It follows the rules of OpenGL: vertices are snapped to 1/256 pixel, a pixel is drawn if its centre is
// inside (top-left rule), colours and texture coordinates are interpolated linearly, the font atlas is
// sampled bilinearly, and blending is source-over in 8 bits. Equal draw data give equal bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "viewer/platform/image.h"

struct ImDrawData;

namespace lastrow::ui {

/// The font atlas, which is the only texture. Its colour is white, so only alpha is kept.
struct AlphaTexture {
  int width = 0, height = 0;
  std::vector<uint8_t> alpha;  // [height, width]
};

/// A copy of the current font atlas. The atlas must have been built.
AlphaTexture font_texture();

/// Draws over the picture; its size is DisplaySize × FramebufferScale. User callbacks are not called.
void rasterize(const ImDrawData& data, const AlphaTexture& texture, Image& image);

/// A picture of the last rendered frame on a background of one colour (0xAABBGGRR).
Image rendered_picture(const AlphaTexture& texture, uint32_t background);

}  // namespace lastrow::ui
