// Every state at every beat, in prefill and decode, on both sides, in the last layer and below.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/viewer/recording_host.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

constexpr const char* kPaneModel =
    "random:layers=3,q_heads=4,kv_heads=2,head_dim=8,vocab=64,context=40,seed=3";

ControllerOptions pane_options(int step) {
  ControllerOptions o;
  o.model = kPaneModel;
  o.prompt = "a b c d e";
  o.step = step;
  return o;
}

std::shared_ptr<const ViewState> at(Controller& controller, int layer, Beat beat) {
  controller.send(SetLayer{layer});
  controller.send(GoToBeat{beat});
  return controller.settle();
}

const view::Row& row(const PaneState& pane, Part part, int i) {
  const auto index = static_cast<size_t>(i);
  switch (part) {
    case Part::q:
      return pane.q.rows[index];
    case Part::k:
      return pane.k.rows[index];
    case Part::v:
      return pane.v.rows[index];
    case Part::score:
      return pane.scores.rows[index];
    default:
      return pane.weights.rows[index];
  }
}

}  // namespace

TEST_CASE(
    "decode, with the cache: past queries are absent at every beat, past K and V are there at every beat") {
  Controller controller(pane_options(3));
  for (int layer = 0; layer < 3; ++layer)
    for (const BeatInfo& b : kBeatTable) {
      CAPTURE(b.word);
      const auto view = at(controller, layer, b.beat);
      const PaneState& pane = view->panes[0];
      REQUIRE(pane.n_tokens == 8);
      REQUIRE(view->transport.beat == b.beat);
      for (int i = 0; i < 7; ++i) {
        CHECK(row(pane, Part::q, i).is == State::absent);
        CHECK(row(pane, Part::score, i).is == State::absent);
        CHECK(row(pane, Part::k, i).is == State::from_cache);
        CHECK(row(pane, Part::v, i).is == State::from_cache);
        CHECK(row(pane, Part::k, i).stored);
      }
      const bool projected = b.beat >= Beat::project;
      for (const Part part : {Part::q, Part::k, Part::v})
        CHECK(row(pane, part, 7).is == (projected ? State::computed_now : State::not_yet));
      CHECK(row(pane, Part::k, 7).stored == (b.beat >= Beat::append));
      CHECK(row(pane, Part::score, 7).is == (b.beat >= Beat::score ? State::computed_now : State::not_yet));
      CHECK(row(pane, Part::weight, 7).is ==
            (b.beat >= Beat::softmax ? State::computed_now : State::not_yet));
      CHECK(pane.output.row.is == (b.beat >= Beat::sum ? State::computed_now : State::not_yet));
      // Nothing is masked: the one query sees every key.
      for (int s = 0; s < 8; ++s) CHECK(pane.scores.cell(7, s) != State::masked);
      // Keep: Q and the scores fade, K and V do not.
      if (b.beat == Beat::keep) {
        CHECK(row(pane, Part::q, 7).opacity < 0.5f);
        CHECK(row(pane, Part::score, 7).opacity < 0.5f);
        CHECK(row(pane, Part::k, 7).opacity == 1);
        CHECK(row(pane, Part::v, 0).opacity == 1);
      }
    }
}

TEST_CASE("decode, without: in the last layer past Q is unused and K, V needed; below all is needed") {
  Controller controller(pane_options(3));
  for (int layer = 0; layer < 3; ++layer)
    for (const BeatInfo& b : kBeatTable) {
      CAPTURE(layer);
      CAPTURE(b.word);
      const auto view = at(controller, layer, b.beat);
      const PaneState& pane = view->panes[1];
      const State past_q = layer == 2 ? State::again_unused : State::again_needed;
      for (int i = 0; i < 7; ++i) {
        const bool projected = b.beat >= Beat::project;
        CHECK(row(pane, Part::q, i).is == (projected ? past_q : State::absent));
        CHECK(row(pane, Part::k, i).is == (projected ? State::again_needed : State::absent));
        CHECK(row(pane, Part::v, i).is == (projected ? State::again_needed : State::absent));
        CHECK(row(pane, Part::score, i).is == (b.beat >= Beat::score ? past_q : State::not_yet));
        CHECK_FALSE(row(pane, Part::k, i).stored);
        if (projected && b.beat < Beat::keep && past_q == State::again_unused)
          CHECK(row(pane, Part::q, i).opacity == doctest::Approx(0.4));
        if (b.beat == Beat::keep) CHECK(row(pane, Part::k, i).opacity < 0.5f);  // everything is dropped
      }
      CHECK(row(pane, Part::q, 7).is == (b.beat >= Beat::project ? State::computed_now : State::not_yet));
      for (int t = 0; t < 8; ++t)
        for (int s = t + 1; s < 8; ++s)
          CHECK(pane.scores.cell(t, s) == (b.beat >= Beat::mask ? State::masked : State::not_yet));
      CHECK(pane.sweep_to == (b.beat == Beat::score ? 7 : -1));
    }
}

TEST_CASE("prefill: the same work on both sides, in every layer; only what stays differs") {
  Controller controller(pane_options(0));
  for (int layer = 0; layer < 3; ++layer)
    for (const BeatInfo& b : kBeatTable) {
      CAPTURE(b.word);
      const auto view = at(controller, layer, b.beat);
      for (const Part part : {Part::q, Part::k, Part::v, Part::score, Part::weight})
        for (int i = 0; i < 5; ++i) {
          const State left = row(view->panes[0], part, i).is;
          CHECK(left == row(view->panes[1], part, i).is);
          CHECK((left == State::computed_now || left == State::not_yet));
        }
      if (b.beat >= Beat::mask) CHECK(view->panes[0].scores.cell(1, 2) == State::masked);
    }
  const auto end = at(controller, 2, Beat::keep);
  CHECK(end->transport.banner == "Prefill · positions 0–4 · 5 keys");
  CHECK(end->sentence.text == "Prefill: both sides do the same work; left keeps K and V.");
  CHECK(end->panes[0].k.rows[0].opacity == 1);
  CHECK(end->panes[1].k.rows[0].opacity < 0.5f);
}

TEST_CASE("a beat begins where the one before it ended") {
  Controller controller(pane_options(2));
  for (int layer : {1, 2})
    for (size_t i = 1; i < kBeatTable.size(); ++i) {
      const auto before = at(controller, layer, kBeatTable[i - 1].beat);
      const auto now = at(controller, layer, kBeatTable[i].beat);
      for (size_t side = 0; side < 2; ++side)
        for (const Part part : {Part::q, Part::k, Part::v, Part::score, Part::weight})
          for (int r = 0; r < now->n_tokens; ++r) {
            CHECK(row(now->panes[side], part, r).was == row(before->panes[side], part, r).is);
            CHECK(row(now->panes[side], part, r).opacity_was == row(before->panes[side], part, r).opacity);
            CHECK(row(now->panes[side], part, r).stored_was == row(before->panes[side], part, r).stored);
          }
    }
}

TEST_CASE(
    "what is drawn is what was computed: rows, weights and outputs of both sides agree with each other") {
  Controller controller(pane_options(3));
  const auto view = at(controller, 2, Beat::sum);
  for (const PaneState& pane : view->panes) {
    const int last = pane.n_tokens - 1;
    for (int d = 0; d < view->head_dim; ++d) {
      double sum = 0;
      for (int s = 0; s <= last; ++s) sum += double(pane.weights.at(last, s)) * double(pane.v.at(s, d));
      CHECK(sum == doctest::Approx(double(pane.output.values[size_t(d)])).epsilon(1e-4));
    }
    for (int s = 0; s <= last; ++s) {
      double dot = 0;
      for (int d = 0; d < view->head_dim; ++d) dot += double(pane.q.at(last, d)) * double(pane.k.at(s, d));
      CHECK(dot / std::sqrt(8.0) == doctest::Approx(double(pane.scores.at(last, s))).epsilon(1e-4));
    }
    CHECK(pane.bars.weight_sum == doctest::Approx(1).epsilon(1e-5));
    CHECK(pane.output.v_tint.size() == size_t(pane.n_tokens));
  }
  CHECK(view->panes[0].scores.at(7, 3) == doctest::Approx(view->panes[1].scores.at(7, 3)).epsilon(1e-4));
}

TEST_CASE("titles name the sharing of heads: all, groups, one") {
  const auto sharing = [](const std::string& model, int head) {
    ControllerOptions o;
    o.model = model;
    o.prompt = "the fox";
    o.step = 1;
    Controller controller(o);
    controller.send(SetHead{head});
    return controller.settle();
  };
  const auto mha = sharing("random:layers=1,q_heads=8,kv_heads=8,head_dim=8,seed=1", 5);
  CHECK(mha->panes[0].k.sharing == "K/V head 5, used only by query head 5");
  CHECK(mha->heads.kind == "MHA");
  CHECK(mha->heads.caption == "8 query heads, each with its own K and V");
  const auto gqa = sharing("random:layers=1,q_heads=8,kv_heads=2,head_dim=8,seed=1", 5);
  CHECK(gqa->panes[1].v.sharing == "K/V head 1, shared by query heads 4–7");
  CHECK(gqa->heads.kind == "GQA");
  CHECK(gqa->heads.heads[6].same_group);
  CHECK_FALSE(gqa->heads.heads[3].same_group);
  const auto mqa = sharing("random:layers=1,q_heads=8,kv_heads=1,head_dim=8,seed=1", 5);
  CHECK(mqa->panes[0].k.sharing == "K/V head 0, shared by all 8 query heads");
  CHECK(mqa->heads.kind == "MQA");
  CHECK(mqa->panes[0].q.title() == "Q · after RoPE");
  CHECK(mqa->panes[0].k.title() == "K · after RoPE");
}

TEST_CASE("a pane says whether its tokens are only numbers") {
  CHECK(Controller(pane_options(0)).settle()->panes[0].numbered);
  CHECK_FALSE(Controller(ControllerOptions{}).settle()->panes[0].numbered);
}

TEST_CASE("within a group only Q and the scores change") {
  ControllerOptions o = pane_options(2);
  Controller controller(o);
  controller.send(SetHead{0});
  const auto a = controller.settle();
  controller.send(SetHead{1});
  const auto b = controller.settle();
  CHECK(a->panes[0].k.values == b->panes[0].k.values);
  CHECK(a->panes[1].v.values == b->panes[1].v.values);
  CHECK(a->panes[0].q.values != b->panes[0].q.values);
  CHECK(a->panes[0].scores.values != b->panes[0].scores.values);
}
