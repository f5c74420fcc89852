// A picture in memory, and PNG files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lastrow::ui {

/// RGBA, 8 bits each, top row first, no padding.
struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> rgba;  // [height, width, 4]

  Image() = default;
  Image(int w, int h) : width(w), height(h), rgba(static_cast<size_t>(w) * static_cast<size_t>(h) * 4) {}
  uint8_t* pixel(int x, int y) {
    return rgba.data() + (static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)) * 4;
  }
  const uint8_t* pixel(int x, int y) const { return const_cast<Image*>(this)->pixel(x, y); }
};

/// The bytes of a PNG file, without alpha.
std::string encode_png(const Image& image);
/// Writes the picture without its alpha. Throws FileError if it cannot; then no file is left behind.
void write_png(const Image& image, const std::string& path);
/// Throws FileError if the file is missing or is not a PNG.
Image read_png(const std::string& path);

}  // namespace lastrow::ui
