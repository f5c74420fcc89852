// Writes a recording, reads it back and compares; tries damaged files; tests the Chrome export.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cache/contiguous_cache.h"
#include "core/random.h"
#include "io/safetensors.h"
#include "tests/trace/tiny.h"
#include "tests/trace/traced_model.h"
#include "trace/chrome_trace.h"
#include "trace/dependence.h"
#include "trace/faults.h"
#include "trace/poke.h"
#include "trace/trace_file.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

// A different file for each test. It is removed afterwards.
struct TemporaryFile {
  std::filesystem::path path;
  explicit TemporaryFile(const std::string& name)
      : path(std::filesystem::temp_directory_path() / fmt::format("lastrow-{}-{}", getpid(), name)) {}
  ~TemporaryFile() { std::filesystem::remove(path); }
};

std::vector<char> bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const std::filesystem::path& path, const std::vector<char>& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

bool same(ConstTensorView a, ConstTensorView b) {
  return a.empty() ? b.empty() : !b.empty() && same_bits(a, b);
}

// A prefill and two decodes of a model with two layers. In the second step one key is poked.
struct Recorded {
  TracedModel m;
  TemporaryFile file{"trace.safetensors"};
  explicit Recorded(RecordOptions options = {.keep = RecordOptions::Keep::all, .ops = {"*"}, .probe = true},
                    const CacheOptions& cache = {})
      : m(std::move(options), 2, cache) {
    PokingBackend poking(m.tracing);
    const Poke poke{.what = Poke::What::k, .layer = 1, .position = 1, .seed = 8, .step = 1};
    poking.set_pokes({&poke, 1});
    int32_t step = 0;
    for (const std::vector<int32_t>& tokens : {std::vector<int32_t>{3, 1, 4}, {1}, {5}}) {
      poking.set_step(step++);
      m.step(tokens, &poking);
    }
    write_trace(file.path, m.recorder, {.config_json = "{\"a\": 1}", .tokens = {3, 1, 4, 1, 5}});
  }
};

}  // namespace

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

TEST_CASE("a file that is not a trace is refused with a message, and a failed write overwrites nothing") {
  TemporaryFile file("bad.safetensors");
  CHECK_THROWS_AS(TraceFile::open(file.path), FileError);
  SafetensorsWriter empty;
  empty.write(file.path);
  CHECK_THROWS_WITH_AS(TraceFile::open(file.path),
                       (file.path.string() + ": not a trace: its metadata lacks lastrow.trace").c_str(),
                       FileError);
  SafetensorsWriter newer;
  newer.metadata("lastrow.trace", "5");
  newer.write(file.path);
  CHECK_THROWS_WITH_AS(TraceFile::open(file.path), doctest::Contains("this program reads schemas 1 to 4"),
                       FileError);
  const Recorded r;
  CHECK_THROWS_AS(write_trace("/nonexistent-folder/trace.safetensors", r.m.recorder, {}), FileError);
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

TEST_CASE("an impossible number is refused, and the message says where it is") {
  const Recorded r;
  const std::vector<char> good = bytes_of(r.file.path);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, good.data(), 8);
  const nlohmann::json header =
      nlohmann::json::parse(good.begin() + 8, good.begin() + 8 + int64_t(header_bytes));
  TemporaryFile file("number.safetensors");
  struct Damage {
    const char* tensor;
    int64_t at, value;
    const char* message;
  };
  const Damage damages[] = {
      {"steps.index", 3, 0, "steps.index does not ascend at step 0"},
      {"steps.index", 2, 16, "step 0: block tables do not fit each other or the cache"},
      {"steps.ends", 0, -1, "rows 0 to -1 of steps.tokens, which has 5"},
      {"steps.ends", 9 * 2, 4, "rows 4 to 4 of steps.tokens, which has 5"},
      {"steps.tokens", 0, int64_t{1} << 40, "1099511627776 in steps.tokens is out of range"},
      {"steps.q_start", 1, 2, "step 0: q_start do not fit each other or the cache"},
      {"steps.kv_len", 0, 33, "step 0: kv_len do not fit each other or the cache"},
      {"steps.block_tables", 0, 1, "step 0: block tables do not fit each other or the cache"},
      {"steps.append_slots", 4, 32, "step 2: append_slots do not fit each other or the cache"},
      {"steps.logit_rows", 0, 3, "step 0: logit_rows do not fit each other or the cache"},
      {"events.columns", 1, kOpCount,
       "event 0 has an operation, layer, name, window or kernel that does not exist"},
      {"events.columns", 6, 0, "event 0 (embed) lacks operands"},
      {"events.costs", 0, -1, "event 0 has cost -1: it must be from 0 up, and all costs together below 2^62"},
      {"events.reads", 2, -1, "event 0 (embed) has rows -1 + 3 where there are 2147483647"},
      {"events.writes", 3, 4, "event 0 (embed) writes 4 rows in a step of 3"},
      {"0/attend.q.index", 2, 1, "\"0/attend.q\".index: entry 0 is not where the one before it ends"},
      {"0/attend.q.index", 0, 9, "\"0/attend.q\" names step 9, which steps.index lacks"},
      {"0/attend.scores.index", 6, 4,
       "\"0/attend.scores\".index: entry 0 of shape [4, 4, 3] has 36 elements"},
      {"1/kv.k.index", 0, 32, "\"1/kv.k\": slot 32 of a cache of 1 blocks of 32"},
  };
  for (const Damage& d : damages) {
    std::vector<char> bytes = good;
    const int64_t begin = header.at(d.tensor).at("data_offsets").at(0);
    std::memcpy(bytes.data() + 8 + header_bytes + begin + 8 * d.at, &d.value, 8);
    write_bytes(file.path, bytes);
    const std::string expected =
        fmt::format("{}: damaged trace: {}: record it again", file.path.string(), d.message);
    CHECK_THROWS_WITH_AS(TraceFile::open(file.path), expected.c_str(), FileError);
  }
}

TEST_CASE("an impossible table of a ring is refused, and the message says where it is") {
  const Recorded r({.keep = RecordOptions::Keep::all},
                   {.kind = "window", .block_len = 2, .window = 2, .sinks = 1});
  const std::vector<char> good = bytes_of(r.file.path);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, good.data(), 8);
  const nlohmann::json header =
      nlohmann::json::parse(good.begin() + 8, good.begin() + 8 + int64_t(header_bytes));
  CHECK(header.at("__metadata__").at("lastrow.trace") == "2");
  TemporaryFile file("ring.safetensors");
  struct Damage {
    const char* tensor;
    int64_t at, value;
    const char* message;
  };
  const Damage damages[] = {
      {"steps.policy", 0, -1, "step 0: windows and sinks do not fit each other or the cache"},
      {"steps.policy", 2, int64_t{1} << 30, "step 0: windows and sinks do not fit each other or the cache"},
      {"steps.policy", 2, int64_t{1} << 40, "1099511627776 in steps.policy is out of range"},
      {"steps.policy", 3, 0, "step 1: table_first do not fit each other or the cache"},
      {"steps.policy", 4, 0, "step 1: key_positions do not fit each other or the cache"},
      {"steps.policy", 5 * 2 + 3, 2, "rows 2 to 2 of steps.table_first, which has 3"},
      {"steps.table_first", 0, 2, "step 0: table_first do not fit each other or the cache"},
      {"steps.table_first", 1, -1, "step 1: table_first do not fit each other or the cache"},
      {"steps.block_tables", 1, -1, "step 0: block tables do not fit each other or the cache"},
  };
  for (const Damage& d : damages) {
    std::vector<char> bytes = good;
    const int64_t begin = header.at(d.tensor).at("data_offsets").at(0);
    std::memcpy(bytes.data() + 8 + header_bytes + begin + 8 * d.at, &d.value, 8);
    write_bytes(file.path, bytes);
    const std::string expected =
        fmt::format("{}: damaged trace: {}: record it again", file.path.string(), d.message);
    CHECK_THROWS_WITH_AS(TraceFile::open(file.path), expected.c_str(), FileError);
  }
}

TEST_CASE("seeded damage: every mutation gives the trace or a FileError, and what opens can be asked") {
  for (const CacheOptions& cache :
       {CacheOptions{}, CacheOptions{.kind = "window", .block_len = 2, .window = 2, .sinks = 1}}) {
    const Recorded r({.keep = RecordOptions::Keep::all, .ops = {"*"}, .probe = true}, cache);
    const std::vector<char> good = bytes_of(r.file.path);
    uint64_t header = 0;
    std::memcpy(&header, good.data(), 8);
    const SafetensorsFile whole = SafetensorsFile::open(r.file.path);
    TemporaryFile file("mutated.safetensors");
    Random random(12);
    int n_refused = 0, n_opened = 0;
    for (int round = 0; round < 600; ++round) {
      std::vector<char> bytes = good;
      // Half of the damage is in the header's text, half in the integers of plans, events and indices. These
      // come first, because the writer places 8-byte elements before 4-byte elements.
      int64_t integer_bytes = 0;
      for (const std::string& name : whole.names())
        if (size_of(whole.tensor(name).dtype()) == 8) integer_bytes += whole.tensor(name).size_bytes();
      for (int64_t n = 1 + random.below(3); n > 0; --n) {
        if (round % 2 == 0) {
          bytes[static_cast<size_t>(8 + random.below(static_cast<int64_t>(header)))] =
              static_cast<char>(random.below(256));
        } else {
          const int64_t at = 8 + static_cast<int64_t>(header) + random.below(integer_bytes / 8) * 8;
          const int64_t hostile[] = {-1,        0,        1, 7, 1'000'000, int64_t{1} << 31, int64_t{1} << 40,
                                     INT64_MAX, INT64_MIN};
          std::memcpy(bytes.data() + at, &hostile[random.below(9)], 8);
        }
      }
      write_bytes(file.path, bytes);
      try {
        const TraceFile trace = TraceFile::open(file.path);
        ++n_opened;
        const Lineage lineage(trace.recorder);
        for (const int32_t step : trace.recorder.steps()) {
          trace.recorder.tensors(step);
          for (size_t e = 0; e < trace.recorder.events(step).size(); ++e) {
            const Event& event = trace.recorder.events(step)[e];
            try {
              row_dependence(event, trace.recorder.plan(step));
              if (!event.writes.empty() && event.writes[0].count > 0)
                lineage.ancestors({step,
                                   static_cast<int32_t>(e),
                                   {event.writes[0].space, event.writes[0].id, event.writes[0].first}});
            } catch (const UsageError&) {  // the event does not have these rows
            }
          }
        }
        chrome_trace_json({{"damaged", &trace.recorder}});
      } catch (const FileError& e) {
        ++n_refused;
        CHECK(std::string(e.what()).find('\n') == std::string::npos);
      }
    }
    CHECK(n_refused > 200);
    CHECK(n_opened > 20);  // a changed cost or start time is no error
  }
}

TEST_CASE("the Chrome export parses back: steps, their operations nested, counters") {
  const Recorded r;
  TemporaryFile file("chrome.json");
  write_chrome_trace(file.path, {{"with cache", &r.m.recorder}, {"again", &r.m.recorder}});
  const std::vector<char> text = bytes_of(file.path);
  const nlohmann::json j = nlohmann::json::parse(text.begin(), text.end());
  int n_steps = 0, n_ops = 0, n_counters = 0;
  double step_start = 0, step_end = 0;
  int64_t last_read = 0;
  for (const nlohmann::json& e : j.at("traceEvents")) {
    if (e.at("pid") != 1) continue;
    if (e.at("ph") == "X" && e.at("cat") == "step") {
      ++n_steps;
      step_start = e.at("ts");
      step_end = step_start + e.at("dur").get<double>();
    } else if (e.at("ph") == "X") {
      ++n_ops;
      CHECK(e.at("dur").get<double>() >= 0);
      CHECK(e.at("ts").get<double>() >= step_start);
      CHECK(e.at("ts").get<double>() + e.at("dur").get<double>() <= step_end + 1e-3);
    } else if (e.at("ph") == "C") {
      ++n_counters;
      last_read = e.at("args").at("read");
    }
  }
  CHECK(n_steps == 3);
  CHECK(n_ops == static_cast<int>(r.m.recorder.events(0).size() + r.m.recorder.events(1).size() +
                                  r.m.recorder.events(2).size()));
  CHECK(n_counters > 3);
  CHECK(last_read ==
        2 * 2 * 5 * 2 * 8 * 4);  // layers · K and V · rows · heads · width · f32, in the last step
}

TEST_CASE("Chrome times are whole nanoseconds, and no two operations or steps overlap") {
  Recorder recorder({.keep = RecordOptions::Keep::all});
  double us = 0.0004;
  for (int step = 0; step < 3; ++step) {
    recorder.open_step(StepPlan{}, CacheSpec{});
    for (int i = 0; i < 500; ++i) {
      // Each begins where the previous one ended, which is rarely at a whole nanosecond.
      const double duration = 0.0007 + 0.0003 * i;
      Event op;
      op.start_us = us;
      op.duration_us = duration;
      recorder.add_event(std::move(op));
      us = us + duration;
    }
  }
  int64_t step_end = 0, op_end = 0;
  int n = 0;
  const nlohmann::json j = nlohmann::json::parse(chrome_trace_json({{"track", &recorder}}));
  for (const nlohmann::json& e : j.at("traceEvents")) {
    if (e.at("ph") == "M") continue;
    const auto ns = [&](const char* field) {
      const double exact = e.at(field).get<double>() * 1e3;
      CHECK(std::abs(exact - std::round(exact)) < 1e-6);
      return std::llround(exact);
    };
    if (e.at("ph") == "C") {
      (void)ns("ts");
      continue;
    }
    int64_t& end = e.at("cat") == "step" ? step_end : op_end;
    CHECK(ns("ts") >= end);
    CHECK(ns("dur") >= 0);
    end = ns("ts") + ns("dur");
    CHECK(op_end <= step_end);
    ++n;
  }
  CHECK(n == 3 + 3 * 500);
  CHECK(std::abs(static_cast<double>(op_end) - us * 1e3) < 2);
}
