// The tab Cost in the controller: what it sums is what the sessions count, and its commands.
#include <doctest/doctest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>

#include "registry/registry.h"
#include "session/session.h"
#include "tests/viewer/recording_host.h"
#include "viewer/view_model/run/machine_roof.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

constexpr const char* kCostsModel =
    "random:layers=3,q_heads=4,kv_heads=2,head_dim=8,vocab=64,context=24,seed=3";

ControllerOptions costs_options(int step) {
  ControllerOptions o;
  o.model = kCostsModel;
  o.prompt = "a b c";
  o.step = step;
  return o;
}

/// All records of one side, from a session of its own that is fed the given tokens.
std::vector<StepRecord> records(Mode mode, const std::vector<int32_t>& tokens, int prompt_len) {
  DecodeSession session(load_model(kCostsModel), make_backend("eigen"), {.mode = mode});
  session.start({tokens.begin(), tokens.begin() + prompt_len});
  std::vector<StepRecord> out = {session.advance()};
  for (size_t i = static_cast<size_t>(prompt_len); i < tokens.size(); ++i)
    out.push_back(session.advance(tokens[i]));
  return out;
}

}  // namespace

TEST_CASE("the last sum of a line is the sum of all records of a session that does the same") {
  Controller controller(costs_options(9));
  const auto view = controller.settle();
  std::vector<int32_t> tokens;
  for (const TokenChip& chip : view->tokens)
    if (chip.role != TokenRole::next) tokens.push_back(chip.id);
  REQUIRE(tokens.size() == 12);
  for (const Mode mode : {Mode::cached, Mode::recompute}) {
    int64_t flop = 0, moved = 0;
    for (const StepRecord& r : records(mode, tokens, 3)) {
      flop += r.flop;
      moved += r.weight_bytes + r.cache_bytes_read + r.cache_bytes_written + r.kv_scratch_bytes;
    }
    CHECK(view->cost_curves.lines[static_cast<size_t>(mode)].values.back() == static_cast<double>(flop));
    controller.send(SetCostQuantity{CostQuantity::bytes});
    CHECK(controller.settle()->cost_curves.lines[static_cast<size_t>(mode)].values.back() ==
          static_cast<double>(moved));
  }
}

TEST_CASE("pokes and earlier steps do not change the sums; every step has a time") {
  Controller controller(costs_options(9));
  const auto before = controller.settle();
  controller.send(GoToStep{4, false});
  controller.send(PokeRow{Part::k, 2, Poke::Action::scramble, Poke::When::since});
  controller.send(SetCostQuantity{CostQuantity::time});
  auto view = controller.settle();
  CHECK(view->cost_curves.step == 4);
  CHECK(view->cost_curves.last_step == 9);
  for (const CostLine& line : view->cost_curves.lines) {
    CHECK(line.measured);
    REQUIRE(line.values.size() == 10);
    for (size_t i = 1; i < line.values.size(); ++i) CHECK(line.values[i] > line.values[i - 1]);
  }
  controller.send(SetCostQuantity{CostQuantity::flop});
  view = controller.settle();
  for (size_t side = 0; side < 2; ++side)
    CHECK(view->cost_curves.lines[side].values == before->cost_curves.lines[side].values);
}

TEST_CASE("the tab opens, measures the machine once, and closes") {
  Controller controller(costs_options(2));
  CHECK(controller.settle()->tab == Tab::none);
  CHECK_FALSE(controller.settle()->cost_curves.roofline.measured);
  controller.send(ToggleTab{Tab::cost});
  auto view = controller.settle();
  CHECK(view->tab == Tab::cost);
  REQUIRE(view->cost_curves.roofline.measured);
  const std::string peak = view->cost_curves.roofline.peak_label;
  controller.send(GoToStep{5, false});
  CHECK(controller.settle()->cost_curves.roofline.peak_label == peak);  // the same measurement
  controller.send(SetBackend{"naive"});
  view = controller.settle();
  CHECK(view->cost_curves.roofline.peak_label == peak);
  CHECK(view->cost_curves.roofline.sentence.find("naive") != std::string::npos);
  controller.send(ToggleTab{Tab::cost});
  CHECK(controller.settle()->tab == Tab::none);
}

TEST_CASE(
    "a wrong model with the tab open keeps the roofline that is there, and a later step still has one") {
  Controller controller(costs_options(2));
  controller.settle();
  controller.send(ShowTab{Tab::cost});
  controller.send(SetModel{"no-such-model"});
  controller.settle();
  controller.send(GoToStep{3, false});
  CHECK(controller.settle()->cost_curves.roofline.measured);
}

TEST_CASE("measuring the machine is short, and a cancel stops it") {
  Progress progress;
  const auto start = std::chrono::steady_clock::now();
  const auto roof = measure_machine_roof(progress);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  MESSAGE("measured in ", taken.count(), " s: peak ", roof->peak_gflops, " Gflop/s, caches ",
          roof->small_gbps, " GB/s, memory ", roof->large_gbps, " GB/s");
  CHECK(roof->error == "");
  CHECK(roof->peak_gflops > 0.01);
  CHECK(roof->small_gbps > 0.01);
  CHECK(roof->large_gbps > 0.01);
  progress.stop = true;
  CHECK_THROWS_AS((void)measure_machine_roof(progress), Cancelled);
}

TEST_CASE("a script opens the tab, chooses what it shows, and points at a step") {
  Controller controller(costs_options(6));
  RecordingHost host;
  const auto [code, error] =
      play(controller,
           "tab cost\ncost bytes\ncost log\ncost hover 3\nstate a.json\ncost hover none\n"
           "cost linear\ncost time\nstate b.json\ntab none\nstate c.json\n",
           host);
  REQUIRE_MESSAGE(code == 0, error);
  const auto a = nlohmann::json::parse(host.states.at("a.json"))["cost_curves"];
  CHECK(a["quantity"] == "bytes");
  CHECK(a["scale"] == "log");
  CHECK(a["hover"]["step"] == 3);
  CHECK(a["with"]["values"].size() == 7);
  CHECK(a["roofline"]["measured"] == true);
  const auto b = nlohmann::json::parse(host.states.at("b.json"))["cost_curves"];
  CHECK(b["quantity"] == "time");
  CHECK(b["hover"].is_null());
  const auto c = nlohmann::json::parse(host.states.at("c.json"));
  CHECK(c["tab"] == "none");
  CHECK(c["cost_curves"].is_null());
  const auto [wrong, reason] = play(controller, "cost hover 7\n", host);
  CHECK(wrong == 2);
  CHECK(reason.find("the curve has no step 7") != std::string::npos);
}
