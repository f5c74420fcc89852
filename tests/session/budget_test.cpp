// Sessions with a cache that holds a budget of rows: the price of what is forgotten, and what is recorded of it.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>

#include "cache/budget_cache.h"
#include "session/batch_session.h"
#include "session/twin.h"
#include "support/program.h"
#include "tests/session/texts.h"
#include "trace/trace_file.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

const char* const kPolicies[] = {"oldest", "sinks,sinks=2", "heavy", "random,seed=3"};

CacheOptions budget(int32_t rows, const std::string& policy) {
  return cache_options(fmt::format("budget:rows={},policy={}", rows, policy));
}

std::vector<int32_t> positions(const KvCache& cache, int32_t sequence = 0) {
  std::vector<int32_t> positions;
  for (int32_t i = 0; i < cache.length(sequence); ++i) positions.push_back(cache.position_of(sequence, i));
  return positions;
}

struct BudgetRun {
  std::vector<std::vector<float>> logits;
  std::vector<std::vector<int32_t>> positions;  // after each step
};

/// The text in chunks of 5, then n forced tokens.
BudgetRun run(DecodeSession& s, int32_t n) {
  BudgetRun result;
  s.start(kText);
  for (int32_t i = 0; i < 4 + n; ++i) {
    s.advance(i < 4 ? -1 : (7 * i) % 50);
    result.logits.push_back(logits_of(s));
    result.positions.push_back(positions(s.cache()));
  }
  return result;
}

/// The largest difference of two rows of logits.
float distance(const std::vector<float>& a, const std::vector<float>& b) {
  float largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace

TEST_CASE("a budget that is never reached changes no bit, on any backend") {
  for (const Factory make : {&naive, &eigen, &emulated})
    for (const std::string& name : kModels) {
      const auto model = load_model(name);
      DecodeSession contiguous(model, make(), {.chunk = 5});
      const BudgetRun expected = run(contiguous, 8);
      for (const char* policy : kPolicies) {
        CAPTURE(policy);
        DecodeSession s(model, make(), {.chunk = 5, .cache = budget(40, policy)});
        CHECK(run(s, 8).logits == expected.logits);
        CHECK(rows_of(s) == rows_of(contiguous));
        CHECK(s.cache().usage().rows_evicted == 0);
      }
    }
}

TEST_CASE("a small budget: equal to recompute until rows are forgotten, then the difference is its price") {
  const auto model = load_model(kModels[0]);
  DecodeSession recompute(model, naive(), {.mode = Mode::recompute, .chunk = 5});
  const BudgetRun whole = run(recompute, 8);
  for (const char* policy : kPolicies) {
    CAPTURE(policy);
    DecodeSession s(model, naive(), {.chunk = 5, .cache = budget(9, policy)});
    const BudgetRun r = run(s, 8);
    CHECK(r.logits[0] == whole.logits[0]);
    CHECK(r.logits[1] == whole.logits[1]);  // its queries still see all ten tokens; then one row goes
    for (size_t i = 2; i < r.logits.size(); ++i) CHECK(distance(r.logits[i], whole.logits[i]) > 1e-4f);
    CHECK(s.record().rows_evicted == 1);
    CHECK(s.record().rows_held == 9);
    CHECK(s.cache().n_seen(0) == 25);
    CHECK(r.positions.back().back() == 24);
  }
}

TEST_CASE(
    "what the oldest leaves is a window: the rows are those of the last tokens, rotated by their positions") {
  const auto model = load_model(kModels[0]);
  DecodeSession s(model, naive(), {.cache = budget(9, "oldest")}), all(model, naive(), {});
  for (DecodeSession* session : {&s, &all}) {
    session->start({3, 14, 15});
    session->advance();
    for (int32_t i = 0; i < 20; ++i) session->advance((7 * i) % 50);
  }
  CHECK(positions(s.cache()) == std::vector<int32_t>{14, 15, 16, 17, 18, 19, 20, 21, 22});
  // In layer 0, K and V come from a token and its position alone.
  for (const RowKind kind : {RowKind::k, RowKind::v})
    for (int32_t i = 0; i < 9; ++i) {
      const Tensor mine = s.stored_row(0, kind, i), theirs = all.stored_row(0, kind, 14 + i);
      CHECK(std::equal(mine.data<float>(), mine.data<float>() + mine.size(), theirs.data<float>()));
    }
}

TEST_CASE("heavy forgets by the attention that a probe sees: Σ of probs over layers, heads and queries") {
  const auto model = load_model(kModels[0]);
  const int32_t n_rows = 8, n_recent = 4;
  for (const Factory make : {&naive, &eigen, &emulated}) {
    DecodeSession s(model, make(),
                    {.chunk = 5, .record = RecordOptions{.probe = true}, .cache = budget(n_rows, "heavy")});
    s.start(kText);
    std::map<int32_t, double> mass;  // of each position that is held
    for (int32_t i = 0; i < 12; ++i) {
      s.advance(i < 4 ? -1 : (7 * i) % 50);
      const StepPlan& plan = s.recorder().plan(s.recorder().latest_step());
      const StepTensors t = s.recorder().tensors(s.recorder().latest_step());
      double total = 0;
      for (const LayerTensors& layer : t.layers) {
        const int64_t n_cells = layer.probs.size(), kv_len = layer.probs.dim(2);
        for (int64_t cell = 0; cell < n_cells; ++cell) {
          mass[plan.key_positions[static_cast<size_t>(cell % kv_len)]] += layer.probs.data<float>()[cell];
          total += layer.probs.data<float>()[cell];
        }
      }
      CHECK(total == doctest::Approx(2 * 4 * plan.q_len(0)));  // layers, query heads
      std::vector<int32_t> expected;
      while (static_cast<int32_t>(mass.size()) > n_rows) {
        auto least = mass.begin();
        for (auto it = mass.begin(); it != std::prev(mass.end(), n_recent); ++it)
          if (it->second < least->second) least = it;
        expected.push_back(least->first);
        mass.erase(least);
      }
      std::vector<int32_t> evicted;
      for (const EvictedRow& row : s.recorder().evicted(s.recorder().latest_step()))
        evicted.push_back(row.position);
      CHECK(evicted == expected);
      const auto& cache = dynamic_cast<const BudgetCache&>(s.cache());
      REQUIRE(cache.length(0) == static_cast<int32_t>(mass.size()));
      for (int32_t index = 0; index < cache.length(0); ++index)
        CHECK(cache.mass_of(0, index) == doctest::Approx(mass.at(cache.position_of(0, index))));
    }
  }
}

TEST_CASE("a replayed step counts the mass too: the same victims as steps that run one operation at a time") {
  const auto model = load_model(kModels[0]);
  DecodeSession replayed(model, emulated(), {.cache = budget(6, "heavy")}),
      direct(model, emulated(), {.record = RecordOptions{}, .cache = budget(6, "heavy")});
  for (DecodeSession* s : {&replayed, &direct}) {
    s->start({3, 14, 15, 9});
    s->advance();
  }
  for (int32_t i = 0; i < 20; ++i) {
    replayed.advance((7 * i) % 50);
    direct.advance((7 * i) % 50);
    CHECK(positions(replayed.cache()) == positions(direct.cache()));
    CHECK(logits_of(replayed) == logits_of(direct));
  }
  CHECK(replayed.backend_info().n_replayed > 10);
  CHECK(direct.backend_info().n_replayed == 0);
}

TEST_CASE("stepping back feeds the text again: the same rows are forgotten, and the same logits come") {
  const auto model = load_model(kModels[0]);
  for (const char* policy : kPolicies) {
    CAPTURE(policy);
    DecodeSession s(model, naive(), {.chunk = 5, .cache = budget(7, policy)});
    const BudgetRun r = run(s, 8);
    for (const int32_t step : {5, 2, 11, 0, 9}) {
      s.go_to(step);
      CHECK(logits_of(s) == r.logits[static_cast<size_t>(step)]);
      CHECK(positions(s.cache()) == r.positions[static_cast<size_t>(step)]);
    }
    s.set_pokes(
        {{.what = Poke::What::k, .layer = 0, .position = s.position_of(2), .when = Poke::When::since}});
    CHECK(logits_of(s) != r.logits[9]);
    s.set_pokes({});
    CHECK(logits_of(s) == r.logits[9]);
    CHECK(positions(s.cache()) == r.positions[9]);
  }
}

TEST_CASE("a budget has a price in memory too: budget + chunk rows, whatever the length of the text") {
  const auto model = load_model(kModels[0]);
  DecodeSession s(model, naive(), {.chunk = 5, .cache = budget(7, "heavy")});
  run(s, 8);
  CHECK(s.cache().spec().held_rows == 12);
  CHECK(s.storage_bytes() == s.cache().spec().bytes());
  CHECK(s.storage_bytes() == int64_t{2} * 2 * 2 * 12 * 8 * 4);  // layers, K and V, heads, rows, head_dim, f32
}

TEST_CASE("a model with a window of its own cannot have a budget") {
  const auto model = load_model(kModels[0] + ",window=4");
  CHECK_THROWS_WITH_AS(DecodeSession(model, naive(), {.cache = budget(7, "oldest")}),
                       doctest::Contains("use a contiguous, paged or window cache"), UsageError);
}

TEST_CASE("in a batch, each sequence forgets what it forgets alone") {
  const auto model = load_model(kModels[0]);
  const std::vector<std::vector<int32_t>> prompts{{3, 14, 15, 9, 26, 5, 35, 8}, {1, 2}, {9, 7, 9, 32, 38}};
  for (const char* policy : kPolicies) {
    CAPTURE(policy);
    BatchSession batch(model, naive(), {.max_seqs = 3, .cache = budget(6, policy)});
    for (const auto& prompt : prompts) batch.add(prompt, 12);
    while (batch.advance() != nullptr) {
    }
    for (size_t i = 0; i < prompts.size(); ++i) {
      // A batch feeds a prompt whole. A session would feed it in chunks of the budget.
      DecodeSession alone(model, naive(), {.chunk = 8, .cache = budget(6, policy)});
      alone.start(prompts[i]);
      std::vector<int32_t> tokens;
      for (int32_t n = 0; n < 12; ++n) {
        alone.advance();
        tokens.push_back(alone.next_token());
      }
      CHECK(batch.generation(static_cast<int32_t>(i)).tokens == tokens);
    }
  }
}

TEST_CASE("a trace file says what was forgotten, and when") {
  const auto model = load_model(kModels[0]);
  for (const char* policy : kPolicies) {
    CAPTURE(policy);
    DecodeSession s(
        model, naive(),
        {.chunk = 5, .record = RecordOptions{.keep = RecordOptions::Keep::all}, .cache = budget(6, policy)});
    run(s, 6);
    const testing::Folder folder;
    const std::filesystem::path path = folder / "budget.safetensors";
    write_trace(path, s.recorder(), {});
    const TraceFile file = TraceFile::open(path);
    std::vector<int32_t> forgotten;
    for (const int32_t step : s.recorder().steps()) {
      CHECK(std::ranges::equal(file.recorder.evicted(step), s.recorder().evicted(step)));
      CHECK(file.recorder.plan(step).key_positions == s.recorder().plan(step).key_positions);
      for (const EvictedRow& row : file.recorder.evicted(step)) {
        forgotten.push_back(row.position);
        CHECK((row.mass > 0) == s.cache().wants_mass());
      }
    }
    CHECK(file.recorder.cache_spec().held_rows == s.cache().spec().held_rows);
    CHECK(forgotten.size() == 17);  // of 23 tokens, 6 are held
    for (const int32_t held : positions(s.cache())) forgotten.push_back(held);
    std::ranges::sort(forgotten);
    for (int32_t position = 0; position < 23; ++position)
      CHECK(forgotten[static_cast<size_t>(position)] == position);
  }
}
