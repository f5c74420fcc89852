// Rows that are saved and loaded again: reloaded = kept, in any kind of cache; refused where they do not fit.
#include "session/saved_cache.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/safetensors.h"
#include "session/twin.h"
#include "tests/io/files.h"
#include "tests/session/texts.h"
#include "trace/dependence.h"
#include "trace/trace_file.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

/// A session that has computed the first n tokens of the text.
std::unique_ptr<DecodeSession> at(size_t n, Factory make, SessionOptions options = {}) {
  auto s = std::make_unique<DecodeSession>(load_model(kModels[0]), make(), std::move(options));
  s->start({kText.begin(), kText.begin() + static_cast<ptrdiff_t>(n)});
  while (s->current_step() + 1 < s->n_prefill_steps()) s->advance();
  return s;
}

SavedCache through_file(const SavedCache& saved) {
  const TemporaryFolder folder;
  write_saved_cache(saved, folder / "cache.safetensors");
  return read_saved_cache(folder / "cache.safetensors");
}

}  // namespace

TEST_CASE("what a saved cache holds, by eye: 3 tokens, 2 layers, 1 K/V head of 4") {
  const auto model = load_model("random:layers=2,q_heads=2,kv_heads=1,head_dim=4,vocab=10,context=8");
  DecodeSession s(model, naive(), {.cache = paged(2)});
  s.start({7, 8, 9});
  s.advance();
  const TemporaryFolder folder;
  write_saved_cache(save_cache(s), folder / "cache.safetensors");
  const auto file = SafetensorsFile::open(folder / "cache.safetensors");
  CHECK(file.names().size() == 6);
  const ConstTensorView tokens = file.tensor("tokens"), positions = file.tensor("positions"),
                        k = file.tensor("k.1");
  CHECK(std::vector<int32_t>(tokens.data<int32_t>(), tokens.data<int32_t>() + 3) ==
        std::vector<int32_t>{7, 8, 9});
  CHECK(std::vector<int32_t>(positions.data<int32_t>(), positions.data<int32_t>() + 3) ==
        std::vector<int32_t>{0, 1, 2});
  CHECK(k.shape() == Shape{3, 1, 4});
  const Tensor row = s.stored_row(1, RowKind::k, 2);
  CHECK(std::equal(row.data<float>(), row.data<float>() + 4, k.data<float>() + 8));
  CHECK(file.metadata().at("lastrow.schema") == "lastrow.cache.1");
  CHECK(file.metadata().at("lastrow.kv_dtype") == "f32");
  CHECK(file.metadata().at("lastrow.cache") == "paged:block=2");
  CHECK(file.metadata().at("lastrow.model").find("weights_xxh64") != std::string::npos);
}

TEST_CASE("theorem: reloaded = kept, to the last bit, for every type, from any kind of cache to any other") {
  for (const Factory make : {&naive, &exact, &eigen, &emulated})
    for (const std::string dtypes : {"f32", "f16", "bf16", "fp8", "int8", "k=int8,v=f16", "k=int4,v=fp4"}) {
      if (make == &exact && dtypes != "f32") continue;              // the judge stores f64
      if (make == &emulated && dtypes.starts_with("k=")) continue;  // its kernels do not, at this head_dim
      for (const bool from_pages : {false, true})
        for (const bool to_pages : {false, true}) {
          CAPTURE(dtypes);
          const CacheOptions from = with_dtypes(from_pages ? paged(3) : CacheOptions{}, dtypes),
                             to = with_dtypes(to_pages ? paged(5) : CacheOptions{}, dtypes);
          const auto kept = at(9, make, {.cache = from});
          const SavedCache saved = through_file(save_cache(*kept));
          DecodeSession s(load_model(kModels[0]), make(), {.cache = to});
          s.start_from(saved, text(9, 14));
          CHECK(s.n_loaded() == 9);
          CHECK(s.n_prefill_steps() == 1);
          const StepRecord r = s.advance();
          kept->advance(text(9, 14));
          CHECK(r.q_len == 5);
          CHECK(r.kv_len == 14);
          CHECK(logits_of(s) == logits_of(*kept));
          for (int i = 0; i < 3; ++i) {
            s.advance();
            kept->advance();
            CHECK(logits_of(s) == logits_of(*kept));
          }
          CHECK(rows_of(s) == rows_of(*kept));
          CHECK(std::ranges::equal(s.tokens(), kept->tokens()));
        }
    }
}

TEST_CASE("theorem: on naive, a start from saved rows is one long prompt, in chunks too") {
  const auto whole = at(17, &naive);
  for (const int32_t chunk : {0, 1, 3, 20})
    for (const size_t n : {1, 4, 16}) {
      CAPTURE(chunk);
      CAPTURE(n);
      DecodeSession s(load_model(kModels[0]), naive(), {.chunk = chunk, .cache = paged(4)});
      s.start_from(save_cache(*at(n, &naive)), text(n, 17));
      while (s.current_step() + 1 < s.n_prefill_steps()) s.advance();
      CHECK(s.n_tokens_at(s.current_step()) == 17);
      CHECK(logits_of(s) == logits_of(*whole));
      CHECK(rows_of(s) == rows_of(*whole));
    }
}

TEST_CASE("without new tokens the last one is fed again, and the text goes on as it would have") {
  const auto kept = at(9, &naive);
  for (int i = 0; i < 3; ++i) kept->advance();
  DecodeSession s(load_model(kModels[0]), naive(), {});
  s.start_from(save_cache(*kept), {});
  CHECK(s.n_loaded() == 11);
  s.advance();
  CHECK(logits_of(s) == logits_of(*kept));
  s.advance();
  kept->advance();
  CHECK(logits_of(s) == logits_of(*kept));
  s.start_from(save_cache(*at(1, &naive)), {});  // one token: nothing is left to load
  CHECK(s.n_loaded() == 0);
  s.advance();
  CHECK(logits_of(s) == logits_of(*at(1, &naive)));
}

TEST_CASE("both sides of a twin start from saved rows, step back, and take pokes") {
  const SavedCache saved = save_cache(*at(9, &naive));
  TwinSession twin(load_model(kModels[0]), naive(), naive(), {.chunk = 3, .cache = paged(4)});
  twin.start_from(saved, text(9, 14));
  for (int i = 0; i < 5; ++i) {
    twin.advance();
    CHECK(twin.max_abs_logit_diff() == 0);
  }
  CHECK(twin.cached().n_tokens_at(0) == 12);
  for (const int32_t step : {0, 4, 1, 3}) {
    twin.go_to(step);
    CHECK(twin.max_abs_logit_diff() == 0);
    CHECK(twin.cached().kv_len() == twin.cached().n_tokens_at(step));
  }
  const auto before = logits_of(twin.cached());
  twin.set_pokes({Poke{.what = Poke::What::k, .position = 10, .seed = 1, .when = Poke::When::since}});
  CHECK(twin.max_abs_logit_diff() == 0);
  CHECK(logits_of(twin.cached()) != before);
  for (const Poke::What what : {Poke::What::q, Poke::What::k, Poke::What::v})
    CHECK_THROWS_WITH_AS(
        twin.set_pokes({Poke{.what = what, .position = 8, .seed = 1, .when = Poke::When::since}}),
        doctest::Contains("position 8 since it was computed: its row was loaded"), UsageError);
  twin.set_pokes({Poke{.what = Poke::What::v, .layer = 1, .position = 8, .seed = 1, .step = 3}});
  CHECK(twin.max_abs_logit_diff() == 0);  // `now`, in the last layer: both sides read the changed row
  CHECK(logits_of(twin.cached()) != before);
  CHECK(twin.cached().poke_report(0).reads == 1);
  twin.set_pokes({});
  CHECK(logits_of(twin.cached()) == before);
}

TEST_CASE("a trace begins behind the loaded rows: it has them, and nobody of the trace wrote them") {
  RecordOptions record;
  record.keep = RecordOptions::Keep::all;
  const auto kept = at(9, &naive);
  DecodeSession s(load_model(kModels[0]), naive(), {.record = record, .cache = paged(4)});
  s.start_from(save_cache(*kept), text(9, 14));
  CHECK(s.recorder().steps().empty());
  s.advance();
  s.advance();
  const StepTensors step = s.recorder().tensors(1);
  CHECK(step.kv_len == 15);
  const Tensor row = kept->stored_row(1, RowKind::k, 2);
  const ConstTensorView k = step.layers[1].k;
  REQUIRE(k.dim(0) == 15);
  CHECK(std::equal(row.data<float>(), row.data<float>() + row.size(), k.rows(2, 1).data<float>()));

  const Lineage lineage(s.recorder());
  const int32_t attend = lineage.find(1, 1, site::kAttend);
  REQUIRE(attend >= 0);
  const auto events = s.recorder().events(1);
  const RowSpan out = events[static_cast<size_t>(attend)].writes[0];
  int32_t n_loaded = 0, n_computed = 0;
  std::vector<int64_t> slots;
  for (int32_t index = 0; index < s.kv_len(); ++index) slots.push_back(s.slot(index));
  for (const WrittenRow& each : lineage.ancestors({1, attend, out.at(0)})) {
    if (each.row.space != RowSpace::k) continue;
    const auto index = std::ranges::find(slots, each.row.row) - slots.begin();
    CHECK((each.event < 0) == (index < 9));
    (each.event < 0 ? n_loaded : n_computed) += 1;
  }
  CHECK(n_loaded == 2 * 9);    // layers × rows
  CHECK(n_computed == 2 * 6);  // five of the prefill, and its own

  const TemporaryFolder folder;
  write_trace(folder / "trace", s.recorder(), {});
  const TraceFile trace = TraceFile::open(folder / "trace");
  CHECK(Lineage(trace.recorder).ancestors({1, attend, out.at(0)}) ==
        lineage.ancestors({1, attend, out.at(0)}));
  const ConstTensorView traced = trace.recorder.tensors(1).layers[1].k;
  REQUIRE(traced.dim(0) == 15);
}

TEST_CASE("a file that its caller does not commit is not there") {
  const TemporaryFolder folder;
  const SavedCache saved = save_cache(*at(3, &naive));
  {
    AtomicFile file(folder / "cache.safetensors");
    write_saved_cache(saved, file);
  }
  CHECK(folder.n_entries() == 0);
  AtomicFile file(folder / "cache.safetensors");
  write_saved_cache(saved, file);
  file.commit();
  CHECK(read_saved_cache(folder / "cache.safetensors").n_rows() == 3);
}

TEST_CASE("saving is refused where the rows are not the model's own") {
  DecodeSession none(load_model(kModels[0]), naive(), {.mode = Mode::recompute});
  none.start(kText);
  none.advance();
  CHECK_THROWS_WITH_AS(save_cache(none), doctest::Contains("use Mode::cached"), UsageError);
  DecodeSession s(load_model(kModels[0]), naive(), {});
  s.start(kText);
  CHECK_THROWS_WITH_AS(save_cache(s), doctest::Contains("no step has been taken"), UsageError);
  s.advance();
  s.set_pokes({Poke{.what = Poke::What::k, .when = Poke::When::since}});
  CHECK_THROWS_WITH_AS(save_cache(s), doctest::Contains("take them back"), UsageError);
  s.set_pokes({});
  CHECK(save_cache(s).n_rows() == 17);
}

TEST_CASE("loading is refused for another model, type or precision, and changes nothing") {
  const SavedCache saved = save_cache(*at(9, &naive));
  const auto refused = [&](const std::string& model, Factory make, CacheOptions cache, const char* why) {
    DecodeSession s(load_model(model), make(), {.cache = std::move(cache)});
    s.start({1, 2, 3});
    s.advance();
    const auto logits = logits_of(s), rows = rows_of(s);
    CHECK_THROWS_WITH_AS(s.start_from(saved, text(9, 12)), doctest::Contains(why), UsageError);
    CHECK(logits_of(s) == logits);
    CHECK(rows_of(s) == rows);
    CHECK(s.current_step() == 0);
  };
  refused(kModels[1], &naive, {}, "is of another model");
  refused("random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,seed=3", &naive, {},
          "the weights differ");
  refused("random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=64,seed=2", &naive, {},
          "max_seq_len is 40 there and 64 here");
  refused(kModels[0], &naive, with_dtypes({}, "f16"),
          "stores K and V as f32, but this session as f16: choose f32");
  refused(kModels[0], &naive, with_dtypes({}, "k=f32,v=int8"), "as f32, but this session as k=f32,v=int8");
  refused(kModels[0], &exact, {}, "those of this backend are f64");

  DecodeSession other(load_model(kModels[1]), naive(), {});
  SavedCache named = through_file(saved);
  CHECK_THROWS_WITH_AS(other.start_from(named, {}),
                       doctest::Contains("cache.safetensors is of another model, "), UsageError);
  named.model.config.name = std::string(5'000'000, 'x');
  CHECK(message_of<UsageError>([&] { other.start_from(named, {}); }).size() < 1000);

  DecodeSession s(load_model(kModels[0]), naive(), {.max_seq_len = 12});
  CHECK_THROWS_WITH_AS(s.start_from(saved, std::vector<int32_t>{1, 50}), doctest::Contains("token 50"),
                       UsageError);
  CHECK_THROWS_WITH_AS(s.start_from(saved, text(0, 4)), doctest::Contains("has 13 tokens"), CapacityError);
  SavedCache moved = save_cache(*at(9, &naive));
  moved.positions.back() = 11;
  CHECK_THROWS_WITH_AS(s.start_from(moved, text(9, 12)), doctest::Contains("other positions"), UsageError);
  CHECK(s.prompt_len() == 0);
}
