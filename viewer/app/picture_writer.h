// Draws states and writes the pictures, and JSON, into a folder. It draws apart from the window, so the
// window's mouse and menus stay as they are.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/atomic_file.h"
#include "viewer/panels/screen.h"
#include "viewer/view_model/script/script_host.h"

namespace lastrow::ui {

class PictureWriter : public view::ScriptHost {
 public:
  PictureWriter(std::string folder, int width, int height);
  /// Removes folders that it made and that are still empty.
  ~PictureWriter() override;
  PictureWriter(const PictureWriter&) = delete;
  PictureWriter& operator=(const PictureWriter&) = delete;

  void shot(const std::string& name, const view::ViewState& view) override;
  void write_state(const std::string& name, const std::string& json) override { write(path_for(name), json); }
  void resize(int width, int height) override;
  int rows_that_fit(const view::ViewState& view) override;
  void row_shown(int row, const view::ViewState& view) override;

  /// From now on files are written, but get their names only at commit(), all together.
  void hold() { holds_ = true; }
  void commit();
  void write(const std::string& path, std::string_view bytes);

  void picture_each_row(std::string prefix) { row_prefix_ = std::move(prefix); }
  int pictures() const { return pictures_; }
  /// The first of lastrow-1.png, lastrow-2.png, … that does not exist.
  std::string free_name();
  /// Makes the folder if it is missing.
  std::string path_for(const std::string& name);

 private:
  Screen& screen();
  float scale_of(const view::ViewState& view) const;

  bool holds_ = false;
  std::vector<std::unique_ptr<AtomicFile>> held_;
  std::string folder_, row_prefix_;
  std::vector<std::string> made_;  // folders, the outer ones first
  int width_ = 0, height_ = 0, pictures_ = 0;
  std::unique_ptr<Screen> screen_;
};

}  // namespace lastrow::ui
