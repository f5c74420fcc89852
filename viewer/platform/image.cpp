#include "viewer/platform/image.h"

#include <cstdlib>
#include <cstring>
#include <memory>

#include "core/error.h"
#include "io/atomic_file.h"

// The implementations are private to this file, because the stb library may be linked as well.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wshadow"
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STB_IMAGE_IMPLEMENTATION
#include <stb_image.h>
#pragma GCC diagnostic pop

namespace lastrow::ui {
namespace {

struct FreeDeleter {
  void operator()(void* data) const { std::free(data); }
};

std::vector<uint8_t> without_alpha(const Image& image) {
  const size_t n = static_cast<size_t>(image.width) * static_cast<size_t>(image.height);
  std::vector<uint8_t> rgb(n * 3);
  for (size_t i = 0; i < n; ++i) std::memcpy(&rgb[i * 3], &image.rgba[i * 4], 3);
  return rgb;
}

}  // namespace

std::string encode_png(const Image& image) {
  const std::vector<uint8_t> rgb = without_alpha(image);
  int size = 0;
  stbi_write_png_compression_level = 6;
  const std::unique_ptr<unsigned char, FreeDeleter> png(
      stbi_write_png_to_mem(rgb.data(), image.width * 3, image.width, image.height, 3, &size));
  if (!png)
    throw CapacityError("no memory to write a picture of {}×{}: make it smaller", image.width, image.height);
  return {reinterpret_cast<const char*>(png.get()), static_cast<size_t>(size)};
}

void write_png(const Image& image, const std::string& path) {
  write_text_atomically(path, encode_png(image));
}

Image read_png(const std::string& path) {
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, FreeDeleter> data(stbi_load(path.c_str(), &width, &height, &channels, 4));
  if (!data) throw FileError("{}: not a readable PNG file ({})", path, stbi_failure_reason());
  Image image(width, height);
  std::memcpy(image.rgba.data(), data.get(), image.rgba.size());
  return image;
}

}  // namespace lastrow::ui
