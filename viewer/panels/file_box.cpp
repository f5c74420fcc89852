// The box for the path of a model file, with the files and folders that complete it.
#include <algorithm>

#include "viewer/panels/boxes.h"
#include "viewer/panels/overlay.h"

namespace lastrow::ui {
namespace {

void draw_entry(Panel& panel, const view::FileBox::Entry& entry, int index, Rect row) {
  const Touch touched = touch("file", index, row);
  if (touched.hovered) panel.canvas.fill_round(row, panel.color(panel.hex().hover), 4);
  if (touched.clicked) panel.send(view::OpenPath{entry.path});
  row = row.inset(8, 0);
  Rect icon = row.cut_left(24);
  if (entry.folder) draw_icon(panel.canvas, icon.inset(3, 6), Icon::folder, panel.color(panel.hex().muted));
  panel.canvas.text_in(row.cut_right(90), Type::small, panel.color(panel.hex().muted), entry.detail,
                       Align::right);
  panel.canvas.text_in(row, Type::label, panel.color(panel.hex().text), entry.name);
}

}  // namespace

void draw_file_box(Panel& panel) {
  const view::FileBox& box = panel.view.file_box;
  if (!box.open) return;
  constexpr float kRow = 28, kFixed = 176;
  const Rect& screen = panel.layout.screen;
  const float width = std::min(760.0f, screen.width() - 64);
  const float rows = kRow * static_cast<float>(box.entries.size()) + (box.more.empty() ? 0 : 24);
  const float height = std::min(screen.height() - 96, kFixed + rows);
  const float x = screen.center().x - width / 2, y = std::max(56.0f, (screen.height() - height) / 2 - 40);
  const Rect place{x, y, x + width, y + height};
  take_over_texts(panel, OpenBox::file, box.serial, {{view::Field::path, &box.path}});
  ModalBox modal(panel, "file", place);
  Panel& top = modal.panel();
  const ImU32 ink = top.color(top.hex().text), muted = top.color(top.hex().muted);
  Rect inside = place.inset(20, 12);
  top.canvas.text_in(inside.cut_top(32), Type::sentence, ink, "Open a model");
  top.canvas.text_in(inside.cut_top(22), Type::label, muted, box.help);
  inside.cut_top(6);
  Rect row = inside.cut_top(34);
  if (text_button(top, "close file", row.cut_right(84), "Cancel")) top.send(view::OpenFileBox{false});
  row.cut_right(8);
  if (text_button(top, "open file", row.cut_right(84), "Open", true)) top.send(view::Confirm{});
  row.cut_right(8);
  draw_field(top, view::Field::path, row);
  const bool wrong = !box.error.empty();
  top.canvas.frame_round(row, top.color(wrong ? top.hex().error : top.hex().accent), 4, 1.5f);
  inside.cut_top(6);
  top.canvas.text_lines(inside.cut_top(38), Type::label, wrong ? top.color(top.hex().error) : muted,
                        wrong                    ? box.error
                        : panel.view.busy.active ? panel.view.busy.text
                                                 : box.place,
                        2, 18);
  inside.cut_top(4);
  for (size_t i = 0; i < box.entries.size(); ++i)
    draw_entry(top, box.entries[i], static_cast<int>(i), inside.cut_top(kRow));
  if (!box.more.empty()) top.canvas.text_in(inside.cut_top(24).inset(8, 0), Type::label, muted, box.more);
  finish_fields(top, view::Field::path);
  if (modal.outside()) top.send(view::OpenFileBox{false});
}

}  // namespace lastrow::ui
