// What stands on the first screen, readable by eye.
#include <doctest/doctest.h>

#include "viewer/view_model/run/controller.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

/// One letter a row: n new, a again and needed, u again and unused, c from the cache, - absent, . not yet.
std::string letters(const std::vector<view::Row>& rows) {
  std::string out;
  for (const view::Row& r : rows) out += ".naucx-"[static_cast<size_t>(r.is)];
  return out;
}

}  // namespace

TEST_CASE("the first screen: decode 4, the past absent from Q and kept in K and V") {
  Controller controller;
  const auto view = controller.settle();
  REQUIRE(view->ready);
  CHECK(view->transport.banner == "Decode 4 · position 7 · 8 keys");
  CHECK(view->transport.step == 4);
  CHECK(view->transport.beat == Beat::keep);
  CHECK(view->prompt == "the quick brown fox");
  CHECK(view->layer == 3);
  CHECK(view->sentence.kind == SentenceKind::offer);
  CHECK(view->sentence.hint == "Enter: one-minute tour · Esc: explore");

  const PaneState& left = view->panes[0];
  CHECK(left.title() ==
        fmt::format("WITH CACHE · layer 3 (last) · head {} · 1 query meets 8 keys", view->head));
  CHECK(letters(left.q.rows) == "-------n");
  CHECK(letters(left.k.rows) == "cccccccn");
  CHECK(letters(left.v.rows) == "cccccccn");
  CHECK(letters(left.scores.rows) == "-------n");
  CHECK(left.kept == "kept after this step: Q 0 · K 8 · V 8");
  CHECK(left.decides_row == 7);

  const PaneState& right = view->panes[1];
  CHECK(right.title() ==
        fmt::format("WITHOUT CACHE · layer 3 (last) · head {} · 8 queries meet 8 keys", view->head));
  CHECK(letters(right.q.rows) == "uuuuuuun");
  CHECK(letters(right.k.rows) == "aaaaaaan");
  CHECK(letters(right.v.rows) == "aaaaaaan");
  CHECK(letters(right.scores.rows) == "uuuuuuun");
  CHECK(right.kept == "kept after this step: Q 0 · K 0 · V 0");

  REQUIRE(view->tokens.size() == 9);
  CHECK(view->tokens[0].text == "the");
  CHECK(view->tokens[3].text == "fox");
  CHECK(view->tokens[3].role == TokenRole::prompt);
  CHECK(view->tokens[4].role == TokenRole::generated);
  CHECK(view->tokens[7].role == TokenRole::input);
  CHECK(view->tokens[8].role == TokenRole::next);
  CHECK(view->tokens[8].text == view->next[0].top[0].text);
  CHECK(view->same_next_token);

  CHECK(view->costs[0].name == "rows projected");
  CHECK(view->costs[0].with == "4");      // one row in each of four layers
  CHECK(view->costs[0].without == "32");  // eight rows in each
  CHECK(view->costs[0].ratio == "8×");
}

TEST_CASE("the default head has the most focused last row") {
  Controller controller;
  const auto view = controller.settle();
  const auto focus_on_past = [](const PaneState& pane) {
    float most = 0;
    for (int s = 1; s < pane.n_tokens - 1; ++s) most = std::max(most, pane.weights.at(pane.n_tokens - 1, s));
    return most;
  };
  const float chosen = focus_on_past(view->panes[0]);
  for (int head = 0; head < view->heads.n_q_heads; ++head) {
    controller.send(SetHead{head});
    CHECK(focus_on_past(controller.settle()->panes[0]) <= chosen);
  }
}
