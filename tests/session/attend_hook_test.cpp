// SessionOptions::on_attend: what it sees, and a stop in the middle of a step.
#include <doctest/doctest.h>

#include <vector>

#include "backend/eigen.h"
#include "session/session.h"
#include "session/twin.h"
#include "tests/session/texts.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {}  // namespace

TEST_CASE("the hook is called once for each layer of each step, for each side its own") {
  const auto model = load_model(kModel);
  std::vector<std::vector<int32_t>> cached, recompute;  // layer, q_len, kv_len
  const auto note = [](auto& list) {
    return [&list](Backend&, const Attend& op) {
      list.push_back({op.site.layer, op.batch.plan->q_len(0), op.batch.plan->kv_len[0]});
    };
  };
  TwinSession twin(model, eigen(), eigen(), {.on_attend = note(cached)}, note(recompute));
  twin.start({1, 2, 3, 4, 5});
  twin.advance();
  twin.advance();
  CHECK(cached ==
        std::vector<std::vector<int32_t>>{{0, 5, 5}, {1, 5, 5}, {2, 5, 5}, {0, 1, 6}, {1, 1, 6}, {2, 1, 6}});
  CHECK(recompute ==
        std::vector<std::vector<int32_t>>{{0, 5, 5}, {1, 5, 5}, {2, 5, 5}, {0, 6, 6}, {1, 6, 6}, {2, 6, 6}});
}

TEST_CASE("the hook sees rows after the pokes, and changes no bit of the step") {
  const auto model = load_model(kModel);
  std::vector<float> seen(4 * 8);  // q of layer 1
  const auto copy = [&](Backend& inner, const Attend& op) {
    if (op.site.layer == 1) inner.download(op.q.rows(op.q.dim(0) - 1, 1), TensorView(seen.data(), {1, 4, 8}));
  };
  DecodeSession plain(model, eigen(), {}), hooked(model, eigen(), {.on_attend = copy});
  for (DecodeSession* s : {&plain, &hooked}) {
    s->start({1, 2, 3});
    s->advance();
    s->advance();
  }
  CHECK(logits_of(plain) == logits_of(hooked));
  CHECK(seen[0] != 0);
  hooked.set_pokes(
      {{.what = Poke::What::q, .layer = 1, .position = 3, .action = Poke::Action::zero, .step = 1}});
  CHECK(seen == std::vector<float>(4 * 8, 0.0f));
}

TEST_CASE("a stop in the middle of a step changes nothing") {
  const auto model = load_model(kModel);
  std::atomic<bool> stop = false, armed = false;
  const auto arm = [&](Backend&, const Attend& op) {
    if (armed && op.site.layer == 1) stop = true;
  };
  for (const Mode mode : {Mode::cached, Mode::recompute}) {
    stop = armed = false;
    DecodeSession s(model, eigen(), {.mode = mode, .on_attend = arm, .stop = &stop});
    s.start({1, 2, 3});
    s.advance();
    s.advance();
    const std::vector<float> before = logits_of(s);
    armed = true;
    CHECK_THROWS_AS(s.advance(), Cancelled);
    CHECK(s.current_step() == 1);
    CHECK(s.last_step() == 1);
    CHECK(logits_of(s) == before);
    stop = armed = false;
    s.go_to(1);
    CHECK(logits_of(s) == before);
  }
}
