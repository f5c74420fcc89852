// What the viewer says about caches that forget rows. The judge is a twin session of its own with the same options.
#include "viewer/view_model/describe/forgetting.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/viewer/recording_host.h"
#include "tests/viewer/twin_at.h"
#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/needed.h"
#include "viewer/view_model/describe/reads.h"
#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/describe/text.h"
#include "viewer/view_model/run/sessions.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

constexpr const char* kPrompt = "the quick brown fox";  // four tokens
constexpr const char* kCaches[] = {"window:w=4,block=1",
                                   "window:w=4,sinks=2,block=1",
                                   "window:w=3,sinks=1,block=4",
                                   "window:w=1",
                                   "contiguous:window=4,sinks=1",
                                   "budget:rows=4",
                                   "budget:rows=4,policy=sinks,sinks=2",
                                   "budget:rows=4,policy=heavy",
                                   "budget:rows=4,policy=random,seed=3",
                                   "budget:rows=1"};

ControllerOptions with(const std::string& cache, int step) {
  ControllerOptions o;
  o.cache = cache_options(cache);
  o.step = step;
  return o;
}

std::shared_ptr<const ViewState> at(Controller& controller, Beat beat) {
  controller.send(GoToBeat{beat});
  return controller.settle();
}

Goal goal_with(const std::string& cache, int step) {
  Goal goal{"fable-mha", kPrompt, "eigen", step};
  goal.cache = cache_options(cache);
  return goal;
}

/// The same steps without the viewer.
std::unique_ptr<TwinSession> same_steps(const std::string& cache, int step) {
  return twin_at("fable-mha", kPrompt, cache, step);
}

}  // namespace

TEST_CASE("a ring of four behind two sinks: every state of K at every beat") {
  Controller controller(with("window:w=4,sinks=2,block=1", 8));  // positions 0 … 11
  for (const BeatInfo& b : kBeatTable) {
    CAPTURE(b.word);
    const auto view = at(controller, b.beat);
    const PaneState &left = view->panes[0], &right = view->panes[1];
    for (const ValueBlock* block : {&left.k, &left.v})
      for (int s = 0; s < 12; ++s) {
        CAPTURE(s);
        const view::Row& row = block->rows[static_cast<size_t>(s)];
        const bool forgotten = s >= 2 && s < 8, evicted_now = s == 8, is_new = s == 11;
        const State expected = forgotten || (evicted_now && b.beat == Beat::keep) ? State::not_stored
                               : !is_new                                          ? State::from_cache
                               : b.beat >= Beat::project                          ? State::computed_now
                                                                                  : State::not_yet;
        CHECK(row.is == expected);
        CHECK(row.stored == (expected == State::from_cache || (is_new && b.beat >= Beat::append)));
        CHECK(left.struck[static_cast<size_t>(s)] == (expected == State::not_stored));
      }
    // A query that is gone is absent, not "not stored". The right side stores nothing, and masks.
    CHECK(left.q.rows[3].is == State::absent);
    if (b.beat < Beat::mask || b.beat == Beat::mask) continue;
    CHECK(left.weights.cell(11, 1) == State::computed_now);
    CHECK(left.weights.cell(11, 5) == State::not_stored);
    CHECK(right.weights.cell(11, 5) == State::masked);
    CHECK(right.weights.cell(11, 1) == right.weights.rows[11].is);
    CHECK(right.weights.cell(7, 11) == State::masked);
    for (const view::Row& row : right.k.rows) CHECK(row.is != State::not_stored);
  }
}

TEST_CASE("position, index and slot are what the session says, after every step of every cache") {
  for (const char* cache : kCaches) {
    CAPTURE(cache);
    Controller controller(with(cache, 0));
    for (int step = 0; step <= 9; ++step) {
      CAPTURE(step);
      controller.send(GoToStep{step});
      const auto view = controller.settle();
      const auto twin = same_steps(cache, step);
      const DecodeSession& session = twin->cached();
      const PaneState& left = view->panes[0];
      CHECK(left.kept == fmt::format("kept after this step: Q 0 · K {0} · V {0}", session.kv_len()));
      std::vector<int> index_at(static_cast<size_t>(view->n_tokens), -1);
      for (int32_t i = 0; i < session.kv_len(); ++i) {
        index_at[static_cast<size_t>(session.position_of(i))] = i;
        if (!left.pool.slots.empty())
          CHECK(left.pool.slots[static_cast<size_t>(session.slot(i))].position == session.position_of(i));
      }
      for (int s = 0; s < view->n_tokens; ++s)
        CHECK(left.k.rows[static_cast<size_t>(s)].index == index_at[static_cast<size_t>(s)]);
      // The values on the screen are the stored rows.
      const int layer = view->layer, head = view->head;
      for (int32_t i = 0; i < session.kv_len(); ++i) {
        const Tensor stored = session.stored_row(layer, RowKind::k, i);
        for (int d = 0; d < view->head_dim; ++d)
          CHECK(left.k.at(session.position_of(i), d) == stored.data<float>()[head * view->head_dim + d]);
      }
      CHECK(view->same_next_token == twin->same_token());
      CHECK(left.forgets == (std::string(cache).find("contiguous") == std::string::npos));
    }
  }
}

TEST_CASE("what a step evicts is said with the numbers of the cache") {
  for (const char* cache : kCaches) {
    CAPTURE(cache);
    for (int step : {0, 1, 5, 9}) {
      Controller controller(with(cache, step));
      const auto view = controller.settle();
      const auto twin = same_steps(cache, step);
      const auto evicted = twin->cached().cache().evicted();
      const std::string& note = view->panes[0].beat_note;
      CAPTURE(note);
      if (evicted.empty()) {
        CHECK(note == "drops Q and scores");
      } else if (evicted.size() > 1) {
        CHECK(note.starts_with("evicts "));
        CHECK(note.find("row") != std::string::npos);
      } else {
        CHECK(note.starts_with(fmt::format("evicts row {}: ", evicted[0].position)));
        if (cache_options(cache).eviction == Eviction::heavy)
          CHECK(note.ends_with("attention " + rough(evicted[0].mass) + " in all"));
        const std::string where = fmt::format("evicts row {}", evicted[0].position);
        if (step > 0) CHECK(view->sentence.text.find(where) != std::string::npos);
      }
    }
  }
}

TEST_CASE("a budget: both panes say how much weight the forgotten rows hold, and by how much logits differ") {
  Controller controller(with("budget:rows=4,policy=heavy", 9));
  const auto view = controller.settle();
  const auto twin = same_steps("budget:rows=4,policy=heavy", 9);
  double weight = 0;
  for (int s = 0; s < view->n_tokens; ++s)
    if (view->panes[0].weights.cell(12, s) == State::not_stored)
      weight += double{view->panes[1].bars.weights[static_cast<size_t>(s)]};
  CHECK(weight > 0);
  const std::string held = "they hold " + rough(weight) + " of the last row's weight",
                    differ = "Logits differ by up to " + rough(double{twin->max_abs_logit_diff()});
  for (const PaneState& pane : view->panes) {
    CAPTURE(pane.price);
    CHECK(pane.price.find(held) != std::string::npos);
    CHECK(pane.price.find(differ) != std::string::npos);
  }
  CHECK(view->panes[0].price.starts_with("The cache forgot 8 rows; on the right"));
  CHECK(view->panes[1].price.starts_with("The left side has forgotten 8 rows; here"));
  // A picture says only what its beat has reached.
  const auto price_at = [&](Beat beat) { return at(controller, beat)->panes[0].price; };
  CHECK(price_at(Beat::sum).ends_with(" of the last row's weight."));
  CHECK(price_at(Beat::append) == "The cache forgot 8 rows.");
  // In the prefill nothing is forgotten that a query reads.
  controller.send(GoToStep{0});
  CHECK(controller.settle()->panes[0].price.starts_with(
      "The cache has forgotten nothing that this step reads"));
}

TEST_CASE("with a window both sides compute the same, and say so") {
  Controller controller(with("window:w=4,sinks=1,block=1", 9));
  const auto view = controller.settle();
  CHECK(view->panes[0].price.starts_with("Both sides have the same window"));
  CHECK(same_steps("window:w=4,sinks=1,block=1", 9)->max_abs_logit_diff() < 1e-3f);
  CHECK(view->panes[1].subtitle.find("each meets ≤ 5 keys") != std::string::npos);
  CHECK(view->panes[0].subtitle.find("1 query meets 5 keys") != std::string::npos);
}

TEST_CASE("a cache that keeps every row has no index beside its positions, and no price") {
  Controller controller(with("paged:block=4", 4));
  const auto view = controller.settle();
  CHECK_FALSE(view->panes[0].forgets);
  CHECK(view->panes[0].indices.empty());
  CHECK(view->panes[0].struck.empty());
  CHECK(view->panes[0].pool.slots.empty());
  CHECK(view->panes[0].price.empty());
  for (const LegendEntry& entry : view->legend.states) CHECK(entry.state != State::not_stored);
}

TEST_CASE("stepping back, to the start and forward again shows the same, with every cache") {
  for (const char* cache : kCaches) {
    CAPTURE(cache);
    Controller controller(with(cache, 9));
    const auto text = [&](int step) {
      controller.send(GoToStep{step});
      const auto view = controller.settle();
      std::string all = view->panes[0].kept + view->panes[0].beat_note + view->panes[0].pool.note;
      for (const PaneState& pane : view->panes) {
        for (const float x : pane.k.values) all += fmt::format("{} ", x);
        for (const float x : pane.bars.weights) all += fmt::format("{} ", x);
        for (const view::Row& row : pane.k.rows)
          all += fmt::format("{}:{} ", static_cast<int>(row.is), row.index);
      }
      return all;
    };
    std::vector<std::string> first;
    for (int step = 0; step <= 9; ++step) first.push_back(text(step));
    for (const int step : {8, 3, 9, 0, 5}) CHECK(text(step) == first[static_cast<size_t>(step)]);
  }
}

TEST_CASE(
    "a poke of a forgotten row changes nothing on the left; on the right it does if the right still reads "
    "it") {
  Controller controller(with("budget:rows=4", 9));
  const auto before = controller.settle();
  REQUIRE(before->panes[0].k.rows[3].is == State::not_stored);
  controller.send(PokeRow{Part::k, 3, Poke::Action::scramble, Poke::When::now});
  auto view = controller.settle();
  REQUIRE(view->panes[0].badges.size() == 1);
  CHECK(view->panes[0].badges[0].no_effect);
  CHECK(view->panes[0].badges[0].text.find("k[3] is not stored any more, and is read 0 times") !=
        std::string::npos);
  CHECK_FALSE(view->panes[1].badges[0].no_effect);
  CHECK(view->panes[0].price.starts_with("Without pokes the cache forgot 8 rows"));
  // Behind a window the last row of the last layer reads it on neither side.
  controller.send(RestoreAll{});
  controller.send(SetCache{"window:w=4,block=1"});
  controller.send(PokeRow{Part::k, 3, Poke::Action::scramble, Poke::When::now});
  view = controller.settle();
  controller.send(PokeRow{Part::k, 3, Poke::Action::scramble, Poke::When::now});
  view = controller.settle();
  REQUIRE(view->panes[1].badges.size() == 1);
  CHECK(view->panes[0].badges[0].no_effect);
  CHECK(view->panes[1].badges[0].no_effect);
  CHECK(view->panes[1].badges[0].text.find("outside the window of row 12") != std::string::npos);
}

TEST_CASE("hover and pin of a forgotten row say when and why it was evicted, and what is in its slot") {
  Controller controller(with("budget:rows=4", 9));
  controller.settle();
  controller.send(Hover{Target{Mode::cached, Part::k, 3, -1}});
  CHECK(controller.settle()->inspector.hover_line ==
        "k[3] is not stored: the cache evicted it in decode 4 (the oldest), so no query reads it any more");
  controller.send(Hover{Target{Mode::cached, Part::weight, 12, 3}});
  CHECK(controller.settle()->inspector.hover_line.starts_with("k[3] is not stored"));
  controller.send(Hover{Target{Mode::cached, Part::q, 3, -1}});
  CHECK(controller.settle()->inspector.hover_line.starts_with("q[3]: used once"));
  controller.send(Pin{Target{Mode::cached, Part::k, 3, -1}});
  const auto view = controller.settle();
  REQUIRE(view->inspector.pinned);
  const auto& lines = view->inspector.pinned->provenance;
  const auto line = [&](const char* name) {
    const auto it = std::ranges::find(lines, std::string(name), [](const auto& l) { return l.first; });
    return it == lines.end() ? "" : it->second;
  };
  CHECK(line("evicted after") == "decode 4: the oldest");
  const auto twin = same_steps("budget:rows=4", 9);
  std::string now = ", free";
  for (int32_t i = 0; i < twin->cached().kv_len(); ++i)
    if (twin->cached().slot(i) == 3) now = fmt::format(", now position {}", twin->cached().position_of(i));
  CHECK(line("its slot") == "3" + now);
  CHECK(line("index").empty());
  // It was read by the queries that came while it was there.
  REQUIRE(view->inspector.pinned->reads.size() == 1);
  CHECK(view->inspector.pinned->reads[0] == "read by queries 3–7: 5×");
  controller.send(Pin{Target{Mode::recompute, Part::k, 3, -1}});
  CHECK(controller.settle()->inspector.pinned->reads[0].starts_with("read by queries 3–12:"));
}

TEST_CASE("reads of a ring are counted by position") {
  Progress progress;
  Sessions sessions(progress);
  const Outcome o = sessions.reach(goal_with("window:w=4,sinks=1,block=1", 8));
  REQUIRE(o.snapshot);
  for (int position = 0; position < 12; ++position) {
    CAPTURE(position);
    const ReadCount reads = count_reads(*o.snapshot, Mode::cached, 3, Part::k, position);
    CHECK(reads.times == (position == 0 ? 12 : std::min(4, 12 - position)));
    CHECK(count_reads(*o.snapshot, Mode::cached, 3, Part::q, position).times == 1);
  }
}

TEST_CASE("needed rows are those that the last row depends on, one by one") {
  Progress progress;
  Sessions sessions(progress);
  for (const char* cache : {"contiguous", "window:w=3,block=1", "window:w=2,sinks=2,block=1"}) {
    const Outcome o = sessions.reach(goal_with(cache, 7));
    REQUIRE(o.snapshot);
    const SideData& side = o.snapshot->now->side(Mode::recompute);
    const int n = o.snapshot->now->n_tokens;
    std::vector<bool> outputs(static_cast<size_t>(n), false);
    outputs.back() = true;
    for (int layer = 3; layer >= 0; --layer) {
      CAPTURE(layer);
      std::vector<bool> keys(static_cast<size_t>(n), false);
      for (int t = 0; t < n; ++t)
        for (int s = 0; s < n && outputs[static_cast<size_t>(t)]; ++s)
          if (key_use(side, layer, t, s) == KeyUse::seen) keys[static_cast<size_t>(s)] = true;
      const NeededRows needed = needed_rows(side, layer);
      CHECK(needed.outputs == outputs);
      CHECK(needed.keys == keys);
      for (size_t t = 0; t < keys.size(); ++t) outputs[t] = outputs[t] || keys[t];
    }
  }
}

TEST_CASE("a step that is too large to keep whole has the same rows, with caches that forget") {
  for (const char* cache :
       {"window:w=8,sinks=2,block=1", "budget:rows=8,policy=heavy", "contiguous:window=5"}) {
    CAPTURE(cache);
    Progress progress, whole_progress;
    Sessions sessions(progress, {.whole = 0, .rows = 0}), whole(whole_progress);
    for (const int step : {0, 12, 5}) {
      CAPTURE(step);
      Goal goal = goal_with(cache, step);
      goal.focus = {2, 3, 0, 40};
      const Outcome part = sessions.reach(goal), all = whole.reach(goal);
      REQUIRE(part.snapshot);
      REQUIRE(all.snapshot);
      REQUIRE_FALSE(part.snapshot->now->whole);
      const int n = all.snapshot->now->n_tokens;
      for (const Mode side : {Mode::cached, Mode::recompute}) {
        const SideData &a = part.snapshot->now->side(side), &b = all.snapshot->now->side(side);
        CHECK(a.groups == b.groups);
        for (int t = b.first_position; t < n; ++t)
          for (int s = 0; s < n; ++s) {
            REQUIRE(score_row(a, 2, 3, t, n) != nullptr);
            CHECK(score_row(a, 2, 3, t, n)[s] == score_row(b, 2, 3, t, n)[s]);
            CHECK(prob_row(a, 2, 3, t, n)[s] == prob_row(b, 2, 3, t, n)[s]);
          }
      }
    }
  }
}

TEST_CASE("scripts choose the cache, and a wrong one gives one line") {
  Controller controller;
  RecordingHost host;
  CHECK(play(controller, "cache window:w=4,sinks=2,block=1\nstep 8\nshot ring.png\n", host).first == 0);
  CHECK(host.shots.at("ring.png").panes[0].kept == "kept after this step: Q 0 · K 5 · V 5");
  const auto [code, error] = play(controller, "cache budget:policy=heavy\n", host);
  CHECK(code == 2);
  CHECK(error.find("the number of rows is missing; use budget:rows=N") != std::string::npos);
  CHECK(controller.settle()->panes[0].kept == "kept after this step: Q 0 · K 5 · V 5");
  Controller windowed(
      {.model = "random:layers=2,q_heads=2,kv_heads=2,head_dim=8,vocab=64,context=32,window=4,seed=3",
       .prompt = "a b c d e f",
       .step = 6});
  const auto [refused, why] = play(windowed, "cache budget:rows=4\n", host);
  CHECK(refused == 2);
  CHECK(why.find("use a contiguous, paged or window cache") != std::string::npos);
  // The model's own window masks, although the cache keeps every row.
  const auto view = windowed.settle();
  CHECK(view->panes[0].kept == "kept after this step: Q 0 · K 12 · V 12");
  CHECK(view->panes[0].weights.cell(11, 3) == State::masked);
  CHECK(view->panes[0].k.rows[3].opacity < 1);  // kept, but not read
}

TEST_CASE("the list of caches: sizes, what the model cannot have, and what is chosen") {
  Controller controller(with("window:w=4,sinks=2,block=1", 8));
  controller.send(OpenChoices{ChoiceList::caches});
  auto view = controller.settle();
  const auto chosen = [&] {
    const auto& all = view->caches.choices;
    const auto it = std::ranges::find_if(all, [](const Choice& c) { return c.selected; });
    return it == all.end() ? "" : it->name;
  };
  CHECK(view->caches.choices.size() == 9);
  CHECK(chosen() == "window:w=4,sinks=2,block=1");
  controller.send(ChangeCacheSize{CacheSize::rows, +1});
  view = controller.settle();
  CHECK(chosen() == "window:w=5,sinks=2,block=1");
  CHECK(view->panes[0].kept == "kept after this step: Q 0 · K 6 · V 6");
  CHECK(view->open_choices == ChoiceList::caches);  // the list stays open
  controller.send(ChangeCacheSize{CacheSize::rows, -1000});
  view = controller.settle();
  CHECK(view->caches.rows == 1);
  // A budget of one row has no room for two sinks.
  const auto sinks = std::ranges::find_if(
      view->caches.choices, [](const Choice& c) { return c.name.find("policy=sinks") != std::string::npos; });
  REQUIRE(sinks != view->caches.choices.end());
  CHECK_FALSE(sinks->usable);
  CHECK(sinks->reason.find("leave no row for new tokens") != std::string::npos);
}
