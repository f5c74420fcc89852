// No text is cut off, and no text covers another: the screen is drawn in many states, at several sizes, and
// each text is measured against the room it got.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <imgui_internal.h>

#include <algorithm>
#include <map>

#include "viewer/draw/text_log.h"
#include "viewer_window/panels/pointed_screen.h"
#include "viewer_window/panels/states.h"

using namespace lastrow::ui;
using lastrow::view::Theme;
using lastrow::view::ViewState;

namespace {

struct Size {
  int width, height;
};
constexpr Size kWindows[] = {{1024, 700}, {1440, 900}, {1920, 1080}, {2560, 1440}};

/// What is wrong, once for each text: the same line in many pictures counts as one.
class Complaints {
 public:
  void add(const std::string& picture, const std::string& kind, std::string text, const std::string& what) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }, '#');
    Entry& entry = entries_[kind + text];
    if (entry.pictures++ == 0) entry.line = fmt::format("{}: {}: {}", picture, kind, what);
  }
  size_t size() const { return entries_.size(); }
  std::string report() const {
    constexpr int kMostLines = 60;
    std::string all;
    int lines = 0;
    for (const auto& [key, entry] : entries_) {
      if (++lines > kMostLines) return all + "…\n";
      all += fmt::format("{}{}\n", entry.line,
                         entry.pictures > 1 ? fmt::format(" (and in {} more)", entry.pictures - 1) : "");
    }
    return all;
  }

 private:
  struct Entry {
    std::string line;
    int pictures = 0;
  };
  std::map<std::string, Entry> entries_;
};

/// The place of the letters, which are lower than their line.
Rect letters(const DrawnText& text) { return text.place.inset(0.5f, text.place.height() * 0.18f); }

bool covers(const Rect& outer, const Rect& inner) {
  constexpr float kTolerance = 1;
  return outer.inset(-kTolerance).contains(inner);
}

void find_cut(const std::string& picture, const TextLog& log, const Rect& screen, Complaints& complaints) {
  for (const DrawnText& text : log.texts) {
    if (text.may_be_cut != nullptr) continue;
    if (text.shortened())
      complaints.add(picture, "cut off", text.text,
                     fmt::format("“{}” is “{}”: has {:.0f}, needs {:.0f}", text.text, text.shown, text.room,
                                 text.needed));
    else if (!covers(text.clip, letters(text)) || !covers(screen, letters(text)))
      complaints.add(picture, "outside", text.text,
                     fmt::format("“{}” at {:.0f}–{:.0f} × {:.0f}–{:.0f} leaves {:.0f}–{:.0f} × {:.0f}–{:.0f}",
                                 text.text, text.place.x0, text.place.x1, text.place.y0, text.place.y1,
                                 text.clip.x0, text.clip.x1, text.clip.y0, text.clip.y1));
  }
}

/// Whether something opaque stands between `below` and `above`, behind all of `above`.
bool on_a_plate(const TextLog& log, const DrawnText& below, const DrawnText& above) {
  return std::any_of(log.grounds.begin(), log.grounds.end(), [&](const DrawnGround& ground) {
    return ground.at.list == above.at.list && ground.at.order > below.at.order &&
           (ground.at.order < above.at.order || ground.at.channel < above.at.channel) &&
           covers(ground.place, letters(above));
  });
}

void find_overlaps(const std::string& picture, const TextLog& log, Complaints& complaints) {
  constexpr float kAllowed = 2;
  for (size_t b = 0; b < log.texts.size(); ++b)
    for (size_t a = 0; a < b; ++a) {
      const DrawnText &first = log.texts[a], &second = log.texts[b];
      if (first.at.list != second.at.list) continue;
      const Rect both = letters(first).common(letters(second));
      if (both.width() <= kAllowed || both.height() <= kAllowed || on_a_plate(log, first, second)) continue;
      complaints.add(picture, "overlap", first.text + second.text,
                     fmt::format("“{}” and “{}” share {:.0f} × {:.0f} at {:.0f}, {:.0f}", first.text,
                                 second.text, both.width(), both.height(), both.x0, both.y0));
    }
}

/// What ImGui draws itself: menus, tooltips, boxes. They lie on the screen, and show all they have.
void find_windows_cut(const std::string& picture, ImGuiContext* context, const Rect& screen,
                      Complaints& complaints) {
  for (const ImGuiWindow* window : context->Windows) {
    if (!window->Active || window->Hidden) continue;
    const Rect place{window->Pos.x, window->Pos.y, window->Pos.x + window->Size.x,
                     window->Pos.y + window->Size.y};
    if (!covers(screen, place)) complaints.add(picture, "window outside", window->Name, window->Name);
    if (window->ScrollMax.x > 0 || window->ScrollMax.y > 0)
      complaints.add(
          picture, "window cut", window->Name,
          fmt::format("{} lacks {:.0f} × {:.0f}", window->Name, window->ScrollMax.x, window->ScrollMax.y));
  }
}

/// A notice and the progress of work come and go by themselves, so they must not hide any text.
void find_covered(const std::string& picture, const TextLog& log, ImGuiContext* context,
                  Complaints& complaints) {
  for (const ImGuiWindow* window : context->Windows) {
    const std::string name = window->Name;
    if (!window->Active || (name != "notice" && name != "busy")) continue;
    const Rect place{window->Pos.x, window->Pos.y, window->Pos.x + window->Size.x,
                     window->Pos.y + window->Size.y};
    for (const DrawnText& text : log.texts)
      if (text.at.list != window->DrawList && !place.common(letters(text)).empty())
        complaints.add(picture, "covered by " + name, text.text, text.text);
  }
}

/// What must be on the screen in every state. A panel that leaves a text out for lack of room is found here.
std::vector<std::string> must_be_there(const ViewState& view) {
  std::vector<std::string> texts = {view.transport.banner, view.legend.poked, view.legend.value_scale};
  if (!view.notice && !view.busy.active) {  // a long message takes the place of the sentence for a moment
    texts.push_back(view.sentence.text);
    texts.push_back(view.sentence.hint);
  }
  for (const auto& entry : view.legend.states) texts.push_back(entry.label);
  for (const auto& [sign, meaning] : view.legend.marks) texts.push_back(sign + " " + meaning);
  if (!view.lecture && view.tab == lastrow::view::Tab::none)
    for (const auto& cost : view.costs)
      for (const std::string* text : {&cost.name, &cost.with, &cost.without, &cost.ratio})
        texts.push_back(*text);
  for (const auto& pane : view.panes) {
    for (const std::string* text :
         {&pane.name, &pane.subtitle, &pane.kept, &pane.beat_note, &pane.difference, &pane.decides_text})
      texts.push_back(*text);
    if (pane.output.row.is != lastrow::view::State::not_yet) texts.push_back(pane.output.title);
    for (const auto& badge : pane.badges) texts.push_back(badge.text);
  }
  std::erase(texts, "");
  return texts;
}

void find_left_out(const std::string& picture, const TextLog& log, const ViewState& view,
                   Complaints& complaints) {
  for (const std::string& text : must_be_there(view))
    if (std::none_of(log.texts.begin(), log.texts.end(),
                     [&](const DrawnText& drawn) { return drawn.text == text; }))
      complaints.add(picture, "left out", text, text);
}

/// Where the mouse is in this state.
std::optional<ImVec2> mouse_of(const ViewState& view, ImVec2 size) {
  if (!view.inspector.hovered) return {};
  const lastrow::view::Target& target = *view.inspector.hovered;
  const Layout layout = make_layout(size, view);
  const Rect place = place_of(layout.panes[static_cast<size_t>(target.side)], target);
  return place.empty() ? std::nullopt : std::optional(place.center());
}

void draw_all(Size size, Complaints& complaints) {
  PointedScreen pointed(size.width, size.height);
  TextLog log;
  pointed.screen().log_texts(&log);
  const ImVec2 plain = pointed.size();
  for (const NamedState& state : states_of_the_screen(plain))
    for (const Theme theme : {Theme::light, Theme::dark}) {
      ViewState view = *state.view;
      view.theme = theme;
      const std::string picture = fmt::format("{} {} × {} {}", state.name, size.width, size.height,
                                              theme == Theme::light ? "light" : "dark");
      pointed.zoom(lecture_zoom(plain, view));
      const Rect screen{0, 0, pointed.size().x, pointed.size().y};
      pointed.point(mouse_of(view, pointed.size()));
      pointed.draw_at_rest(std::make_shared<const ViewState>(view));
      find_cut(picture, log, screen, complaints);
      find_overlaps(picture, log, complaints);
      find_left_out(picture, log, view, complaints);
      find_covered(picture, log, pointed.screen().context(), complaints);
      find_windows_cut(picture, pointed.screen().context(), screen, complaints);
    }
  pointed.screen().log_texts(nullptr);
}

}  // namespace

TEST_CASE("no text is cut off, left out or covered, in any state, at any size, in both themes") {
  for (const Size size : kWindows) {
    Complaints complaints;
    draw_all(size, complaints);
    CHECK_MESSAGE(complaints.size() == 0, size.width, " × ", size.height, ": ", complaints.size(),
                  " texts have no room:\n", complaints.report());
  }
}
