// Steps that are too large to keep whole: what is held of them has the bits of the whole step.
#include <doctest/doctest.h>

#include <chrono>
#include <cstring>

#include "tests/viewer/recording_host.h"
#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/run/sessions.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

// With 600 tokens, scores and weights take 3 layers · 8 heads · 600² · 8 bytes: too much for a whole step.
constexpr const char* kModel =
    "random:layers=3,q_heads=8,kv_heads=2,head_dim=8,ffn=16,vocab=64,context=700,seed=5";

std::string prompt_of(int n) {
  std::string prompt = "w1";
  for (int i = 1; i < n; ++i) prompt += " w" + std::to_string(i % 60);
  return prompt;
}

Goal goal_at(int step, Focus focus) { return {kModel, prompt_of(598), "eigen", step, {}, {}, focus}; }

bool same(const float* a, const float* b, int n) {
  return std::memcmp(a, b, sizeof(float) * static_cast<size_t>(n)) == 0;
}

/// Every row of scores and weights of one layer and head, computed by windows.
std::vector<float> all_rows(Sessions& sessions, int step, int layer, int head) {
  std::vector<float> rows;
  for (int first = 0; first < 598 + step; first += kMostFocusRows) {
    const Outcome o = sessions.reach(goal_at(step, {layer, head, first, kMostFocusRows}));
    REQUIRE(o.snapshot);
    const SideData& s = o.snapshot->now->side(Mode::recompute);
    const int n = o.snapshot->now->n_tokens;
    for (int t = static_cast<int>(rows.size()) / (2 * n); t < std::min(first + kMostFocusRows, n); ++t) {
      const float *score = score_row(s, layer, head, t, n), *prob = prob_row(s, layer, head, t, n);
      REQUIRE(score);
      REQUIRE(prob);
      rows.insert(rows.end(), score, score + n);
      rows.insert(rows.end(), prob, prob + n);
    }
  }
  return rows;
}

}  // namespace

TEST_CASE("a step of 600 tokens: rows of the head in focus, the last row of every head, all q, k, v") {
  Progress progress;
  Sessions sessions(progress);
  const Outcome o = sessions.reach(goal_at(2, {1, 3, 100, 40}));
  REQUIRE(o.snapshot);
  const StepData& step = *o.snapshot->now;
  CHECK_FALSE(step.whole);
  CHECK(step.bytes() < kWholeStepBytes);
  CHECK_FALSE(o.snapshot->previous);
  const SideData& all = step.side(Mode::recompute);
  const SideData& cached = step.side(Mode::cached);
  const Setup& setup = *o.snapshot->setup;
  CHECK(score_row(all, 1, 3, 99, 600) == nullptr);
  CHECK(score_row(all, 1, 3, 100, 600) != nullptr);
  CHECK(score_row(all, 1, 3, 139, 600) != nullptr);
  CHECK(score_row(all, 1, 3, 140, 600) == nullptr);
  CHECK(score_row(all, 1, 2, 100, 600) == nullptr);
  CHECK(score_row(cached, 1, 3, 100, 600) == nullptr);
  for (int layer = 0; layer < 3; ++layer)
    for (int head = 0; head < 8; ++head) {
      REQUIRE(prob_row(all, layer, head, 599, 600));
      REQUIRE(prob_row(cached, layer, head, 599, 600));
      CHECK(q_row(setup, all, layer, head, 0) != nullptr);
    }
  const auto reduced = reduced_weights(setup, all, 1, 3, 600);
  REQUIRE(reduced);
  CHECK(reduced->n_rows[0] == reduced->first(1));
  CHECK(reduced_weights(setup, all, 1, 2, 600) == nullptr);
  CHECK(reduced_weights(setup, cached, 1, 3, 600)->n_rows[63] == 1);
  // Each row of weights must give the output that the attend wrote.
  const float* p = prob_row(all, 1, 3, 120, 600);
  for (int d = 0; d < 8; ++d) {
    double sum = 0;
    for (int s = 0; s <= 120; ++s) sum += double{p[s]} * double{v_row(setup, all, 1, 0, s)[d]};
    CHECK(sum == doctest::Approx(double(out_row(setup, all, 1, 3, 120)[d])).epsilon(1e-4));
  }
}

TEST_CASE("windows, heads and layers in any order have the same bits, and the bins agree with the rows") {
  Progress progress, other_progress;
  Sessions sessions(progress), other(other_progress);
  const std::vector<float> rows = all_rows(sessions, 1, 2, 5);
  REQUIRE(rows.size() == size_t{2} * 599 * 599);
  CHECK(other.reach(goal_at(1, {0, 7, 0, 8})).snapshot);
  CHECK(all_rows(other, 1, 2, 5) == rows);
  const Outcome o = other.reach(goal_at(1, {2, 5, 0, 8}));
  WeightReducer reducer(599);
  for (int t = 0; t < 599; ++t) reducer.add_row(t, rows.data() + size_t(2 * t + 1) * 599);
  const auto bins = reduced_weights(*o.snapshot->setup, o.snapshot->now->side(Mode::recompute), 2, 5, 599);
  CHECK(bins->weights == reducer.take().weights);
  // The last row, which the step itself probed.
  const SideData& s = o.snapshot->now->side(Mode::recompute);
  CHECK(same(prob_row(s, 2, 5, 598, 599), rows.data() + size_t(2 * 598 + 1) * 599, 599));
}

TEST_CASE(
    "a step whose rows are too large keeps those of one layer, with the same bits, and no previous one") {
  const std::string model = "random:layers=3,q_heads=4,kv_heads=2,head_dim=8,vocab=64,context=90,seed=5";
  Progress progress, whole_progress;
  Sessions sessions(progress, {.whole = 0, .rows = 0}), whole(whole_progress);
  for (const int step : {0, 1, 7, 3, 4}) {
    CAPTURE(step);
    for (const int layer : {2, 0, 1, 1}) {
      const Outcome o = sessions.reach({model, prompt_of(70), "eigen", step, {}, {}, {layer, 3, 10, 20}});
      const Outcome all = whole.reach({model, prompt_of(70), "eigen", step});
      REQUIRE(o.snapshot);
      REQUIRE(all.snapshot);
      CHECK(all.snapshot->now->whole);
      CHECK_FALSE(o.snapshot->now->whole);
      CHECK_FALSE(o.snapshot->previous);
      CHECK(o.snapshot->now->tokens == all.snapshot->now->tokens);
      const Setup& setup = *o.snapshot->setup;
      const int n = 70 + step;
      for (const Mode side : {Mode::cached, Mode::recompute}) {
        const SideData &a = o.snapshot->now->side(side), &b = all.snapshot->now->side(side);
        CHECK(a.logits == b.logits);
        for (int l = 0; l < 3; ++l) {
          CHECK((q_row(setup, a, l, 3, n - 1) != nullptr) == (l == layer));
          CHECK(same(score_row(a, l, 1, n - 1, n), score_row(b, l, 1, n - 1, n), n));
          CHECK(same(prob_row(a, l, 1, n - 1, n), prob_row(b, l, 1, n - 1, n), n));
        }
        CHECK(same(k_row(setup, a, layer, 1, 9), k_row(setup, b, layer, 1, 9), 8));
        CHECK(same(v_row(setup, a, layer, 1, 9), v_row(setup, b, layer, 1, 9), 8));
        CHECK(lse_at(setup, a, layer, 3, n - 1) == lse_at(setup, b, layer, 3, n - 1));
        CHECK(reduced_weights(setup, a, layer, 3, n)->weights ==
              reduced_weights(setup, b, layer, 3, n)->weights);
        const float *in_focus = score_row(a, layer, 3, 15, n), *there = score_row(b, layer, 3, 15, n);
        CHECK((in_focus == nullptr) == (there == nullptr));  // with a cache only in the prefill
        if (in_focus) CHECK(same(in_focus, there, n));
      }
    }
  }
}

TEST_CASE("a poke of a large step changes what it reads, and restoring it gives the old bits") {
  Progress progress;
  Sessions sessions(progress);
  Goal goal = goal_at(1, {2, 5, 500, 99});
  const Outcome plain = sessions.reach(goal);
  goal.pokes = {{.what = Poke::What::k, .layer = 2, .position = 3, .when = Poke::When::since}};
  const Outcome poked = sessions.reach(goal);
  REQUIRE(poked.snapshot);
  const SideData& before = poked.snapshot->unpoked->side(Mode::recompute);
  const SideData& after = poked.snapshot->now->side(Mode::recompute);
  CHECK(score_row(before, 2, 5, 520, 599)[3] != score_row(after, 2, 5, 520, 599)[3]);
  CHECK(score_row(before, 2, 5, 520, 599)[4] == score_row(after, 2, 5, 520, 599)[4]);
  goal.pokes.clear();
  const Outcome restored = sessions.reach(goal);
  const SideData& a = plain.snapshot->now->side(Mode::recompute);
  const SideData& b = restored.snapshot->now->side(Mode::recompute);
  CHECK(same(score_row(a, 2, 5, 520, 599), score_row(b, 2, 5, 520, 599), 599));
}

TEST_CASE("looking at another layer or head of a large step asks the worker for it") {
  ControllerOptions options;
  options.model = kModel;
  options.prompt = prompt_of(598);
  options.step = 1;
  Controller controller(options);
  auto view = controller.settle();
  REQUIRE(view->ready);
  CHECK(view->layer == 2);
  const auto shows_weights = [](const ViewState& v) { return !v.panes[1].bars.weights.empty(); };
  CHECK(shows_weights(*view));
  for (const Command& c : {Command{SetLayer{0}}, Command{SetHead{6}}, Command{SetLayer{1}}}) {
    controller.send(c);
    view = controller.settle();
    CHECK(shows_weights(*view));
    CHECK_FALSE(view->notice);
  }
  CHECK(view->layer == 1);
  CHECK(view->head == 6);
}

// Takes minutes, so it runs only when it is asked for: test_viewer --no-skip -tc="*layers × 32 heads"
TEST_CASE("4,096 tokens × 32 layers × 32 heads" * doctest::skip()) {
  using Clock = std::chrono::steady_clock;
  Progress progress;
  Sessions sessions(progress);
  Goal goal{
      "random:layers=32,q_heads=32,kv_heads=8,head_dim=8,model_dim=64,ffn=64,vocab=64,context=4096,seed=5",
      prompt_of(4094), "eigen"};
  const auto reach = [&](const std::string& what) {
    const auto start = Clock::now();
    const Outcome o = sessions.reach(goal);
    REQUIRE(o.snapshot);
    const std::chrono::duration<double> took = Clock::now() - start;
    MESSAGE(what << ": " << took.count() << " s, holds " << static_cast<double>(sessions.bytes()) / 1e6
                 << " MB");
    const SideData& s = o.snapshot->now->side(Mode::recompute);
    const int layer = o.goal.focus.layer, n = o.snapshot->now->n_tokens;
    CHECK(reduced_weights(*o.snapshot->setup, s, layer, o.goal.focus.head, n));
    CHECK(score_row(s, layer, o.goal.focus.head, o.goal.focus.first_row, n));
    CHECK(k_row(*o.snapshot->setup, s, layer, 0, 0));
    CHECK(prob_row(s, 0, 0, n - 1, n));
    CHECK(sessions.bytes() <= kStepRowsBytes + Generation::kRememberedBytes);
  };
  reach("prefill");
  goal.focus = {31, 7, 2000, kFocusRows};
  reach("another head");
  goal.focus = {31, 7, 100, kFocusRows};
  reach("another window");
  goal.focus = {3, 7, 100, kFocusRows};
  reach("another layer");
  goal.step = 1;
  reach("decode 1");
  goal.focus = {9, 1, 100, kFocusRows};
  reach("another layer of a decode step");
}
