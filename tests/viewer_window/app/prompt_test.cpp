// The boxes and lists with real keys and clicks: type, be refused, correct, run; click words; open a file.
#include <doctest/doctest.h>

#include "viewer_window/driving.h"

using namespace lastrow::ui;

namespace {

auto open(bool yes) {
  return [yes](const json& s) { return s.value("prompt_open", !yes) == yes; };
}

auto box(const char* name, json value) {
  return [=](const json& s) { return !s["prompt_box"].is_null() && s["prompt_box"][name] == value; };
}

/// The field takes the keyboard in its first frames.
void open_prompt(ViewerWindow& viewer) {
  viewer.key("i");
  REQUIRE(viewer.becomes(open(true)));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
}

// Places in the prompt box at 1440 × 900; pictures show where.
constexpr float kRunX = 1036, kRunY = 207, kFirstWordX = 301, kFirstWordY = 449, kWarmerX = 478,
                kWarmerY = 382;

}  // namespace

TEST_CASE("type, be refused, correct, run: the field keeps the keyboard and its text") {
  if (display() == nullptr) return;
  const Folder folder("window_refused");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  open_prompt(viewer);
  viewer.type("the brown fox_");  // the old text is selected, so typing replaces it
  REQUIRE(viewer.becomes(box("text", "the brown fox_")));
  CHECK(viewer.state()["prompt_error"] != "");  // while typing
  viewer.key("Return");
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  CHECK(viewer.state()["prompt_open"] == true);
  CHECK(viewer.state()["prompt"] == "the quick brown fox");
  viewer.key("BackSpace");  // only the last sign goes: nothing is selected
  REQUIRE(viewer.becomes(box("text", "the brown fox")));
  CHECK(viewer.state()["prompt_error"] == "");
  CHECK(viewer.state()["prompt_box"]["count"] == "3 of 256 tokens");
  viewer.type(" jumps");
  REQUIRE(viewer.becomes(box("text", "the brown fox jumps")));
  viewer.key("Return");
  CHECK(viewer.becomes(field("prompt", "the brown fox jumps")));
  CHECK(viewer.becomes(open(false)));
  open_prompt(viewer);
  viewer.type("cow");
  REQUIRE(viewer.becomes(box("text", "cow")));
  viewer.key("Escape");
  CHECK(viewer.becomes(open(false)));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  CHECK(viewer.state()["notice"].is_null());
  CHECK(viewer.state()["prompt"] == "the brown fox jumps");
}

TEST_CASE("words are clicked, then typing goes on; Run runs, with a higher temperature") {
  if (display() == nullptr) return;
  const Folder folder("window_words");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  open_prompt(viewer);
  viewer.type("the fox and");
  REQUIRE(viewer.becomes(box("text", "the fox and")));
  viewer.click(kFirstWordX, kFirstWordY);
  REQUIRE(viewer.becomes(box("text", "the fox and a ")));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  viewer.type("dog");
  REQUIRE(viewer.becomes(box("text", "the fox and a dog")));
  viewer.click(kWarmerX, kWarmerY);
  REQUIRE(viewer.becomes(box("temperature", "0.1")));
  viewer.click(kRunX, kRunY);
  CHECK(viewer.becomes(field("prompt", "the fox and a dog")));
  CHECK(viewer.becomes([](const json& s) { return s["sampling"]["text"] == "temperature 0.1 · seed 1"; }));
  CHECK(viewer.becomes(open(false)));
}

TEST_CASE("Esc closes a list that a click opened, and a click beside it does too") {
  if (display() == nullptr) return;
  const Folder folder("window_lists");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  viewer.click(60, 61);
  REQUIRE(viewer.becomes(field("open_choices", "models")));
  viewer.key("Escape");
  CHECK(viewer.becomes(field("open_choices", "none")));
  viewer.click(60, 79);
  REQUIRE(viewer.becomes(field("open_choices", "backends")));
  viewer.click(800, 500);
  CHECK(viewer.becomes(field("open_choices", "none")));
  CHECK_FALSE(viewer.state()["inspector"].contains("pinned"));  // the click only closed the list
  viewer.click(60, 61);
  REQUIRE(viewer.becomes(field("open_choices", "models")));
  viewer.click(60, 123);  // the second entry
  CHECK(viewer.becomes(field("model", "fable-gqa")));
}

TEST_CASE("Ctrl+O opens a box for a file; a wrong one is refused in it, Esc leaves it") {
  if (display() == nullptr) return;
  const Folder folder("window_file");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  viewer.key("ctrl+o");
  REQUIRE(viewer.becomes([](const json& s) { return !s["file_box"].is_null(); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  viewer.type("/nowhere/x.safetensors");
  viewer.key("Return");
  CHECK(
      viewer.becomes([](const json& s) { return !s["file_box"].is_null() && s["file_box"]["error"] != ""; }));
  CHECK(viewer.state()["file_box"]["path"] == "/nowhere/x.safetensors");  // no key was lost
  CHECK(viewer.state()["model"] == "fable-mha");
  viewer.key("ctrl+o");  // another box with the texts of its own
  viewer.key("Escape");
  CHECK(viewer.becomes(field("file_box", nullptr)));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  CHECK(viewer.state()["notice"].is_null());  // Esc gives a field its old text back; that is no message
}
