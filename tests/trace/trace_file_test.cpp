// Writes a recording, reads it back and compares. Damaged files: trace_damage_test.cpp.
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cache/contiguous_cache.h"
#include "io/safetensors.h"
#include "tests/trace/recorded_file.h"
#include "trace/dependence.h"
#include "trace/faults.h"

using namespace lastrow;
using namespace lastrow::test;

TEST_CASE("by eye: what is in the file") {
  const Recorded r;
  const SafetensorsFile file = SafetensorsFile::open(r.file.path);
  CHECK(file.metadata().at("lastrow.trace") == "1");
  CHECK(file.metadata().at("lastrow.tokens") == "[3,1,4,1,5]");
  CHECK(file.tensor("-1/embed").shape() == Shape{3 + 1 + 1, 32});  // all steps
  CHECK(file.tensor("0/attend.q").shape() == Shape{3 + 1 + 1, 4, 8});
  CHECK(file.tensor("0/attend.scores").shape() == Shape{4 * (3 * 3 + 1 * 4 + 1 * 5)});  // ragged, so flat
  CHECK(file.tensor("0/kv.k").shape() == Shape{5, 2, 8});                               // each row once …
  CHECK(file.tensor("1/kv.k").shape() == Shape{7, 2, 8});  // … and the poked row twice more: poked, restored
  const int64_t* index = file.tensor("0/attend.scores.index").data<int64_t>();
  CHECK(std::vector<int64_t>(index + 9, index + 18) ==
        std::vector<int64_t>{1, 0, 36, 16, 3, 4, 1, 4, 0});  // step 1: from 36, 16 elements, [4, 1, 4]
}

TEST_CASE("round trip: the file answers as the recorder does") {
  const Recorded r;
  const TraceFile trace = TraceFile::open(r.file.path);
  CHECK(trace.info.config_json == "{\"a\": 1}");
  CHECK(trace.info.tokens == std::vector<int32_t>{3, 1, 4, 1, 5});
  CHECK_FALSE(trace.truncated);
  REQUIRE(trace.recorder.steps() == r.m.recorder.steps());
  for (const int32_t step : {0, 1, 2}) {
    const StepTensors a = r.m.recorder.tensors(step), b = trace.recorder.tensors(step);
    CHECK(a.tokens == b.tokens);
    CHECK(a.kv_len == b.kv_len);
    CHECK(same(a.embedded, b.embedded));
    CHECK(same(a.logits, b.logits));
    REQUIRE(a.layers.size() == b.layers.size());
    for (size_t layer = 0; layer < 2; ++layer) {
      const LayerTensors &x = a.layers[layer], &y = b.layers[layer];
      CHECK(!x.k.empty());
      CHECK(same(x.q, y.q));
      CHECK(same(x.k, y.k));
      CHECK(same(x.v, y.v));
      CHECK(same(x.scores, y.scores));
      CHECK(same(x.probs, y.probs));
      CHECK(same(x.out, y.out));
      CHECK(same(x.lse, y.lse));
      CHECK(same(x.residual, y.residual));
    }
    REQUIRE(r.m.recorder.entries(step).size() == trace.recorder.entries(step).size());
    for (const Recorder::Entry& e : r.m.recorder.entries(step))
      CHECK(same_bits(e.tensor.view(), trace.recorder.find(step, e.layer, e.name, e.sequence)->view()));
    REQUIRE(r.m.recorder.events(step).size() == trace.recorder.events(step).size());
    for (size_t i = 0; i < r.m.recorder.events(step).size(); ++i) {
      const Event &x = r.m.recorder.events(step)[i], &y = trace.recorder.events(step)[i];
      CHECK(x.name == y.name);
      CHECK(x.op == y.op);
      CHECK(x.layer == y.layer);
      CHECK(x.cost == y.cost);
      CHECK(x.reads == y.reads);
      CHECK(x.writes == y.writes);
      CHECK(x.start_us == y.start_us);
      CHECK(x.duration_us == y.duration_us);
    }
  }
  const Lineage before(r.m.recorder), after(trace.recorder);
  const int32_t event = before.find(2, -1, site::kLmHead);
  const WrittenRow logits{2, event, {RowSpace::tensor, r.m.recorder.events(2)[event].writes[0].id, 0}};
  CHECK(before.ancestors(logits) == after.ancestors(logits));
}

TEST_CASE("round trip: a mask with a window and sinks, which only its own tensor of the file holds") {
  for (const MaskRule mask : {MaskRule{.window = 2}, MaskRule{.window = 2, .sinks = 1}}) {
    TracedModel m({.keep = RecordOptions::Keep::latest}, 2);
    TemporaryFile file("sinks.safetensors");
    FaultingBackend masked(m.tracing);
    masked.on_attend([mask](Site site, AttendSpec& spec) {
      if (site.layer == 1) spec.mask = mask;  // as in models that have both kinds of layers
    });
    m.step({3, 1, 4, 1, 5}, &masked);
    write_trace(file.path, m.recorder, {.config_json = "{}", .tokens = {3, 1, 4, 1, 5}});
    CHECK(SafetensorsFile::open(file.path).has("events.sinks") == (mask.sinks > 0));
    const TraceFile trace = TraceFile::open(file.path);
    const auto &before = m.recorder.events(0), &after = trace.recorder.events(0);
    REQUIRE(before.size() == after.size());
    for (size_t i = 0; i < before.size(); ++i) {
      CHECK(before[i].mask.causal == after[i].mask.causal);
      CHECK(before[i].mask.window == after[i].mask.window);
      CHECK(before[i].mask.sinks == after[i].mask.sinks);
      CHECK(after[i].mask.sinks == (after[i].name == site::kAttend && after[i].layer == 1 ? mask.sinks : 0));
    }
  }
}

TEST_CASE("round trip: only the latest step, filters, a judge in double precision, an empty recording") {
  TemporaryFile file("small.safetensors");
  TracedModel latest({.layers = {1}, .probe = true}, 2);
  latest.step({3, 1});
  latest.step({4});
  write_trace(file.path, latest.recorder, {});
  const TraceFile trace = TraceFile::open(file.path);
  CHECK(trace.recorder.steps() == std::vector<int32_t>{1});
  CHECK(trace.recorder.tensors(1).layers[0].k.empty());
  CHECK(same(trace.recorder.tensors(1).layers[1].k, latest.recorder.tensors(1).layers[1].k));

  NaiveBackend<double> judge;
  Recorder recorder({.keep = RecordOptions::Keep::all});
  TracingBackend tracing(judge, recorder);
  Tiny tiny(judge);
  tiny.step(tracing, 3);
  write_trace(file.path, recorder, {});
  CHECK(same(TraceFile::open(file.path).recorder.tensors(0).layers[1].k, recorder.tensors(0).layers[1].k));

  Recorder cut({.keep = RecordOptions::Keep::all, .max_bytes = 4000});
  TracingBackend cut_tracing(judge, cut);
  tiny.cache().reset(0);
  tiny.step(cut_tracing, 4);
  write_trace(file.path, cut, {});
  CHECK(TraceFile::open(file.path).truncated);
}

TEST_CASE("round trip: several sequences in one step") {
  TemporaryFile file("sequences.safetensors");
  NaiveBackend<float> naive;
  Recorder recorder({.keep = RecordOptions::Keep::all, .probe = true});
  TracingBackend tracing(naive, recorder);
  ContiguousCache cache(CacheSpec::contiguous(1, 2, 8, 8, /*n_seqs=*/2));
  auto storage = naive.make_storage(cache.spec());
  const std::vector<int32_t> tokens(3, 0);
  const std::array<SequenceInput, 2> inputs{SequenceInput{1, {tokens.data(), 2}, LogitRows::none},
                                            SequenceInput{0, tokens, LogitRows::none}};
  const Batch& batch = tracing.begin_step(cache.plan(inputs), *storage);
  const Tensor q = random_tensor({5, 4, 8}, 1), k = random_tensor({5, 2, 8}, 2);
  Tensor out = Tensor::host(DType::f32, {5, 4, 8}), lse = Tensor::host(DType::f32, {5, 4});
  tracing.run(Append{{0, site::kAppend}, k.view(), k.view(), batch, *storage});
  tracing.run(Attend{{0, site::kAttend}, q.view(), *storage, batch, {}, out.view(), lse.view()});
  write_trace(file.path, recorder, {});
  const TraceFile trace = TraceFile::open(file.path);
  for (const int32_t sequence : {0, 1}) {
    const StepTensors a = recorder.tensors(0, sequence), b = trace.recorder.tensors(0, sequence);
    CHECK(!a.layers[0].probs.empty());
    CHECK(same(a.layers[0].probs, b.layers[0].probs));
    CHECK(same(a.layers[0].scores, b.layers[0].scores));
    CHECK(same(a.layers[0].q, b.layers[0].q));
    CHECK(same(a.layers[0].k, b.layers[0].k));
  }
}

TEST_CASE("a file goes by its own list of operations: one that an earlier program wrote is read the same") {
  const Recorded r;
  std::vector<char> bytes = bytes_of(r.file.path);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  const auto data = bytes.begin() + 8 + int64_t(header_bytes);
  nlohmann::json header = nlohmann::json::parse(bytes.begin() + 8, data);
  // The list of the first programs, and each event with its number in that list.
  const std::vector<std::string> earlier = {"embed",       "rms_norm", "linear",      "rope",
                                            "append",      "attend",   "swiglu",      "add",
                                            "gather_rows", "argmax",   "copy_blocks", "write_rows"};
  const nlohmann::json& columns = header["events.columns"];
  const int64_t begin = columns["data_offsets"][0], n_events = columns["shape"][0];
  for (int64_t i = 0; i < n_events; ++i) {
    char* const at = &*data + begin + (9 * i + 1) * 8;
    int64_t op = 0;
    std::memcpy(&op, at, 8);
    const std::string name(traits(OpKind{static_cast<uint8_t>(op)}).name);
    op = std::ranges::find(earlier, name) - earlier.begin();
    std::memcpy(at, &op, 8);
  }
  header["__metadata__"]["lastrow.ops"] = nlohmann::json(earlier).dump();
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  header_bytes = text.size();
  TemporaryFile file("earlier.safetensors");
  std::ofstream out(file.path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&header_bytes), 8).write(text.data(), int64_t(text.size()));
  out.write(&*data, bytes.end() - data);
  out.close();

  const TraceFile read = TraceFile::open(file.path);
  for (const int32_t step : r.m.recorder.steps()) {
    const auto expected = r.m.recorder.events(step), actual = read.recorder.events(step);
    REQUIRE(actual.size() == expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      CHECK(actual[i].op == expected[i].op);
      CHECK(actual[i].writes == expected[i].writes);
    }
  }
}
