#include "viewer/app/picture_writer.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "core/error.h"
#include "viewer/app/checks.h"
#include "viewer/platform/image.h"
#include "viewer/platform/window.h"

namespace lastrow::ui {

namespace {

namespace fs = std::filesystem;

constexpr int kLeastPictureWidth = 640, kLeastPictureHeight = 480, kMostSide = 16384;

}  // namespace

PictureWriter::PictureWriter(std::string folder, int width, int height) : folder_(std::move(folder)) {
  PictureWriter::resize(width, height);
}

void PictureWriter::shot(const std::string& name, const view::ViewState& view) {
  screen().set_scale(scale_of(view));
  const auto copy = std::make_shared<const view::ViewState>(view);
  write(path_for(name), encode_png(screen_->draw_picture(copy, width_, height_)));
  ++pictures_;
}

void PictureWriter::resize(int width, int height) {
  if (width < kLeastPictureWidth || height < kLeastPictureHeight || width > kMostSide || height > kMostSide)
    throw UsageError("size {}×{}: choose from {}×{} to {}×{}", width, height, kLeastPictureWidth,
                     kLeastPictureHeight, kMostSide, kMostSide);
  width_ = width;
  height_ = height;
}

float PictureWriter::scale_of(const view::ViewState& view) const {
  const float scale = scale_for(width_, height_, 1);
  return scale *
         lecture_zoom({static_cast<float>(width_) / scale, static_cast<float>(height_) / scale}, view);
}

int PictureWriter::rows_that_fit(const view::ViewState& view) {
  const float scale = scale_of(view);
  return ui::rows_that_fit({static_cast<float>(width_) / scale, static_cast<float>(height_) / scale}, view);
}

void PictureWriter::row_shown(int row, const view::ViewState& view) {
  if (!row_prefix_.empty()) shot(row_picture(row_prefix_, row), view);
}

void PictureWriter::write(const std::string& path, std::string_view bytes) {
  auto file = std::make_unique<AtomicFile>(path);
  file->write(bytes);
  if (!holds_) return file->commit();
  file->finish();
  held_.push_back(std::move(file));
}

void PictureWriter::commit() {
  std::vector<AtomicFile*> files;
  for (const auto& file : held_) files.push_back(file.get());
  commit_all(files);
  held_.clear();
}

std::string PictureWriter::free_name() {
  for (int i = 1;; ++i) {
    std::string name = fmt::format("lastrow-{}.png", i);
    if (!fs::exists(path_for(name))) return name;
  }
}

PictureWriter::~PictureWriter() {
  held_.clear();  // removes temporary files
  std::error_code ignored;
  for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder)
    if (fs::is_empty(*folder, ignored)) fs::remove(*folder, ignored);
}

std::string PictureWriter::path_for(const std::string& name) {
  const fs::path path = fs::path(folder_) / name;
  std::error_code error;
  fs::path missing;
  for (const fs::path& part : path.parent_path()) {
    missing /= part;
    if (!fs::exists(missing, error) && fs::create_directory(missing, error))
      made_.push_back(missing.string());
  }
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
  if (error)
    throw FileError("{}: cannot be created ({}): choose another folder with --out", folder_, error.message());
  return path.string();
}

Screen& PictureWriter::screen() {
  if (!screen_) screen_ = std::make_unique<Screen>(scale_for(width_, height_, 1));
  return *screen_;
}

}  // namespace lastrow::ui
