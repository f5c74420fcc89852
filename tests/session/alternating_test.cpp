// A session of a model whose layers alternate between a window and full attention: only the windowed layers have a
// ring, and nothing that a layer sees is forgotten.
#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>

#include "core/error.h"
#include "judge/judged_logits.h"
#include "session/batch_session.h"
#include "session/saved_cache.h"
#include "session/twin.h"
#include "tests/session/batch_texts.h"
#include "trace/named_faults.h"
#include "trace/trace_file.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

/// As in Gemma 2: layers 0 and 2 have a window of 6, layers 1 and 3 see all keys, scores have a soft cap.
const std::string kGemma =
    "random:layers=4,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,soft_cap=2,window=6,window_period=2,"
    "seed=2";

/// The window of the model, in the layers that have one.
CacheOptions rings(int32_t block_len) { return {.kind = "window", .block_len = block_len}; }

std::vector<float> floats_of(const Tensor& t) { return {t.data<float>(), t.data<float>() + t.size()}; }

}  // namespace

TEST_CASE("by eye: windowed layers hold 5 rows between steps, the others hold all") {
  DecodeSession s(load_model(kGemma), naive(), {.cache = rings(2)});
  s.start({text(0, 7).begin(), text(0, 7).end()});
  while (s.current_step() + 1 < s.n_prefill_steps()) s.advance();
  s.advance();
  const KvCache& cache = s.cache();
  CHECK(cache.spec().windowed.every == 2);
  CHECK(cache.spec().n_blocks == 20);          // 40 tokens in blocks of 2
  CHECK(cache.spec().windowed.n_blocks == 6);  // 6 + 6 − 1 rows in blocks of 2
  CHECK(cache.length(0) == 8);
  CHECK(cache.of_layer(1).length(0) == 8);
  for (const int32_t layer : {0, 2}) {
    CHECK(cache.of_layer(layer).length(0) == 5);
    CHECK(cache.of_layer(layer).position_of(0, 0) == 3);
    CHECK(s.stored_rows(layer, RowKind::k).shape() == Shape{5, 2, 8});
  }
  CHECK(s.stored_rows(3, RowKind::v).shape() == Shape{8, 2, 8});
  CHECK(s.record().rows_held == 8);
  CHECK(s.record().rows_evicted == 1);
  // The new token sees 6 keys in two layers and 8 in the others, with 4 heads.
  CHECK(s.record().score_cells == 4 * (2 * 6 + 2 * 8));
  // 2 layers · (4 + 6 blocks) · 2 rows · 2 heads · (K and V) · 8 elements · 4 bytes
  CHECK(s.record().bytes_held == 2 * (4 + 6) * 2 * 2 * 2 * 8 * 4);
  CHECK_THROWS_WITH_AS((void)s.stored_row(0, RowKind::k, 5), doctest::Contains("holds 5 rows"), UsageError);
}

TEST_CASE("theorem: on naive, rings in the windowed layers = all rows = recompute to the last bit") {
  const auto model = load_model(kGemma);
  DecodeSession all(model, naive(), {});
  const auto expected = talk(all);
  for (const int32_t block_len : {1, 2, 5, 16, 40}) {
    CAPTURE(block_len);
    DecodeSession recompute(model, naive(), {.mode = Mode::recompute, .cache = rings(block_len)});
    CHECK(talk(recompute) == expected);
    for (const int32_t chunk : {0, 1, 3, 7, 17}) {
      CAPTURE(chunk);
      DecodeSession s(model, naive(), {.chunk = chunk, .cache = rings(block_len)});
      CHECK(talk(s) == expected);
      CHECK(s.record().score_cells == all.record().score_cells);
      CHECK(s.record().cache_bytes_read == all.record().cache_bytes_read);
      for (int32_t layer = 0; layer < 4; ++layer) {  // the rows that are held are those of their positions
        const KvCache& own = s.cache().of_layer(layer);
        CHECK(own.length(0) == (layer % 2 == 0 ? 5 : 40));
        for (int32_t index = 0; index < own.length(0); ++index)
          CHECK(floats_of(s.stored_row(layer, RowKind::k, index)) ==
                floats_of(all.stored_row(layer, RowKind::k, own.position_of(0, index))));
      }
    }
  }
}

TEST_CASE(
    "theorem: elsewhere, rings and recompute are within the tolerance of the judge, in narrow types too") {
  const auto model = load_model(kGemma);
  for (const Factory make : {&eigen, &emulated})
    for (const int32_t block_len : {2, 16}) {
      TwinSession twin(model, make(), make(), {.cache = rings(block_len)});
      twin.start(kText);
      while (!twin.cached().context_full()) twin.advance();
      const judge::JudgedLogits judged = judge::judged_logits(*model, twin.cached().tokens(), 0, 0);
      const auto vocab_size = static_cast<size_t>(model->config().vocab_size);
      const auto first = judged.logits.begin() + static_cast<ptrdiff_t>(39 * vocab_size);
      for (const Mode mode : {Mode::cached, Mode::recompute}) {
        const auto logits = twin.side(mode).logits();
        const judge::Difference worst = judge::difference(
            {logits.begin(), logits.end()}, {first, first + static_cast<ptrdiff_t>(vocab_size)});
        INFO(worst.to_string());
        CHECK(worst.largest <= judged.bound);
      }
    }
  for (const char* dtypes : {"f16", "k=int8,v=fp8", "int4"}) {
    CAPTURE(dtypes);
    DecodeSession all(model, naive(), {.cache = with_dtypes({}, dtypes)}),
        s(model, naive(), {.chunk = 3, .cache = with_dtypes(rings(2), dtypes)});
    CHECK(talk(s) == talk(all));
    CHECK(s.storage_bytes() < all.storage_bytes());
  }
}

TEST_CASE("a ring of the windowed layers that is one row too short changes the logits") {
  const auto model = load_model(kGemma);
  CacheOptions options = rings(1);
  options.window = 6, options.windowed_every = 2;
  const CacheSizes sizes{.n_layers = 4, .n_kv_heads = 2, .head_dim = 8, .max_seq_len = 40, .longest_step = 1};
  const CacheSpec right = cache_spec(options, sizes);
  CHECK(right.windowed.n_blocks == 6);
  options.window = 5;
  CHECK(cache_spec(options, sizes).windowed.n_blocks == 5);
  DecodeSession all(model, naive(), {.chunk = 1});
  DecodeSession narrow(model, naive(), {.chunk = 1, .cache = options});  // the plan's mask is narrower too
  CHECK(talk(narrow).back() != talk(all).back());
}

TEST_CASE("stepping back, and pokes of rows that one layer has forgotten and another holds") {
  const auto model = load_model(kGemma);
  TwinSession twin(model, naive(), naive(), {.chunk = 3, .cache = rings(2)});
  twin.start(kText);
  std::vector<std::vector<float>> logits;
  while (!twin.cached().context_full()) {
    twin.advance();
    CHECK(twin.max_abs_logit_diff() == 0);
    logits.push_back(logits_of(twin.cached()));
  }
  for (const int32_t step : {3, 20, 19, 0, 25}) {
    twin.go_to(step);
    CHECK(logits_of(twin.cached()) == logits[static_cast<size_t>(step)]);
    CHECK(twin.max_abs_logit_diff() == 0);
  }
  Poke poke{.what = Poke::What::k, .layer = 0, .position = 9, .seed = 7, .when = Poke::When::now, .step = 25};
  twin.set_pokes({poke});  // layer 0 does not hold position 9 any more
  CHECK(twin.cached().poke_report(0).changed == 0);
  CHECK(logits_of(twin.cached()) == logits[25]);
  poke.layer = 1;  // this layer does
  twin.set_pokes({poke});
  CHECK(twin.cached().poke_report(0).changed == 1);
  CHECK(twin.cached().poke_report(0).reads == 1);
  CHECK(logits_of(twin.cached()) != logits[25]);
  twin.set_pokes({{.what = Poke::What::v, .layer = 0, .position = 9, .seed = 7, .when = Poke::When::since}});
  CHECK(twin.max_abs_logit_diff() == 0);
  CHECK(logits_of(twin.cached()) != logits[25]);  // rows of layer 1 were computed from it, and are still held
  twin.set_pokes({});
  CHECK(logits_of(twin.cached()) == logits[25]);
}

TEST_CASE("texts that step together get the bits that they get alone, and their counts add up") {
  const auto model = load_model(kGemma);
  BatchSession batch(model, naive(), {.max_seqs = 2, .max_prompt_len = 9, .cache = rings(2)});
  for (const size_t end : {3, 9, 6}) batch.add({text(0, end).begin(), text(0, end).end()}, 20);
  run_to_the_end(batch);
  CHECK(batch.step().usage.rows_evicted > 30);
  int32_t id = 0;
  for (const size_t end : {3, 9, 6}) {
    DecodeSession alone(model, naive(), {.chunk = 9, .cache = rings(2)});
    alone.start({text(0, end).begin(), text(0, end).end()});
    for (int i = 0; i < 20; ++i) alone.advance();
    CHECK(logits_of(alone) == batch.generation(id++).logits);
  }
}

TEST_CASE("a trace comes back from its file, with the slots and ancestors of each layer's own rows") {
  DecodeSession s(load_model(kGemma), naive(),
                  {.chunk = 3, .record = RecordOptions{.keep = RecordOptions::Keep::all}, .cache = rings(2)});
  s.start(kText);
  for (int i = 0; i < 16; ++i) s.advance();
  const auto path = std::filesystem::temp_directory_path() / fmt::format("lastrow-groups-{}", getpid());
  write_trace(path, s.recorder(), {});
  const TraceFile trace = TraceFile::open(path);
  std::filesystem::remove(path);
  CHECK(trace.recorder.cache_spec().windowed.held_rows == s.cache().spec().windowed.held_rows);
  for (const int32_t step : s.recorder().steps()) {
    const StepPlan &plan = s.recorder().plan(step), &read = trace.recorder.plan(step);
    CHECK(read.block_tables == plan.block_tables);
    CHECK(read.of_layer(2).block_tables == plan.of_layer(2).block_tables);
    CHECK(read.of_layer(2).key_positions == plan.of_layer(2).key_positions);
    CHECK(read.of_layer(2).window == 6);
    CHECK(read.of_layer(1).window == 0);
    const StepTensors a = s.recorder().tensors(step), b = trace.recorder.tensors(step);
    for (size_t layer = 0; layer < 4; ++layer) {
      REQUIRE(b.layers[layer].k.shape() == a.layers[layer].k.shape());
      CHECK(a.layers[layer].k.dim(0) == plan.of_layer(static_cast<int32_t>(layer)).kv_len[0]);
      CHECK(std::equal(a.layers[layer].k.data<float>(),
                       a.layers[layer].k.data<float>() + a.layers[layer].k.size(),
                       b.layers[layer].k.data<float>()));
    }
  }
  CHECK(trace.recorder.evicted(s.current_step()).size() == 1);
  // Layer 1 and layer 3 see all keys, so the last logits come from every token.
  const int32_t last = s.current_step();
  CHECK(positions_behind(trace.recorder, last, -1, "lm_head").size() == s.tokens().size());
  // The output of layer 0 comes from the 6 tokens in the window.
  CHECK(positions_behind(trace.recorder, last, 0, "attend").size() == 6);
}

TEST_CASE("a fault in the plan reaches the windowed layers, and is caught") {
  const auto model = load_model(kGemma);
  for (const char* fault : {"window-rolled-early", "ring-short"}) {
    DecodeSession good(model, naive(), {.chunk = 3, .cache = rings(2)}),
        bad(model, with_fault(fault, naive(), model->config().group_size()), {.chunk = 3, .cache = rings(2)});
    CHECK(talk(good) != talk(bad));
  }
}

TEST_CASE("what is refused") {
  CHECK_THROWS_WITH_AS(DecodeSession(load_model(kGemma), naive(), {.cache = {.kind = "window", .sinks = 2}}),
                       doctest::Contains("leave out the sinks"), UsageError);
  DecodeSession s(load_model(kGemma), naive(), {.cache = rings(4)});
  s.start({1, 2, 3});
  s.advance();
  CHECK_THROWS_WITH_AS(save_cache(s), doctest::Contains("cannot be saved from a cache with a window"),
                       UsageError);
  // Storage and plan must come from the same cache.
  DecodeSession plain(load_model(kGemma), naive(), {});
  NaiveBackend<float> backend;
  const auto storage = backend.make_storage(plain.cache().spec());
  const auto cache =
      make_cache(s.options().cache, {.n_layers = 4, .n_kv_heads = 2, .head_dim = 8, .max_seq_len = 40});
  const SequenceInput input{0, kText, LogitRows::last};
  CHECK_THROWS_WITH_AS(backend.begin_step(cache->plan({&input, 1}), *storage),
                       doctest::Contains("do not agree which layers have blocks of their own"), ShapeError);
}
