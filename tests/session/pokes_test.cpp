// Pokes in a whole generation: which results a changed row changes, and which it does not.
#include <doctest/doctest.h>

#include "backend/eigen.h"
#include "backend/naive.h"
#include "session/twin.h"
#include "tests/session/texts.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

using What = Poke::What;
using When = Poke::When;
using Action = Poke::Action;

constexpr int32_t kLastLayer = 2;
const std::vector<int32_t> kFourTokens = {3, 14, 15, 9};
constexpr int32_t kStep = 4;  // "decode 4": position 7, 8 keys

template <typename B>
TwinSession twin_at_step(const std::shared_ptr<const Model>& model) {
  return TwinSession(model, std::make_unique<B>(), std::make_unique<B>(), {});
}

void take_steps(TwinSession& s) {
  s.start(kFourTokens);
  for (int32_t i = 0; i <= kStep; ++i) s.advance();
}

struct Logits {
  std::vector<float> cached, recompute;
  explicit Logits(const TwinSession& s)
      : cached(s.cached().logits().begin(), s.cached().logits().end()),
        recompute(s.recompute().logits().begin(), s.recompute().logits().end()) {}
};

Poke now(What what, int32_t layer, int32_t position, Action action = Action::scramble) {
  return {.what = what,
          .layer = layer,
          .position = position,
          .head = -1,
          .action = action,
          .seed = 9,
          .when = When::now,
          .step = kStep};
}

}  // namespace

TEST_CASE_TEMPLATE("a past query is read by nobody: not by the cache, not by the last layer of recompute", B,
                   NaiveBackend<float>, EigenBackend) {
  auto s = twin_at_step<B>(load_model(kModel));
  take_steps(s);
  const Logits before(s);
  s.set_pokes({now(What::q, kLastLayer, 3)});
  CHECK(Logits(s).cached == before.cached);
  CHECK(Logits(s).recompute == before.recompute);
  CHECK(s.cached().poke_report(0).reads == 0);
  CHECK(s.recompute().poke_report(0).reads == 1);  // its own query row read it; nothing reads that row

  // One layer lower, it changes row 3 of K and V in the layer above, but only if those rows are recomputed.
  s.set_pokes({now(What::q, kLastLayer - 1, 3)});
  CHECK(Logits(s).cached == before.cached);
  CHECK(Logits(s).recompute != before.recompute);
  s.set_pokes({});
  CHECK(Logits(s).cached == before.cached);
  CHECK(Logits(s).recompute == before.recompute);
}

TEST_CASE_TEMPLATE("past keys, past values and the current query matter to both sides", B,
                   NaiveBackend<float>, EigenBackend) {
  auto s = twin_at_step<B>(load_model(kModel));
  take_steps(s);
  const Logits before(s);
  for (const Poke& poke :
       {now(What::k, kLastLayer, 3), now(What::v, kLastLayer, 3), now(What::q, kLastLayer, 7),
        now(What::k, 0, 0, Action::zero), now(What::v, 1, 7)}) {
    s.set_pokes({poke});
    CHECK(Logits(s).cached != before.cached);
    CHECK(Logits(s).recompute != before.recompute);
  }
  s.set_pokes({});
  CHECK(Logits(s).cached == before.cached);
  CHECK(Logits(s).recompute == before.recompute);
}

TEST_CASE(
    "theorem: since it was computed, both sides compute the same function — to the last bit on the "
    "yardstick") {
  const auto model = load_model(kModel);
  auto s = twin_at_step<NaiveBackend<float>>(model);
  take_steps(s);
  const Logits before(s);
  int32_t n_changed = 0;
  for (const What what : {What::q, What::k, What::v})
    for (int32_t layer = 0; layer < 3; ++layer)
      for (int32_t position = 0; position < 8; ++position)
        for (const Action action : {Action::scramble, Action::zero}) {
          s.set_pokes({Poke{.what = what,
                            .layer = layer,
                            .position = position,
                            .head = position % 2 == 0 ? -1 : 1,
                            .action = action,
                            .seed = 4,
                            .when = When::since}});
          CAPTURE(static_cast<int>(what));
          CAPTURE(layer);
          CAPTURE(position);
          CHECK(Logits(s).cached == Logits(s).recompute);
          n_changed += Logits(s).cached != before.cached;
        }
  // All of the 144 pokes change the logits, except the 7 past queries of the last layer and query 0 of the
  // other two layers. Query 0 sees only one key, whose probability is always 1.
  CHECK(n_changed == 144 - 2 * 7 - 2 * 2);
}

TEST_CASE("theorem: since it was computed, eigen's sides agree within rounding, and go on agreeing") {
  const auto model = load_model(kModel);
  auto s = twin_at_step<EigenBackend>(model);
  take_steps(s);
  const float rounding = 16 * s.max_abs_logit_diff() + 1e-5f;  // of the same two sides without pokes
  for (const What what : {What::q, What::k, What::v})
    for (int32_t layer = 0; layer < 3; ++layer) {
      s.set_pokes(
          {Poke{.what = what, .layer = layer, .position = 3, .head = -1, .seed = 4, .when = When::since}});
      CHECK(s.max_abs_logit_diff() <= rounding);
    }
  s.advance();
  CHECK(s.max_abs_logit_diff() <= rounding);
}

TEST_CASE("now is one step: the next one reads the old row again, and what the step stored above stays") {
  const auto model = load_model(kModel);
  auto plain = twin_at_step<EigenBackend>(model), s = twin_at_step<EigenBackend>(model);
  take_steps(plain);
  take_steps(s);
  s.set_pokes({now(What::k, kLastLayer, 3)});  // no layer is above the last one
  const int32_t token = plain.cached().next_token();
  plain.advance();
  // Feed both sessions the same token, so that only the poke can make a difference.
  DecodeSession alone(model, std::make_unique<EigenBackend>(), {});
  alone.start(kFourTokens);
  for (int32_t i = 0; i <= kStep; ++i) alone.advance();
  alone.set_pokes({now(What::k, kLastLayer, 3)});
  alone.advance(token);
  CHECK(std::equal(alone.logits().begin(), alone.logits().end(), plain.cached().logits().begin()));
  alone.go_to(kStep);  // back at that step, the poke is in force again
  CHECK(std::equal(alone.logits().begin(), alone.logits().end(), s.cached().logits().begin()));
}

TEST_CASE("a poke of an earlier step is replayed: what that step stored above carries it on") {
  const auto model = load_model(kModel);
  Poke poke = now(What::k, 0, 1);
  poke.step = 2;
  DecodeSession early(model, std::make_unique<EigenBackend>(), {}),
      late(model, std::make_unique<EigenBackend>(), {});
  late.start(kFourTokens);
  for (int32_t i = 0; i <= kStep; ++i) late.advance();
  const std::vector<int32_t> tokens(late.tokens().begin(), late.tokens().end());
  const std::vector<float> unpoked(late.logits().begin(), late.logits().end());
  late.set_pokes({poke});  // set two steps later

  early.start(kFourTokens);
  for (int32_t i = 0; i <= 2; ++i) early.advance(i == 0 ? -1 : tokens[kFourTokens.size() + i - 1]);
  early.set_pokes({poke});  // set before that step
  for (int32_t i = 3; i <= kStep; ++i) early.advance(tokens[kFourTokens.size() + i - 1]);
  CHECK(std::equal(early.logits().begin(), early.logits().end(), late.logits().begin()));
  CHECK(!std::equal(unpoked.begin(), unpoked.end(), late.logits().begin()));
}

TEST_CASE("tokens are held while pokes come and go; only a new step takes the changed choice") {
  auto s = twin_at_step<EigenBackend>(load_model(kModel));
  take_steps(s);
  const std::vector<int32_t> tokens(s.cached().tokens().begin(), s.cached().tokens().end());
  s.set_pokes({Poke{.what = What::v, .layer = 0, .position = 0, .head = -1, .seed = 1, .when = When::since}});
  CHECK(std::equal(tokens.begin(), tokens.end(), s.cached().tokens().begin(), s.cached().tokens().end()));
  const int32_t choice = s.cached().next_token();
  s.advance();
  CHECK(s.cached().tokens().back() == choice);
  CHECK(s.recompute().tokens().back() == choice);
}
