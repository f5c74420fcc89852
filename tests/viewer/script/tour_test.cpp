// The whole tour without pixels: on every built-in model each `expect`
// holds and each row shows what it should.
#include <doctest/doctest.h>

#include "model/model.h"
#include "tests/viewer/recording_host.h"

using namespace lastrow;
using namespace lastrow::view;

namespace lastrow::view {
extern const char* const kTourText;
}

namespace {

/// The tour on another model: there the key changes the logits, but perhaps not the next token.
std::string tour_on(const std::string& model, const std::string& backend) {
  std::string text = kTourText;
  text.replace(text.find("fable-mha"), 9, model);
  if (model != "fable-mha") {
    const std::string claim = "expect token_changed both";
    text.replace(text.find(claim), claim.size(), "expect changed both");
  }
  return "backend " + backend + "\n" + text;
}

/// What each row must show, whatever the model.
void check_rows(const RecordingHost& host) {
  const auto view = [&](int row) -> const ViewState& { return *host.rows[size_t(row - 1)].view; };
  const Beat beats[] = {Beat::start, Beat::project, Beat::append, Beat::score, Beat::mask, Beat::sum,
                        Beat::next,  Beat::next,    Beat::next,   Beat::next,  Beat::next, Beat::keep};
  for (int row = 1; row <= 12; ++row) {
    CAPTURE(row);
    CHECK(host.rows[size_t(row - 1)].row == row);
    CHECK(view(row).tour.row == row);
    CHECK(view(row).tour.n_rows == 12);
    CHECK(view(row).n_tokens == 7);
    CHECK(view(row).layer == (row == 11 ? 2 : 3));
    CHECK(view(row).transport.beat == beats[row - 1]);
    CHECK(view(row).sentence.text.find('{') == std::string::npos);
    CHECK_FALSE(view(row).busy.active);
    CHECK_FALSE(view(row).notice);
    CHECK(view(row).n_pokes == (row >= 9 && row <= 11 ? 1 : 0));
  }
  CHECK(view(1).sentence.text ==
        fmt::format(
            "7 tokens; the last, “{}”, is the input of this step. Left keeps a cache; right keeps nothing.",
            view(1).tokens[6].text));
  CHECK(view(2).sentence.text ==
        "① Project: left computes 1 row of Q, K and V; right computes all 7, 6 of them again.");
  CHECK(view(3).sentence.text ==
        "② Append: left adds one K row and one V row; 6 rows are read from the cache.");
  CHECK(view(7).sentence.text ==
        fmt::format("④ Only the last row decides. Both sides choose “{}”.", view(7).next[0].top[0].text));

  // Row 8 asks, and does not say what will happen.
  REQUIRE(view(8).tour.asked);
  const int p = view(8).tour.asked->row;
  CHECK(p >= 1);
  CHECK(p < 6);
  CHECK(view(8).panes[0].q.rows[size_t(p)].asked);
  CHECK(view(8).panes[0].badges.empty());
  CHECK(view(8).sentence.kind == SentenceKind::tour);
  // Position 3; if it gets hardly any weight, the past position that gets most.
  const MatrixBlock& weights = view(8).panes[0].weights;
  if (p != 3) {
    CHECK(weights.at(6, 3) < 0.05f);
    for (int s = 1; s < 6; ++s) CHECK(weights.at(6, s) <= weights.at(6, p));
  }

  CHECK(view(9).panes[0].badges[0].no_effect);
  CHECK(view(9).panes[1].badges[0].no_effect);
  CHECK(view(10).panes[0].k.rows[size_t(p)].poked);
  CHECK_FALSE(view(10).panes[0].badges[0].no_effect);
  CHECK_FALSE(view(10).panes[1].badges[0].no_effect);
  CHECK(view(11).panes[0].badges[0].no_effect);
  CHECK_FALSE(view(11).panes[1].badges[0].no_effect);
  CHECK(view(12).panes[0].show_kept);
}

}  // namespace

TEST_CASE("in the tour a query changes no bit, and a key changes the next word on both sides") {
  Controller controller;
  RecordingHost host;
  const auto [code, error] = play(controller, kTourText, host);
  REQUIRE_MESSAGE(code == 0, error);
  const auto view = [&](int row) -> const ViewState& { return *host.rows[size_t(row - 1)].view; };
  CHECK(view(8).sentence.text ==
        "Your turn: right-click q[3] (“dog”) and scramble it. Will the next token change?");
  CHECK(view(9).sentence.text ==
        "q[3] changes row 3 only. On both sides the last row is bit-identical: still “cat”.");
  CHECK(view(10).sentence.text ==
        "Now a key: scrambling k[3] (“dog”) changes the next token on both sides: “cat” → “dog”.");
  for (const size_t side : {0, 1}) {
    CHECK(view(9).next[side].top[0].text == "cat");
    CHECK(view(10).next[side].top[0].text == "dog");
  }
}

TEST_CASE("the tour holds on all built-in models and all backends") {
  for (const std::string& model : builtin_model_names())
    for (const std::string backend : {"eigen", "naive", "naive-f64"}) {
      CAPTURE(model);
      CAPTURE(backend);
      Controller controller;
      RecordingHost host;
      const auto [code, error] = play(controller, tour_on(model, backend), host);
      CHECK_MESSAGE(code == 0, error);
      REQUIRE(host.rows.size() == 12);
      CHECK(host.rows[0].view->model == model);
      CHECK(host.rows[0].view->backend == backend);
      check_rows(host);
    }
}
