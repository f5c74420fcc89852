// Stepping: back equals forward, scales stay, marks say what is repetition, a full context says so.
#include <doctest/doctest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/viewer/recording_host.h"
#include "tests/viewer/stopwatch.h"
#include "viewer/small_controllers.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

ControllerOptions with(const std::string& model, const std::string& prompt, int step) {
  ControllerOptions o;
  o.model = model;
  o.prompt = prompt;
  o.step = step;
  return o;
}

/// The state without what time measures.
std::string timeless(const ViewState& view) {
  auto j = nlohmann::json::parse(to_json(view));
  for (auto& c : j["costs"])
    if (c.value("name", "") == "time") c = nullptr;
  j["last_step"] = nullptr;  // grows with what has been run, whatever is shown
  return j.dump();
}

}  // namespace

TEST_CASE("a step reached backwards is the step reached forwards, bit for bit") {
  Controller controller(with(kSmall, "a b c", 0));
  std::vector<std::string> forward;
  for (int step = 0; step <= 6; ++step) {
    controller.send(GoToStep{step, false});
    forward.push_back(timeless(*controller.settle()));
  }
  for (int step = 6; step >= 0; --step) {
    CAPTURE(step);
    controller.send(GoToStep{step, false});
    CHECK(timeless(*controller.settle()) == forward[size_t(step)]);
  }
  controller.send(GoToStep{5, false});
  CHECK(timeless(*controller.settle()) == forward[5]);
}

TEST_CASE("the value scale stays from step to step and is the same in both panes") {
  Controller controller(with("fable-mha", "the quick brown fox", 0));
  const auto first = controller.settle();
  for (int step = 0; step <= 12; ++step) {
    controller.send(GoToStep{step, false});
    const auto view = controller.settle();
    CHECK(view->legend.value_scale == first->legend.value_scale);
    for (const PaneState& pane : view->panes) {
      CHECK(pane.q.scale == first->panes[0].q.scale);
      CHECK(pane.k.scale == first->panes[0].k.scale);
      CHECK(pane.v.scale == first->panes[0].v.scale);
      CHECK(pane.scores.scale == first->panes[0].scores.scale);
      CHECK(pane.output.scale == first->panes[0].output.scale);
    }
  }
}

TEST_CASE("rows that were there a step ago are marked: the same bits, or so many ULP") {
  ControllerOptions o = with("fable-mha", "the quick brown fox", 4);
  o.backend = "naive";
  Controller controller(o);
  controller.send(GoToBeat{Beat::append});
  const auto view = controller.settle();
  for (int i = 0; i < 7; ++i) {
    CHECK(view->panes[0].k.rows[size_t(i)].repeat_text == "same bits");
    CHECK(view->panes[1].q.rows[size_t(i)].repeat_text == "same bits");
    CHECK(view->panes[1].k.rows[size_t(i)].repeat_text == "same bits");
    CHECK(view->panes[0].q.rows[size_t(i)].repeat_text == "");  // absent: nothing to compare
  }
  CHECK(view->panes[1].q.rows[7].repeat_text == "");  // new: nothing before it
}

TEST_CASE("a full context is said, and what was generated stays") {
  Controller controller(with(kSmall, "a b c", 0));
  controller.send(GoToStep{99, false});
  auto view = controller.settle();
  CHECK(view->n_tokens == 12);
  CHECK(view->transport.step == 9);
  CHECK(view->transport.context_full);
  REQUIRE(view->notice);
  CHECK(view->notice->text ==
        "the context of 12 tokens is full at decode 9: start again with a shorter prompt");
  controller.send(ChangeStep{-1});
  view = controller.settle();
  CHECK(view->transport.step == 8);
  CHECK_FALSE(view->notice);
  controller.send(GoToStep{0, true});
  CHECK(controller.settle()->transport.step == 9);
  // The next beat past the end has nowhere to go.
  controller.send(ChangeBeat{+1});
  view = controller.settle();
  CHECK(view->transport.step == 9);
  CHECK(view->notice);
}

TEST_CASE("before the first step there is nothing, and it is said") {
  Controller controller(with(kSmall, "a b c", 0));
  controller.settle();
  controller.send(ChangeStep{-1});
  const auto view = controller.settle();
  CHECK(view->transport.step == 0);
  REQUIRE(view->notice);
  CHECK(view->notice->text == "this is the first step: the prefill");
}

TEST_CASE("layers and heads have limits, and a request beyond them changes nothing") {
  Controller controller(with(kSmall, "a b c", 2));
  controller.settle();
  controller.send(SetLayer{1});
  controller.send(SetHead{2});
  for (const Command& command : {Command(SetLayer{3}), Command(SetHead{4})}) {
    controller.send(command);
    const auto view = controller.settle();
    CHECK(view->layer == 1);
    CHECK(view->head == 2);
    REQUIRE(view->notice);
    CHECK(view->notice->kind == NoticeKind::error);
    controller.send(DismissNotice{});
  }
  controller.send(ChangeLayer{-9});
  controller.send(ChangeHead{-9});
  auto view = controller.settle();
  CHECK(view->layer == 0);
  CHECK(view->head == 0);
  controller.send(SetLayer{-1});
  CHECK(controller.settle()->layer == 2);
}

TEST_CASE("a prompt that cannot be read leaves all as it was and says where it fails") {
  Controller controller(with("fable-mha", "the quick brown fox", 2));
  const std::string before = timeless(*controller.settle());
  controller.send(OpenPrompt{true});
  for (const std::string bad : {"the quick § fox", "", "   ", "größer"}) {
    CAPTURE(bad);
    controller.send(SetPrompt{bad});
    const auto view = controller.settle();
    CHECK(view->prompt == "the quick brown fox");
    CHECK(view->prompt_box.open);
    CHECK(view->prompt_box.error != "");
    CHECK(view->tokens[3].text == "fox");
  }
  controller.send(OpenPrompt{false});
  CHECK(timeless(*controller.settle()) == before);
  controller.send(OpenPrompt{true});
  controller.send(SetPrompt{"the brown dog"});
  const auto view = controller.settle();
  CHECK(view->prompt == "the brown dog");
  CHECK_FALSE(view->prompt_box.open);
  CHECK(view->transport.step == 2);
}

TEST_CASE("a prompt longer than the context, an unknown model or backend: one line, and all as it was") {
  Controller controller(with(kSmall, "a b c", 1));
  controller.settle();
  const std::vector<Command> wrong = {
      SetPrompt{"a b c d e f g h i j k l m"}, SetModel{"fable-nope"}, SetModel{"random:heads=banana"},
      SetModel{"/nowhere/model.safetensors"}, SetBackend{"abacus"},   SetBackend{"cuda"}};
  for (size_t i = 0; i < wrong.size(); ++i) {
    CAPTURE(i);
    controller.send(wrong[i]);
    const auto view = controller.settle();
    REQUIRE(view->notice);
    CHECK(view->notice->text.find('\n') == std::string::npos);
    CHECK(view->model == kSmall);
    CHECK(view->prompt == "a b c");
    CHECK(view->backend == "eigen");
    CHECK(view->n_tokens == 4);
  }
  controller.send(SetBackend{"naive"});
  CHECK(controller.settle()->backend == "naive");
}

TEST_CASE("a program that starts with a wrong model still has a window that says so") {
  Controller controller(with("fable-nope", "the fox", 1));
  auto view = controller.settle();
  CHECK_FALSE(view->ready);
  REQUIRE(view->notice);
  controller.send(SetModel{kSmall});
  view = controller.settle();
  CHECK(view->ready);
  CHECK(view->layer == 2);
}

TEST_CASE("one token, and a prompt that fills the context") {
  Controller one(with(kSmall, "a", 0));
  auto view = one.settle();
  CHECK(view->transport.banner == "Prefill · position 0 · 1 key");
  CHECK(view->panes[0].weights.at(0, 0) == 1.0f);
  one.send(ChangeStep{+1});
  view = one.settle();
  CHECK(view->panes[0].k.rows.size() == 2);
  Controller full(with(kSmall, "a b c d e f g h i j k l", 0));
  view = full.settle();
  CHECK(view->n_tokens == 12);
  CHECK(view->transport.context_full);
}

TEST_CASE("long work can be cancelled, and leaves the step that is shown as it was") {
  Controller controller(with(kSmall, "a b c", 2));
  const std::string before = timeless(*controller.settle());
  controller.send(
      SetModel{"random:layers=24,q_heads=16,kv_heads=16,head_dim=64,vocab=256,context=512,seed=2"});
  controller.send(CancelWork{});
  const auto view = controller.settle();
  // Loading a model cannot be stopped, but its steps can.
  // In both cases the screen shows the old picture, or all of the new one.
  CHECK(view->ready);
  if (view->model == kSmall) {
    controller.send(DismissNotice{});
    CHECK(timeless(*controller.settle()) == before);
  } else {
    CHECK(view->n_layers == 24);
  }
}

TEST_CASE("superseded work stops within 100 ms, shows nothing, and leaves no notice") {
  // One prefill takes seconds in the emulator.
  const std::string slow = "random:layers=24,q_heads=8,kv_heads=8,head_dim=16,vocab=64,context=512,seed=2";
  std::string prompt = "a";
  for (int i = 1; i < 254; ++i) prompt += " b";
  Controller controller(with(kSmall, "a b c", 2));
  const std::string before = timeless(*controller.settle());
  for (const char* backend : {"cuda-emulated", "naive-f64"}) {
    CAPTURE(backend);
    controller.send(SetPrompt{prompt});
    controller.send(SetModel{slow});
    controller.send(SetBackend{backend});
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const auto busy = controller.frame(0);
    for (const Choice& c : busy.view->models) CHECK(c.selected == (c.name == busy.view->model));
    const Stopwatch watch;
    controller.send(SetPrompt{"a b c"});
    controller.send(SetModel{kSmall});
    controller.send(SetBackend{"eigen"});
    const auto view = controller.settle();
    CHECK(watch.seconds() < 0.2);  // half of it is for opening the small model again
    CHECK_FALSE(view->notice);
    CHECK(view->model == kSmall);
    CHECK(timeless(*view) == before);
  }
}

TEST_CASE("Enter scrambles the row whose menu is open") {
  Controller controller;
  controller.settle();
  controller.send(OpenPokeMenu{{Mode::cached, Part::k, 3, -1}});
  controller.send(Confirm{});
  const auto view = controller.settle();
  CHECK_FALSE(view->poke_menu);
  CHECK_FALSE(view->tour.active);
  CHECK(view->pokes_text.find("k[3] scrambled") != std::string::npos);
}

TEST_CASE("after the tour the user's own text is back; the first text is left for the tour's last picture") {
  Controller controller;
  controller.settle();
  controller.send(StartTour{});
  controller.frame(0.1);
  controller.send(Escape{});
  CHECK(controller.settle()->notice == std::nullopt);
  controller.send(SetPrompt{"the cat"});
  controller.settle();
  controller.send(GoToStep{7});
  controller.settle();
  controller.send(StartTour{});
  for (int i = 0; i < 10; ++i) {
    controller.frame(0.2 + 0.01 * i);
    controller.finish_work();
  }
  REQUIRE(controller.settle()->prompt != "the cat");
  controller.send(Escape{});
  const auto view = controller.settle();
  CHECK(view->prompt == "the cat");
  CHECK(view->transport.step == 7);
}

TEST_CASE("Esc cancels work that shows its progress, and the old picture stays") {
  Controller controller(with(kSmall, "a b c", 2));
  controller.settle();
  controller.send(SetModel{"random:layers=24,q_heads=8,kv_heads=8,head_dim=16,vocab=64,context=512,seed=2"});
  controller.send(SetBackend{"cuda-emulated"});
  controller.frame(1);
  REQUIRE(controller.frame(2).view->busy.active);
  controller.send(Escape{});
  const auto view = controller.settle();
  CHECK(view->model == kSmall);
  CHECK_FALSE(view->busy.active);
}
