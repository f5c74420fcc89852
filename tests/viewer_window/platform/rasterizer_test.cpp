// Pictures without a GPU: which pixels a shape covers, how colours mix, and files that are whole or absent.
#include <doctest/doctest.h>
#include <imgui.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "viewer/platform/image.h"
#include "viewer/platform/rasterizer.h"

using namespace lastrow::ui;

namespace {

/// An ImGui frame of W × H pixels with a font atlas whose first texel row is white.
class Sheet {
 public:
  Sheet(int width, int height) : image(width, height), context_(ImGui::CreateContext()) {
    ImGui::SetCurrentContext(context_);
    ImGuiIO& io = ImGui::GetIO();
    io.IniFilename = nullptr;
    io.DisplaySize = {static_cast<float>(width), static_cast<float>(height)};
    io.DeltaTime = 1;
    io.Fonts->AddFontDefault();
    io.Fonts->Build();
    ImGui::NewFrame();
  }
  ~Sheet() { ImGui::DestroyContext(context_); }
  static ImDrawList& list() { return *ImGui::GetBackgroundDrawList(); }

  void draw() {
    ImGui::Render();
    rasterize(*ImGui::GetDrawData(), font_texture(), image);
  }
  /// One character a pixel: '#' red, '.' untouched, '+' between.
  std::string rows() const {
    std::string text;
    for (int y = 0; y < image.height; ++y) {
      for (int x = 0; x < image.width; ++x) {
        const int red = image.pixel(x, y)[0];
        text += red == 255 ? '#' : red == 0 ? '.' : '+';
      }
      text += '\n';
    }
    return text;
  }
  Image image;

 private:
  ImGuiContext* context_;
};

constexpr ImU32 kRed = IM_COL32(255, 0, 0, 255);

}  // namespace

TEST_CASE("a rectangle covers the pixels whose centres it holds") {
  Sheet sheet(6, 4);
  Sheet::list().AddRectFilled({1, 1}, {4, 3}, kRed);
  sheet.draw();
  CHECK(sheet.rows() ==
        "......\n"
        ".###..\n"
        ".###..\n"
        "......\n");
}

TEST_CASE("half pixels round to the nearest centre, and neighbours share no pixel") {
  Sheet sheet(6, 1);
  Sheet::list().AddRectFilled({0.4f, 0}, {2.5f, 1}, IM_COL32(255, 0, 0, 128));
  Sheet::list().AddRectFilled({2.5f, 0}, {5.6f, 1}, IM_COL32(255, 0, 0, 128));
  sheet.draw();
  for (int x = 0; x < 6; ++x) CHECK(sheet.image.pixel(x, 0)[0] == 128);
}

TEST_CASE("two triangles of a quad cover each pixel once") {
  Sheet sheet(16, 16);
  ImDrawList& list = Sheet::list();
  list.Flags = ImDrawListFlags_None;  // no soft edges
  list.AddQuadFilled({2.3f, 1.2f}, {14.1f, 3.7f}, {12.9f, 14.6f}, {1.4f, 11.8f}, IM_COL32(255, 0, 0, 128));
  sheet.draw();
  int covered = 0;
  for (int y = 0; y < 16; ++y)
    for (int x = 0; x < 16; ++x) {
      const int red = sheet.image.pixel(x, y)[0];
      CHECK((red == 0 || red == 128));  // 192 would be two layers
      covered += red == 128;
    }
  CHECK(covered > 100);
}

TEST_CASE("what lies outside the clip rectangle or the picture is left alone") {
  Sheet sheet(6, 3);
  ImDrawList& list = Sheet::list();
  list.PushClipRect({2, 0}, {4, 2});
  list.AddRectFilled({-100, -100}, {100, 100}, kRed);
  list.AddTriangleFilled({-50, -50}, {50, 0}, {0, 50}, kRed);
  list.PopClipRect();
  sheet.draw();
  CHECK(sheet.rows() ==
        "..##..\n"
        "..##..\n"
        "......\n");
}

TEST_CASE("colours mix by alpha, and a gradient runs between its corners") {
  Sheet sheet(256, 2);
  ImDrawList& list = Sheet::list();
  list.AddRectFilledMultiColor({0, 0}, {256, 2}, IM_COL32(0, 0, 0, 255), IM_COL32(255, 0, 0, 255),
                               IM_COL32(255, 0, 0, 255), IM_COL32(0, 0, 0, 255));
  sheet.draw();
  for (int x = 0; x < 256; ++x) CHECK(std::abs(sheet.image.pixel(x, 1)[0] - x) <= 1);
}

TEST_CASE("equal frames give equal bytes") {
  const auto picture = [] {
    Sheet sheet(80, 40);
    ImDrawList& list = Sheet::list();
    list.AddText({3, 3}, kRed, "lastrow");
    list.AddCircleFilled({40, 25}, 9.5f, kRed);
    list.AddLine({1, 38}, {77.5f, 19}, kRed, 1.5f);
    sheet.draw();
    return sheet.image.rgba;
  };
  CHECK(picture() == picture());
}

TEST_CASE("a PNG comes back as it was, and appears whole or not at all") {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / "lastrow_rasterizer_test";
  fs::remove_all(folder);
  fs::create_directories(folder);
  Image image(3, 2);
  for (size_t i = 0; i < image.rgba.size(); ++i)
    image.rgba[i] = i % 4 == 3 ? 255 : static_cast<uint8_t>(i * 9);
  write_png(image, (folder / "a.png").string());
  const Image back = read_png((folder / "a.png").string());
  CHECK(back.width == 3);
  CHECK(back.rgba == image.rgba);
  CHECK_THROWS_AS(write_png(image, (folder / "missing" / "a.png").string()), lastrow::FileError);
  std::ofstream(folder / "no.png") << "not a picture";
  CHECK_THROWS_AS(read_png((folder / "no.png").string()), lastrow::FileError);
  CHECK(std::distance(fs::directory_iterator(folder), fs::directory_iterator()) ==
        2);  // nothing half-written
  fs::remove_all(folder);
}
