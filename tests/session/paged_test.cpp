// A session over a paged cache: the same bits as over a contiguous one, and exact counts of what is held.
#include <doctest/doctest.h>

#include "session/twin.h"
#include "tests/session/texts.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

/// A prompt in chunks of 5, four tokens, a turn of 4, two tokens: 27 in the end.
void talk(DecodeSession& s, std::vector<std::vector<float>>& logits) {
  s.start(kText);
  for (int i = 0; i < 11; ++i) {
    if (i == 8)
      s.advance(text(3, 7));
    else
      s.advance();
    logits.push_back(logits_of(s));
  }
}

}  // namespace

TEST_CASE("what the cache holds after a step, by eye: 5 tokens in blocks of 2 and in one block of 8") {
  const auto model = load_model("random:layers=3,q_heads=2,kv_heads=1,head_dim=4,vocab=10,context=8");
  DecodeSession pages(model, eigen(), {.cache = paged(2)}), one(model, eigen(), {}),
      none(model, eigen(), {.mode = Mode::recompute});
  for (DecodeSession* s : {&pages, &one, &none}) {
    s->start({1, 2, 3, 4, 5});
    s->advance();
    CHECK(s->record().rows_evicted == 0);
    CHECK(s->record().blocks_shared == 0);
  }
  const int64_t row_bytes = 3 * 2 * 4 * 4;  // layers, K and V, head_dim, f32
  CHECK(pages.record().rows_held == 5);
  CHECK(pages.record().blocks_used == 3);
  CHECK(pages.record().bytes_held == 6 * row_bytes);
  CHECK(one.record().rows_held == 5);
  CHECK(one.record().blocks_used == 1);
  CHECK(one.record().bytes_held == 8 * row_bytes);
  CHECK(none.record().rows_held == 0);
  CHECK(none.record().blocks_used == 0);
  CHECK(none.record().bytes_held == 0);
  DecodeSession judge(model, exact(), {.cache = paged(2)});  // stores f64
  judge.start({1, 2, 3, 4, 5});
  judge.advance();
  CHECK(judge.record().bytes_held == 2 * 6 * row_bytes);
  pages.advance();  // a sixth token: the third block is full now
  CHECK(pages.record().rows_held == 6);
  CHECK(pages.record().blocks_used == 3);
  CHECK(pages.go_to(0).rows_held == 5);
}

TEST_CASE("theorem: paged = contiguous to the last bit, for any length of a block") {
  for (const Factory make : {&naive, &eigen, &emulated})
    for (const std::string& name : kModels) {
      const auto model = load_model(name);
      DecodeSession contiguous(model, make(), {.chunk = 5});
      std::vector<std::vector<float>> expected;
      talk(contiguous, expected);
      for (const int32_t block_len : {1, 3, 16, 40}) {
        CAPTURE(block_len);
        DecodeSession s(model, make(), {.chunk = 5, .cache = paged(block_len)});
        std::vector<std::vector<float>> logits;
        talk(s, logits);
        CHECK(logits == expected);
        CHECK(rows_of(s) == rows_of(contiguous));
        CHECK(std::ranges::equal(s.tokens(), contiguous.tokens()));
        CHECK(s.record().cache_bytes_read == contiguous.record().cache_bytes_read);
        s.start(kText);  // again, in blocks that have been used
        for (int i = 0; i < 4; ++i) s.advance();
        CHECK(logits_of(s) == expected[3]);
      }
    }
}

TEST_CASE("theorem: the same for every type of stored K and V") {
  for (const char* dtypes : {"f16", "bf16", "fp8", "int8", "int4", "fp4", "k=int8,v=f16", "k=fp4,v=int4"}) {
    CAPTURE(dtypes);
    const CacheOptions in_one = with_dtypes({}, dtypes), in_pages = with_dtypes(paged(3), dtypes);
    DecodeSession contiguous(load_model(kModels[0]), eigen(), {.chunk = 5, .cache = in_one}),
        s(load_model(kModels[0]), eigen(), {.chunk = 5, .cache = in_pages});
    std::vector<std::vector<float>> expected, logits;
    talk(contiguous, expected);
    talk(s, logits);
    CHECK(logits == expected);
  }
}

TEST_CASE("a step that is run again stores its rows in the slots where they were") {
  for (const int32_t block_len : {1, 3, 16}) {
    CAPTURE(block_len);
    DecodeSession s(load_model(kModels[0]), naive(), {.chunk = 5, .cache = paged(block_len)});
    std::vector<std::vector<float>> logits;
    talk(s, logits);
    const auto slots_of = [&] {
      std::vector<int64_t> slots;
      for (int32_t index = 0; index < s.kv_len(); ++index) slots.push_back(s.slot(index));
      return slots;
    };
    const std::vector<int64_t> slots = slots_of();
    for (const int32_t step : {10, 2, 7, 0, 10, 1, 10}) {
      s.go_to(step);
      const std::vector<int64_t> now = slots_of();
      CHECK(std::equal(now.begin(), now.end(), slots.begin()));
    }
    s.set_pokes({Poke{.position = 2, .seed = 1, .when = Poke::When::since}});
    CHECK(slots_of() == slots);
  }
}

TEST_CASE("both sides of a twin agree where the cached one has pages") {
  TwinSession twin(load_model(kModels[0]), naive(), naive(), {.chunk = 6, .cache = paged(4)});
  twin.start(kText);
  for (int i = 0; i < 8; ++i) {
    twin.advance();
    CHECK(twin.max_abs_logit_diff() == 0);
  }
  twin.set_pokes({Poke{.what = Poke::What::k, .position = 7, .seed = 1, .when = Poke::When::since}});
  CHECK(twin.max_abs_logit_diff() == 0);
  twin.go_to(1);
  CHECK(twin.max_abs_logit_diff() == 0);
}

TEST_CASE("a trace of a session with pages has the rows of one without") {
  RecordOptions record;
  record.keep = RecordOptions::Keep::all;
  DecodeSession contiguous(load_model(kModels[0]), naive(), {.chunk = 5, .record = record}),
      s(load_model(kModels[0]), naive(), {.chunk = 5, .record = record, .cache = paged(3)});
  std::vector<std::vector<float>> logits;
  talk(contiguous, logits);
  talk(s, logits);
  for (int32_t step = 0; step <= s.last_step(); ++step) {
    const StepTensors a = contiguous.recorder().tensors(step), b = s.recorder().tensors(step);
    CHECK(a.tokens == b.tokens);
    CHECK(a.positions == b.positions);
    REQUIRE(a.layers.size() == b.layers.size());
    for (size_t layer = 0; layer < a.layers.size(); ++layer)
      for (const auto view : {&LayerTensors::q, &LayerTensors::k, &LayerTensors::v, &LayerTensors::out}) {
        const ConstTensorView x = a.layers[layer].*view, y = b.layers[layer].*view;
        REQUIRE(x.shape() == y.shape());
        CHECK(std::equal(x.data<float>(), x.data<float>() + x.size(), y.data<float>()));
      }
  }
}

TEST_CASE("a session has no other text to share rows with, and says so") {
  CacheOptions sharing = paged(4);
  sharing.share_prefix = true;
  CHECK_THROWS_WITH_AS(DecodeSession(load_model(kModels[0]), naive(), {.cache = sharing}),
                       doctest::Contains("leave out share_prefix"), UsageError);
}
