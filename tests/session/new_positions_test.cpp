// Sessions over a window cache that uses new positions: a key is rotated by its index among the held rows.
#include <doctest/doctest.h>

#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "judge/tolerance.h"
#include "session/saved_cache.h"
#include "session/twin.h"
#include "tests/session/texts.h"
#include "trace/dependence.h"
#include "trace/forwarding.h"
#include "trace/named_faults.h"
#include "trace/trace_file.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

CacheOptions ring(int32_t window, int32_t sinks, int32_t block_len,
                  Positions positions = Positions::renumbered) {
  return {.kind = "window", .block_len = block_len, .window = window, .sinks = sinks, .positions = positions};
}

const std::string kAlibi =
    "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,alibi=1,seed=2";

/// Feeds the text token by token up to the context of 40, the tokens behind it given too, so that every run has the
/// same. Returns the logits after each token.
std::vector<std::vector<float>> feed_each(DecodeSession& s, int32_t n_tokens = 40) {
  std::vector<std::vector<float>> logits;
  s.start(kText);
  for (int32_t n = 0; n < n_tokens; ++n) {
    s.advance(n < static_cast<int32_t>(kText.size()) ? -1 : (7 * n + 3) % 50);
    logits.push_back(logits_of(s));
  }
  return logits;
}

std::vector<double> numbers_of(const std::vector<std::vector<float>>& rows) {
  std::vector<double> all;
  for (const std::vector<float>& row : rows) all.insert(all.end(), row.begin(), row.end());
  return all;
}

/// `n` numbers of a head, rotated by the angles of a position. The pairs are (d, d + n/2), and theta is 10000.
std::vector<double> rotated(const double* head, int64_t n, int64_t position) {
  std::vector<double> to(static_cast<size_t>(n));
  for (int64_t d = 0; d < n / 2; ++d) {
    const double angle = static_cast<double>(position) *
                         std::pow(10000.0, -2.0 * static_cast<double>(d) / static_cast<double>(n));
    const double a = head[d], b = head[d + n / 2];
    to[static_cast<size_t>(d)] = a * std::cos(angle) - b * std::sin(angle);
    to[static_cast<size_t>(d + n / 2)] = a * std::sin(angle) + b * std::cos(angle);
  }
  return to;
}

}  // namespace

TEST_CASE(
    "by eye: one token a step, positions that stay below sinks + window, and a scratch beside the cache") {
  DecodeSession s(load_model(kModels[0]), naive(),
                  {.record = RecordOptions{.keep = RecordOptions::Keep::all}, .cache = ring(3, 1, 2)});
  s.start(kText);
  CHECK(s.options().chunk == 1);
  CHECK(s.n_prefill_steps() == 17);
  for (int32_t n = 0; n < 17; ++n) s.advance();
  const StepRecord& r = s.record();
  CHECK(r.q_len == 1);
  CHECK(r.position == 16);  // its number in the text
  CHECK(r.kv_len == 4);
  CHECK(s.position_of(1) == 15);  // held: 0, 15, 16
  const StepPlan& plan = s.recorder().plan(16);
  CHECK(plan.new_positions == std::vector<int32_t>{3});
  CHECK(std::vector<int32_t>(plan.new_key_positions.begin(), plan.new_key_positions.begin() + 4) ==
        std::vector<int32_t>{0, 1, 2, 3});
  // 2 layers, 4 rows, 2 heads, 8 floats. The rotation reads K and writes the scratch; attention reads scratch and V.
  constexpr int64_t kRows = int64_t{2} * 4 * 2 * 8 * 4;
  CHECK(r.kv_scratch_bytes == 2 * kRows);
  CHECK(r.cache_bytes_read == 2 * kRows);
  CHECK(r.cache_bytes_written == 2 * kRows / 4);
}

TEST_CASE("theorem: until a row is forgotten, new positions change no bit on naive") {
  for (const std::string& name : {kModels[0], kAlibi}) {
    const auto model = load_model(name);
    for (const auto& [sinks, block_len] : {std::pair{0, 1}, {3, 4}}) {
      DecodeSession kept(model, naive(), {.chunk = 1, .cache = ring(20, sinks, block_len, Positions::kept)}),
          anew(model, naive(), {.cache = ring(20, sinks, block_len)});
      CHECK(feed_each(anew, 20 + sinks) == feed_each(kept, 20 + sinks));
      CHECK(kept.kv_len() == 19 + sinks);
    }
  }
}

TEST_CASE("theorem: cached = recompute to the last bit on naive, and within the tolerance elsewhere") {
  for (const std::string& name : {kModels[0], kAlibi}) {
    const auto model = load_model(name);
    for (const auto& [window, sinks, block_len] :
         {std::tuple{1, 0, 1}, {1, 2, 2}, {4, 1, 2}, {5, 3, 4}, {16, 4, 5}}) {
      CAPTURE(name);
      CAPTURE(window);
      TwinSession twin(model, naive(), naive(), {.cache = ring(window, sinks, block_len)});
      twin.start(kText);
      while (!twin.cached().context_full()) {
        twin.advance();
        CHECK(twin.max_abs_logit_diff() == 0);
      }
      CHECK(twin.recompute().record().q_len == 40);
      CHECK(twin.recompute().record().cache_bytes_read == 0);
      CHECK(twin.recompute().record().kv_scratch_bytes > 0);
    }
  }
  const auto model = load_model(kModels[0]);
  for (const Factory make : {&eigen, &emulated}) {
    const SessionOptions options{.cache = ring(5, 3, 4)};
    const auto compute = [&](std::unique_ptr<Backend> backend) {
      DecodeSession s(model, std::move(backend), options);
      return numbers_of(feed_each(s));
    };
    const std::vector<double> reference = compute(exact());
    const double bound = judge::tolerance(
        [&](Backend& yardstick) { return compute(std::make_unique<ForwardingBackend>(yardstick)); },
        reference);
    const judge::Difference d = judge::difference(compute(make()), reference);
    CHECK_MESSAGE(d.largest <= bound, d.to_string());
  }
}

TEST_CASE("theorem: without sinks all distances stay, so new = kept also after rows were forgotten") {
  DecodeSession kept_alibi(load_model(kAlibi), naive(),
                           {.chunk = 1, .cache = ring(5, 0, 2, Positions::kept)}),
      new_alibi(load_model(kAlibi), naive(), {.cache = ring(5, 0, 2)});
  CHECK(feed_each(new_alibi) == feed_each(kept_alibi));
  const auto model = load_model(kModels[0]);
  const auto compute = [&](std::unique_ptr<Backend> backend, Positions positions, int32_t sinks) {
    DecodeSession s(model, std::move(backend), {.chunk = 1, .cache = ring(5, sinks, 2, positions)});
    return numbers_of(feed_each(s));
  };
  const std::vector<double> kept = compute(exact(), Positions::kept, 0);
  CHECK(judge::difference(compute(exact(), Positions::renumbered, 0), kept).largest <=
        1e-6 * judge::max_abs_finite(kept));  // logits come back as f32
  // With a sink, its distance to the query differs.
  const std::vector<double> with_sink = compute(exact(), Positions::kept, 1);
  CHECK(judge::difference(compute(exact(), Positions::renumbered, 1), with_sink).largest >
        1e-3 * judge::max_abs_finite(with_sink));
}

TEST_CASE("attention is that of raw keys rotated at 0 … n − 1 and of a query at n − 1, in double precision") {
  DecodeSession s(load_model(kModels[0]), exact(),
                  {.record = RecordOptions{.ops = {"q_proj"}}, .cache = ring(4, 2, 3)});
  feed_each(s, 30);
  const StepTensors tensors = s.recorder().tensors(s.current_step());
  for (int32_t layer = 0; layer < 2; ++layer) {
    const LayerTensors& l = tensors.layers[static_cast<size_t>(layer)];
    const Tensor* q = s.recorder().find(s.current_step(), layer, "q_proj");  // before RoPE
    REQUIRE(q != nullptr);
    const int64_t n = l.k.dim(0), head_dim = 8;
    REQUIRE(n == 6);
    for (int64_t h = 0; h < 4; ++h) {
      const int64_t g = h / 2;
      const std::vector<double> query = rotated(q->data<double>() + h * head_dim, head_dim, n - 1);
      std::vector<double> p;
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) {
        const std::vector<double> key = rotated(l.k.data<double>() + (i * 2 + g) * head_dim, head_dim, i);
        double score = 0;
        for (size_t d = 0; d < 8; ++d) score += query[d] * key[d];
        sum += p.emplace_back(std::exp(score / std::sqrt(8.0)));
      }
      for (int64_t d = 0; d < head_dim; ++d) {
        double expected = 0;
        for (int64_t i = 0; i < n; ++i)
          expected += p[static_cast<size_t>(i)] / sum * l.v.data<double>()[(i * 2 + g) * head_dim + d];
        CHECK(std::abs(l.out.data<double>()[h * head_dim + d] - expected) < 1e-6);  // the scale is a float
      }
    }
  }
}

TEST_CASE("every type of K and V works, and the stored K is raw") {
  for (const Factory make : {&naive, &eigen, &emulated})
    for (const char* dtypes : {"f16", "int8", "int4", "k=fp8,v=f32"}) {
      CAPTURE(dtypes);
      DecodeSession s(load_model(kModels[0]), make(), {.cache = with_dtypes(ring(4, 2, 3), dtypes)});
      const auto logits = feed_each(s, 24);
      for (const float x : logits.back()) CHECK(std::isfinite(x));
    }
}

TEST_CASE("stepping back to any step and forward again gives the same bits") {
  for (const Mode mode : {Mode::cached, Mode::recompute}) {
    DecodeSession s(load_model(kModels[0]), naive(), {.mode = mode, .cache = ring(5, 2, 2)});
    const auto logits = feed_each(s, 30);
    for (const int32_t step : {29, 3, 4, 20, 19, 0, 29}) {
      CAPTURE(step);
      s.go_to(step);
      CHECK(logits_of(s) == logits[static_cast<size_t>(step)]);
    }
  }
}

TEST_CASE("a poke of K changes the raw row before it is rotated; cached and recompute agree") {
  TwinSession twin(load_model(kModels[0]), naive(), naive(), {.cache = ring(5, 2, 2)});
  twin.start(kText);
  while (twin.current_step() < 20) twin.advance();
  const auto before = logits_of(twin.cached()), rows = rows_of(twin.cached());
  Poke poke{
      .what = Poke::What::k, .layer = 1, .position = 19, .seed = 7, .when = Poke::When::now, .step = 20};
  twin.set_pokes({poke});
  CHECK(twin.max_abs_logit_diff() == 0);
  CHECK(logits_of(twin.cached()) != before);
  CHECK(twin.cached().poke_report(0).changed == 1);
  CHECK(twin.cached().poke_report(0).reads == 1);
  CHECK(twin.recompute().poke_report(0).reads == 2);  // the passes of positions 19 and 20
  CHECK(rows_of(twin.cached()) == rows);              // restored
  for (const Poke::What what : {Poke::What::k, Poke::What::v, Poke::What::q})
    for (const int32_t position : {1, 9, 17, 20}) {
      poke = {.what = what, .layer = 0, .position = position, .seed = 7, .when = Poke::When::since};
      twin.set_pokes({poke});
      CHECK(twin.max_abs_logit_diff() == 0);
    }
  twin.set_pokes({});
  CHECK(logits_of(twin.cached()) == before);
}

TEST_CASE("what is refused, each in one clear line") {
  const auto refused = [](const std::string& model, const SessionOptions& options, const char* message) {
    CHECK_THROWS_WITH_AS(DecodeSession(load_model(model), naive(), options), doctest::Contains(message),
                         UsageError);
  };
  refused(kModels[1], {.cache = ring(4, 1, 2)},
          "adds a learned embedding of the position to each token, so a cache cannot use new positions");
  refused(kModels[0], {.chunk = 2, .cache = ring(4, 1, 2)},
          "chunks of 2 tokens, but a cache with positions=new takes one token in a step");
  refused("random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,window=6,window_period=2",
          {.cache = ring(0, 0, 2)}, "positions=new needs one for every layer");
  DecodeSession s(load_model(kModels[0]), naive(), {.cache = ring(4, 1, 2)});
  s.start({1});
  s.advance();
  CHECK_THROWS_WITH_AS(s.advance(text(0, 2)),
                       "a step of 2 tokens, but the cache has room for 1 at once: give them in several calls",
                       CapacityError);
}

TEST_CASE(
    "a trace comes back from its file: new positions, raw K, scratch bytes, and the ancestors of a row") {
  DecodeSession s(load_model(kModels[0]), naive(),
                  {.record = RecordOptions{.keep = RecordOptions::Keep::all}, .cache = ring(4, 1, 2)});
  feed_each(s, 24);
  const auto path = std::filesystem::temp_directory_path() / fmt::format("lastrow-new-{}", getpid());
  write_trace(path, s.recorder(), {});
  const TraceFile trace = TraceFile::open(path);
  std::filesystem::remove(path);
  for (const int32_t step : s.recorder().steps()) {
    const StepPlan &plan = s.recorder().plan(step), &read = trace.recorder.plan(step);
    CHECK(read.new_positions == plan.new_positions);
    CHECK(read.new_key_positions == plan.new_key_positions);
    CHECK(read.key_positions == plan.key_positions);
    for (size_t e = 0; e < s.recorder().events(step).size(); ++e)
      REQUIRE(trace.recorder.events(step)[e].cost == s.recorder().events(step)[e].cost);
  }
  const Lineage lineage(trace.recorder);
  const int32_t last = s.current_step();
  CHECK(lineage.find(last, 0, "rope_k") == -1);
  const int32_t rotate = lineage.find(last, 1, "rotate_keys"), attend = lineage.find(last, 1, "attend");
  REQUIRE(rotate >= 0);
  const Event &rotation = trace.recorder.events(last)[static_cast<size_t>(rotate)],
              &attention = trace.recorder.events(last)[static_cast<size_t>(attend)];
  CHECK(rotation.cost.scratch_bytes == 5 * 2 * 8 * 4);
  // The lse of the query comes from it and from the rotated keys, and each of these from the raw key in its slot.
  const StepPlan& plan = trace.recorder.plan(last);
  std::vector<Row> expected{{RowSpace::tensor, attention.reads[0].id, 0}};
  for (const int64_t slot : slots_of(plan, 0, 0, 5)) {
    expected.push_back({RowSpace::rotated, 1, slot});
    CHECK(rows_read(rotation, plan, {RowSpace::rotated, 1, slot}) ==
          std::vector<Row>{{RowSpace::k, 1, slot}});
  }
  std::ranges::sort(expected);
  CHECK(rows_read(attention, plan, {RowSpace::tensor, attention.writes[1].id, 0}) == expected);
  // So the last row comes from the tokens that a window of two layers sees, as with kept positions.
  std::vector<int32_t> positions = {0};
  for (int32_t p = last - 6; p <= last; ++p) positions.push_back(p);
  CHECK(positions_behind(trace.recorder, last, -1, "lm_head") == positions);
}

TEST_CASE("the fault mixed-positions changes nothing until a row is forgotten, and then the text") {
  const auto model = load_model(kModels[0]);
  DecodeSession right(model, naive(), {.cache = ring(4, 1, 2)}),
      faulty(model, with_fault("mixed-positions", naive(), 2), {.cache = ring(4, 1, 2)});
  const auto a = feed_each(right, 8), b = feed_each(faulty, 8);
  for (size_t n = 0; n < 5; ++n) CHECK(a[n] == b[n]);
  CHECK(a[5] != b[5]);
}
