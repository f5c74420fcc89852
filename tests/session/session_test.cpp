// A generation with the cache and without it: what it counts, what is equal to the last bit, what it refuses.
#include "session/session.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "backend/eigen.h"
#include "backend/naive.h"
#include "judge/tolerance.h"
#include "ops/step_cost.h"
#include "session/twin.h"
#include "tests/session/texts.h"
#include "trace/forwarding.h"

using namespace lastrow;
using namespace lastrow::test;
using namespace lastrow::judge;

namespace {

std::unique_ptr<Backend> make_judge() { return std::make_unique<NaiveBackend<double>>(); }

/// The logits of each step of a session that runs n steps with the given tokens.
std::vector<std::vector<float>> run(DecodeSession& s, const std::vector<int32_t>& prompt, int32_t n_steps) {
  std::vector<std::vector<float>> all;
  s.start(prompt);
  for (int32_t i = 0; i < n_steps; ++i) {
    s.advance();
    all.push_back(logits_of(s));
  }
  return all;
}

}  // namespace

TEST_CASE("what a step counts, by eye: 2 layers, 2 heads, a prompt of 3") {
  const auto model = load_model("random:layers=2,q_heads=2,kv_heads=1,head_dim=4,vocab=10,context=8");
  DecodeSession with(model, eigen(), {.mode = Mode::cached}),
      without(model, eigen(), {.mode = Mode::recompute});
  for (DecodeSession* s : {&with, &without}) {
    s->start({1, 2, 3});
    const StepRecord r = s->advance();
    CHECK(r.phase == Phase::prefill);
    CHECK(r.position == 2);
    CHECK(r.q_len == 3);
    CHECK(r.kv_len == 3);
    CHECK(r.q_rows == 3 * 2);
    CHECK(r.kv_rows_projected == 3 * 2);
    CHECK(r.score_cells == (1 + 2 + 3) * 2 * 2);  // visible pairs × heads × layers
  }
  const int64_t row_bytes = 2 * 4 * 4;  // K and V, head_dim, f32
  CHECK(with.record().cache_bytes_written == 3 * 2 * row_bytes);
  CHECK(with.record().cache_bytes_read == 3 * 2 * row_bytes);
  CHECK(with.record().kv_scratch_bytes == 0);
  CHECK(without.record().cache_bytes_written == 0);
  CHECK(without.record().cache_bytes_read == 0);
  CHECK(without.record().kv_scratch_bytes == 2 * 3 * 2 * row_bytes);

  const StepRecord a = with.advance(5), b = without.advance(5);
  CHECK(a.phase == Phase::decode);
  CHECK(a.position == 3);
  CHECK(a.q_len == 1);
  CHECK(b.q_len == 4);
  CHECK(a.kv_len == 4);
  CHECK(b.kv_len == 4);
  CHECK(a.q_rows == 2);
  CHECK(b.q_rows == 8);
  CHECK(a.score_cells == 4 * 2 * 2);
  CHECK(b.score_cells == (1 + 2 + 3 + 4) * 2 * 2);
  CHECK(a.cache_bytes_written == 2 * row_bytes);
  CHECK(a.cache_bytes_read == 4 * 2 * row_bytes);
  const int64_t layer_bytes = 8 * row_bytes;           // K and V, 128 bytes each …
  CHECK(with.storage_bytes() == 2 * 2 * layer_bytes);  // … with starts at multiples of 256
}

TEST_CASE("the cache is made by its options; the scratch of recompute is f32") {
  const auto model = load_model("random:layers=2,q_heads=2,kv_heads=1,head_dim=64,vocab=10,context=8");
  const auto storage_bytes = [&](Mode mode, CacheOptions cache) {
    return DecodeSession(model, eigen(), {.mode = mode, .cache = std::move(cache)}).storage_bytes();
  };
  const int64_t f32 = storage_bytes(Mode::cached, {});
  CHECK(f32 == 2 * 2 * 8 * 64 * 4);  // K and V, layers, rows, head_dim, bytes
  CHECK(storage_bytes(Mode::cached, {.dtype_k = DType::bf16, .dtype_v = DType::bf16}) == f32 / 2);
  CHECK(storage_bytes(Mode::recompute, {.dtype_k = DType::bf16, .dtype_v = DType::bf16}) == f32);
  CHECK_THROWS_WITH_AS(storage_bytes(Mode::cached, {.kind = "none"}), doctest::Contains("unknown cache kind"),
                       UsageError);
}

TEST_CASE("a session says which rows it holds, and of which positions") {
  const auto model = load_model(kKinds[0]);
  for (const Mode mode : {Mode::cached, Mode::recompute}) {
    DecodeSession s(model, eigen(), {.mode = mode});
    s.start(kPrompt);
    CHECK(s.kv_len() == 0);
    CHECK_THROWS_WITH_AS((void)s.position_of(0), doctest::Contains("holds 0 rows"), UsageError);
    for (int i = 0; i < 3; ++i) s.advance();
    CHECK(s.kv_len() == 7);
    for (int32_t index = 0; index < 7; ++index) CHECK(s.position_of(index) == index);
    s.go_to(1);
    CHECK(s.kv_len() == 6);
    CHECK_THROWS_AS((void)s.position_of(6), UsageError);
    CHECK_THROWS_AS((void)s.position_of(-1), UsageError);
  }
}

TEST_CASE("what a step counts is what the formula says, for every step of both modes") {
  for (const std::string& name : kKinds) {
    const auto model = load_model(name);
    TwinSession s(model, eigen(), eigen(), {});
    s.start(kPrompt);
    for (int i = 0; i < 10; ++i) {
      s.advance();
      for (const Mode mode : {Mode::cached, Mode::recompute}) {
        const StepRecord& r = s.side(mode).record();
        const OpCost cost = step_cost(shape_of(model->config()), {.q_len = r.q_len, .kv_len = r.kv_len});
        CHECK(r.flop == cost.flop);
        CHECK(r.weight_bytes == cost.weight_bytes);
        CHECK(r.cache_bytes_read + r.cache_bytes_written + r.kv_scratch_bytes ==
              cost.cache_bytes_read + cost.cache_bytes_written);
      }
    }
  }
}

TEST_CASE("theorem: on the judge and the yardstick, cached = recompute to the last bit") {
  for (const Factory make : {&naive, &make_judge})
    for (const std::string& name : kKinds) {
      const auto model = load_model(name);
      TwinSession s(model, make(), make(), {});
      s.start(kPrompt);
      for (int i = 0; i < 20; ++i) {
        s.advance();
        CAPTURE(i);
        CHECK(logits_of(s.cached()) == logits_of(s.recompute()));
        CHECK(s.max_abs_logit_diff() == 0);
      }
    }
}

TEST_CASE("theorem: prefill of T = T single decodes, to the last bit") {
  const std::vector<int32_t> text = {3, 14, 15, 9, 26, 5, 35, 8};
  for (const std::string& name : kKinds) {
    const auto model = load_model(name);
    DecodeSession whole(model, naive(), {}), single(model, naive(), {});
    whole.start(text);
    whole.advance();
    single.start({text[0]});
    single.advance();
    for (size_t i = 1; i < text.size(); ++i) single.advance(text[i]);
    CHECK(logits_of(whole) == logits_of(single));
    for (int layer = 0; layer < 3; ++layer)
      for (int index = 0; index < 8; ++index)
        for (const RowKind kind : {RowKind::k, RowKind::v}) {
          const Tensor a = whole.stored_row(layer, kind, index), b = single.stored_row(layer, kind, index);
          CHECK(std::equal(a.data<float>(), a.data<float>() + a.size(), b.data<float>()));
        }
  }
}

TEST_CASE("theorem: a row of K or V never changes once it is stored") {
  const auto model = load_model(kKinds[1]);
  DecodeSession s(model, eigen(), {});
  s.start(kPrompt);
  s.advance();
  const Tensor before = s.stored_row(2, RowKind::k, 3);
  for (int i = 0; i < 20; ++i) s.advance();
  const Tensor after = s.stored_row(2, RowKind::k, 3);
  CHECK(std::equal(before.data<float>(), before.data<float>() + before.size(), after.data<float>()));
}

TEST_CASE("eigen's logits are within the tolerance of the judge's, in both modes") {
  const std::vector<int32_t> text = {3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 3, 2, 3, 8, 4};
  for (const std::string& name : kKinds) {
    const auto model = load_model(name);
    for (const Mode mode : {Mode::cached, Mode::recompute}) {
      const auto compute = [&](std::unique_ptr<Backend> backend) {
        DecodeSession s(model, std::move(backend), {.mode = mode});
        s.start({text[0], text[1], text[2]});
        s.advance();
        std::vector<double> all;
        for (size_t i = 3; i < text.size(); ++i) {
          s.advance(text[i]);
          all.insert(all.end(), s.logits().begin(), s.logits().end());
        }
        return all;
      };
      const auto expected = compute(make_judge());
      double yardstick = 0;
      for (uint64_t order = 1; order <= 16; ++order)
        yardstick = std::max(
            yardstick, difference(compute(std::make_unique<NaiveBackend<float>>(order)), expected).largest);
      const Difference worst = difference(compute(eigen()), expected);
      INFO(worst.to_string());
      CHECK(worst.largest <=
            2 * yardstick + double{std::numeric_limits<float>::epsilon()} * max_abs_finite(expected));
    }
  }
}

TEST_CASE("stepping back equals stepping forward, and the schedule repeated equals itself, to the last bit") {
  for (const Factory make : {&naive, &eigen})
    for (const Mode mode : {Mode::cached, Mode::recompute}) {
      const auto model = load_model(kKinds[1]);
      DecodeSession s(model, make(), {.mode = mode});
      const auto forward = run(s, kPrompt, 12);
      for (const int32_t step : {11, 10, 3, 0, 7, 11, 1}) {
        s.go_to(step);
        CAPTURE(step);
        CHECK(logits_of(s) == forward[step]);
        CHECK(s.current_step() == step);
        CHECK(s.last_step() == 11);
        CHECK(s.record().kv_len == 5 + step);
      }
      s.advance();  // from step 1 with the same token: nothing is forgotten
      CHECK(logits_of(s) == forward[2]);
      CHECK(s.last_step() == 11);
      s.advance((s.next_token() + 1) % 50);  // another token: the later steps are forgotten
      CHECK(s.last_step() == 3);
      CHECK(run(s, kPrompt, 12) == forward);
    }
}

TEST_CASE("each token is what a sampler chooses from the step's logits at its own position") {
  const auto model = load_model(kKinds[0]);
  const SamplingOptions sampling{.temperature = 2, .top_k = 0, .seed = 5};
  for (const Mode mode : {Mode::cached, Mode::recompute}) {
    DecodeSession s(model, naive(), {.mode = mode, .sampling = sampling});
    Sampler sampler(sampling, model->config().vocab_size);
    s.start(kPrompt);
    for (int32_t step = 0; step < 20; ++step) {
      CAPTURE(step);
      s.advance();
      CHECK(s.next_token() == sampler.choose(s.logits(), static_cast<int32_t>(kPrompt.size()) + step));
    }
  }
}

namespace {

/// Reverses the logits, so that another token has the largest.
class Reversed final : public ForwardingBackend {
 public:
  Reversed() : ForwardingBackend(owned_) {}
  void download(ConstTensorView from, TensorView host) override {
    ForwardingBackend::download(from, host);
    std::reverse(host.data<float>(), host.data<float>() + host.size());
  }

 private:
  EigenBackend owned_{2};
};

}  // namespace

TEST_CASE("both sides of a twin get the token that the cached side chose") {
  TwinSession s(load_model(kKinds[1]), eigen(), std::make_unique<Reversed>(), {});
  s.start(kPrompt);
  s.advance();
  for (int i = 0; i < 5; ++i) {
    const int32_t chosen = s.cached().next_token();
    CHECK(s.recompute().next_token() != chosen);
    s.advance();
    CHECK(s.cached().tokens().back() == chosen);
    CHECK(s.recompute().tokens().back() == chosen);
  }
}

TEST_CASE("a full context says so and keeps what was generated") {
  const auto model = load_model("random:layers=1,q_heads=1,head_dim=4,vocab=10,context=4");
  DecodeSession s(model, eigen(), {});
  s.start({1, 2, 3});
  s.advance();
  s.advance();
  CHECK(s.context_full());
  const auto logits = logits_of(s);
  CHECK_THROWS_WITH_AS(s.advance(), doctest::Contains("the context of 4 tokens is full"), CapacityError);
  CHECK(s.tokens().size() == 4);
  CHECK(s.current_step() == 1);
  CHECK(logits_of(s) == logits);
  CHECK_THROWS_WITH_AS(s.start({1, 2, 3, 4, 5}),
                       doctest::Contains("5 tokens, but the context has room for 4"), CapacityError);
}

TEST_CASE("wrong calls are refused with a message") {
  const auto model = load_model(kKinds[0]);
  CHECK_THROWS_AS(DecodeSession(model, eigen(), {.max_seq_len = 41}), CapacityError);
  DecodeSession s(model, eigen(), {});
  CHECK_THROWS_WITH_AS(s.start({}), doctest::Contains("prompt is empty"), UsageError);
  CHECK_THROWS_WITH_AS(s.start({50}), doctest::Contains("outside the vocabulary, 0 to 49"), UsageError);
  s.start(kPrompt);
  s.advance();
  CHECK_THROWS_AS(s.go_to(1), UsageError);
  CHECK_THROWS_AS(s.advance(50), UsageError);
  CHECK_THROWS_AS(s.set_pokes({Poke{.layer = 3}}), UsageError);
  CHECK_THROWS_AS(s.set_pokes({Poke{.head = 4}}), UsageError);
  CHECK_THROWS_AS(s.set_pokes({Poke{.position = 5}}), UsageError);
}

TEST_CASE("a logit that is NaN shows in the largest difference") {
  struct Damage final : ForwardingBackend {
    using ForwardingBackend::ForwardingBackend;
    void run(const Op& op) override {
      ForwardingBackend::run(op);
      const auto* linear = std::get_if<Linear>(&op);
      if (linear != nullptr && linear->site.layer < 0)
        linear->out.data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
    }
  };
  const auto sound = eigen();
  TwinSession twin(load_model(kKinds[0]), std::make_unique<Damage>(*sound), eigen(), {});
  twin.start(kPrompt);
  twin.advance();
  CHECK(std::isnan(twin.max_abs_logit_diff()));
}
