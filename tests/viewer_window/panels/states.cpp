#include "viewer_window/panels/states.h"

#include <doctest/doctest.h>

#include <utility>

#include "viewer/view_model/run/run_script.h"
#include "viewer/view_model/script/parse_script.h"
#include "viewer/view_model/script/tour.h"

namespace lastrow::ui {
namespace {

/// `shot NAME.png` makes a state. If you add something to the screen, add its states here.
constexpr const char* kStates = R"(
shot first.png
# each beat of a step
sub start
shot start.png
sub project
shot project.png
sub append
shot append.png
sub score
shot score.png
sub mask
shot mask.png
sub softmax
shot softmax.png
sub sum
shot sum.png
sub next
shot next.png
sub keep
step 0
shot prefill.png
sub start
shot prefill-start.png
sub score
shot prefill-score.png
sub keep
# layers and heads
step 4
layer 0
shot layer-0.png
sub sum
shot layer-0-sum.png
sub keep
layer last
head 0
shot head-0.png
head default
# under the mouse
hover q 3
shot hover-absent-q.png
hover q 7 5
shot hover-q-cell.png
hover recompute q 3 4
shot hover-again-q.png
hover k 3
shot hover-k.png
hover recompute k 2 15
shot hover-again-k-cell.png
hover v 5 0
shot hover-v-cell.png
hover weight 7 3
shot hover-weight.png
hover recompute weight 2 5
shot hover-masked.png
hover token 2
shot hover-token.png
hover output 7 3
shot hover-output.png
hover none
sub score
hover score 7 3
shot hover-score.png
hover none
sub keep
# pinned
pin q 7
shot pin-q.png
pin recompute q 3
shot pin-again-q.png
pin q 2
shot pin-absent-q.png
pin k 3
shot pin-k.png
pin recompute k 1
shot pin-again-k.png
pin v 6 2
shot pin-v.png
pin weight 7 0
shot pin-weight.png
pin output 7 3
shot pin-output.png
pin token 1
shot pin-token.png
sub score
pin recompute score 7 4
shot pin-score.png
pin none
sub keep
# pokes
menu q 3
shot menu-q.png
menu k 7
shot menu-k.png
poke q 3 scramble
shot poked-past-q.png
poke k 3 scramble
shot poked-q-and-k.png
hover k 3
shot poked-hover-k.png
hover none
pin k 3
shot poked-pin-k.png
pin none
restore all
poke q 7 scramble
shot poked-current-q.png
restore all
poke k 2 zero since
shot poked-k-since.png
poke v 3 zero since
shot poked-k-and-v-since.png
layer 1
shot poked-other-layer.png
restore all
poke q 3 scramble
shot poked-lower-layer.png
restore all
layer last
# other models
model fable-gqa
step 6
shot gqa.png
layer 0
head 5
shot gqa-layer-0.png
layer last
poke k 3 scramble
shot gqa-poked.png
restore all
pin k 3
shot gqa-pin.png
pin none
model fable-mqa
shot mqa.png
poke v 3 zero
shot mqa-poked.png
restore all
# lecture mode
key L
shot lecture-mqa.png
model fable-mha
step 4
shot lecture.png
sub start
shot lecture-start.png
sub score
shot lecture-score.png
sub sum
shot lecture-sum.png
sub keep
hover k 3
shot lecture-hover.png
hover none
poke k 3 scramble
shot lecture-poked.png
restore all
step 14
shot lecture-18-tokens.png
sub softmax
shot lecture-18-tokens-softmax.png
sub keep
step 4
key L
# the tab of costs
tab cost
shot tab-cost.png
step 12
cost log
shot tab-cost-log.png
step 20
shot tab-cost-20.png
poke k 3 scramble
shot tab-cost-poked.png
restore all
tab none
step 4
# help
key ?
shot help.png
key ?
)";

/// Caches that forget rows.
constexpr const char* kCacheStates = R"(
cache window:w=4,sinks=2,block=1
step 8
shot ring.png
sub start
shot ring-start.png
sub append
shot ring-append.png
sub mask
shot ring-mask.png
sub sum
shot ring-sum.png
open caches
shot ring-menu.png
key Esc
hover k 4
shot ring-hover.png
hover recompute weight 11 4
shot ring-hover-masked.png
hover none
pin k 4
shot ring-pin.png
pin none
sub keep
poke k 4 scramble since
shot ring-poked.png
restore all
layer 1
shot ring-layer-1.png
layer last
cache budget:rows=4,policy=heavy
step 0
shot budget-prefill.png
step 9
shot budget.png
pin k 3
shot budget-pin.png
pin none
poke k 3 scramble
shot budget-poked.png
restore all
key L
shot budget-lecture.png
key L
tab cost
shot budget-tab.png
tab none
cache budget:rows=3,policy=sinks,sinks=2
step 18
shot budget-sinks.png
cache contiguous:window=5,sinks=1
shot mask-alone.png
cache window:w=20,sinks=4,block=4
step 40
shot ring-44-tokens.png
key Ctrl+Home
shot ring-44-tokens-oldest.png
key Ctrl+End
cache budget:rows=100,policy=random
shot budget-100.png
cache window:w=4,sinks=2,block=1,positions=new
step 1
sub next
shot new-positions-prefill.png
step 11
sub append
shot new-positions-append.png
sub mask
shot new-positions-mask.png
sub keep
pin k 9
shot new-positions-pin.png
pin recompute k 5
shot new-positions-pin-past.png
pin none
hover recompute score 10 9
shot new-positions-hover.png
hover none
open caches
shot new-positions-menu.png
key Esc
cache contiguous
model random:layers=4,q_heads=4,kv_heads=2,head_dim=16,vocab=64,context=32,window=4,window_period=2,seed=3
cache window:block=1
step 6
layer 0
shot some-layers-window.png
layer 1
shot some-layers-full.png
cache contiguous
model fable-mha
layer last
step 4
)";

/// More tokens than fit at once.
constexpr const char* kLongStates = R"(
model fable-mha
prompt "the quick brown fox"
step 5
shot 9-tokens.png
step 12
shot 16-tokens.png
sub score
shot 16-tokens-score.png
sub keep
step 29
shot 33-tokens.png
hover k 20 3
shot 33-tokens-hover.png
hover none
poke k 25 scramble since
shot 33-tokens-poked.png
restore all
step 96
shot 100-tokens.png
sub sum
shot 100-tokens-sum.png
sub keep
pin k 90
shot 100-tokens-pin.png
pin none
step 250
shot 254-tokens.png
sub score
hover recompute score 253 240
shot 254-tokens-score.png
hover none
sub keep
poke v 200 zero
shot 254-tokens-poked.png
restore all
)";

constexpr const char* kLargeModel =
    "random:layers=32,q_heads=32,kv_heads=8,head_dim=16,vocab=64,context=300,seed=3";

class Collector : public view::ScriptHost {
 public:
  explicit Collector(ImVec2 size) : size_(size) {}
  int rows_that_fit(const view::ViewState& view) override {
    const float zoom = lecture_zoom(size_, view);
    return ui::rows_that_fit({size_.x / zoom, size_.y / zoom}, view);
  }
  void shot(const std::string& name, const view::ViewState& view) override {
    add(name.substr(0, name.size() - 4), view);
  }
  void write_state(const std::string&, const std::string&) override {}
  void resize(int, int) override {}
  void row_shown(int row, const view::ViewState& view) override { add("tour-" + std::to_string(row), view); }
  void add(std::string name, view::ViewState view) {
    states.push_back({std::move(name), std::make_shared<const view::ViewState>(std::move(view))});
  }

  std::vector<NamedState> states;

 private:
  ImVec2 size_;
};

void play(view::Controller& controller, const view::Script& script, Collector& into) {
  std::string error;
  const int code = view::run_script(controller, script, into, error);
  REQUIRE_MESSAGE(code == 0, error);
}

/// What a script cannot wait for: boxes with errors, work under way.
void add_moments(view::Controller& controller, Collector& into) {
  controller.send(view::OpenPrompt{true});
  into.add("prompt-box", *controller.settle());
  controller.send(view::SetPrompt{""});
  into.add("prompt-box-error", *controller.settle());
  controller.send(view::OpenPrompt{false});
  view::ViewState view = *controller.settle();
  const auto with_notice = [&](const char* name, const std::string& text, view::NoticeKind kind) {
    view.notice = view::Notice{text, kind};
    into.add(name, view);
    view.notice.reset();
  };
  with_notice("notice", "You have left the tour; Enter starts it again.", view::NoticeKind::info);
  with_notice(
      "notice-error",
      "models/of-the-second-course/a-long-folder-name/llama-3.2-1b-instruct.safetensors: the file ends "
      "after 1,024 of 2,471,645,608 bytes: copy it again, or choose another model",
      view::NoticeKind::error);
  view.busy = {true, "Running decode 212 of 250 …", 0.4, true};
  into.add("busy", view);
}

}  // namespace

std::vector<NamedState> states_of_the_screen(ImVec2 size) {
  Collector all(size);
  view::Controller controller;
  controller.settle();
  play(controller, view::parse_script(kStates, "states"), all);
  play(controller, view::parse_script(kCacheStates, "cache states"), all);
  add_moments(controller, all);
  view::Controller large({.model = kLargeModel, .prompt = "a b c", .step = 9});
  play(large,
       view::parse_script("layer 17\nhead 21\nshot large.png\npoke k 3 zero since\nshot large-poked.png\n",
                          "large"),
       all);
#if !defined(__SANITIZE_ADDRESS__) && defined(NDEBUG)
  play(controller, view::parse_script(kLongStates, "long states"), all);
#endif
  view::Controller tour;
  tour.settle();
  play(tour, view::tour_script(), all);
  return std::move(all.states);
}

}  // namespace lastrow::ui
