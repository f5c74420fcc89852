// Files that are not traces, or damaged ones: each is refused with a message, or can be asked.
#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/random.h"
#include "io/safetensors.h"
#include "tests/trace/recorded_file.h"
#include "trace/chrome_trace.h"
#include "trace/dependence.h"

using namespace lastrow;
using namespace lastrow::test;

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
       {CacheOptions{}, CacheOptions{.kind = "window", .block_len = 2, .window = 2, .sinks = 1},
        CacheOptions{.kind = "window", .block_len = 2, .window = 2, .windowed_every = 2},
        CacheOptions{.kind = "window", .block_len = 2, .window = 2, .positions = Positions::renumbered}}) {
    CAPTURE(name_of(cache));
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
