// A batch that runs its recorded steps again: back, forward, under pokes, and after calls that failed.
#include <doctest/doctest.h>

#include "tests/session/batch_texts.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

/// Everything that a batch shows for its current step, except times.
struct BatchShown {
  std::vector<int64_t> numbers;
  std::vector<float> values;
  bool operator==(const BatchShown&) const = default;
};

void add_counts(BatchShown& shown, const BatchSession& batch) {
  const CacheUsage usage = batch.cache().usage();
  const PrefixCounts prefix = batch.cache().prefix_counts();
  shown.numbers.insert(shown.numbers.end(),
                       {batch.current_step(), batch.last_step(), batch.n_running(), batch.n_waiting(),
                        usage.rows_held, usage.rows_stored, usage.blocks_used, usage.blocks_shared,
                        usage.blocks_cached, prefix.n_lookups, prefix.tokens_found});
  if (batch.current_step() < 0) return;
  const StepRecord& total = batch.step().total;
  shown.numbers.insert(shown.numbers.end(), {batch.step().step, total.q_len, total.kv_len, total.flop,
                                             total.cache_bytes_read, batch.step().n_waiting});
  for (const SequenceStep& s : batch.step().sequences)
    shown.numbers.insert(shown.numbers.end(), {s.generation, s.q_len, s.kv_len, s.position, s.leaves});
}

void add_generation(BatchShown& shown, const BatchSession& batch, const Generation& g) {
  shown.numbers.insert(shown.numbers.end(),
                       {g.id, g.parent, static_cast<int64_t>(g.state), g.sequence, g.n_prefix, g.joined_step,
                        g.left_step, static_cast<int64_t>(g.logits.size())});
  shown.numbers.insert(shown.numbers.end(), g.tokens.begin(), g.tokens.end());
  shown.values.insert(shown.values.end(), g.logits.begin(), g.logits.end());
  if (g.sequence < 0) return;
  for (int32_t index = 0; index < batch.cache().length(g.sequence); ++index) {
    shown.numbers.push_back(batch.cache().slot(g.sequence, index));
    for (int32_t layer = 0; layer < kLayers; ++layer)
      for (const RowKind kind : {RowKind::k, RowKind::v}) {
        const Tensor row = batch.stored_row(g.id, layer, kind, index);
        shown.values.insert(shown.values.end(), row.data<float>(), row.data<float>() + row.size());
      }
  }
}

BatchShown shown_by(const BatchSession& batch) {
  BatchShown shown;
  add_counts(shown, batch);
  for (int32_t id = 0; id < batch.n_generations(); ++id) add_generation(shown, batch, batch.generation(id));
  for (size_t i = 0; i < batch.pokes().size(); ++i)
    shown.numbers.insert(shown.numbers.end(), {batch.poke_report(i).changed, batch.poke_report(i).reads});
  const Recorder& recorder = batch.recorder();
  for (const int32_t step : recorder.steps())
    for (int32_t i = 0; i < recorder.plan(step).n_seqs(); ++i) {
      const StepTensors tensors = recorder.tensors(step, i);
      for (const ConstTensorView& view : {tensors.layers[1].k, tensors.layers[1].out}) {
        const auto* x = static_cast<const float*>(view.raw());
        if (!view.empty()) shown.values.insert(shown.values.end(), x, x + view.size());
      }
    }
  return shown;
}

BatchOptions options(const std::string& cache, RecordOptions::Keep keep = RecordOptions::Keep::all) {
  BatchOptions options{.max_seqs = 3, .cache = cache_options(cache), .record = RecordOptions{.keep = keep}};
  options.cache.share_prefix = options.cache.kind == "paged";
  return options;
}

/// Six generations, of which some begin alike; they join and leave at different steps.
void add_generations(BatchSession& batch) {
  batch.add({3, 14, 15, 9, 26}, 4);
  batch.add({3, 14, 15, 9, 7}, 1);
  batch.add({2, 7, 1, 8, 2, 8, 1}, 6);
  batch.add({3, 14, 15, 9, 26, 1}, 8);
  batch.add({9}, 3);
  batch.add({2, 7, 1, 8, 1}, 3);
}

/// The same with a branch of generation 2, whose next token is forced, if the cache can share rows.
void run_some(BatchSession& batch, int32_t n_steps) {
  add_generations(batch);
  for (int32_t i = 0; i < n_steps; ++i) {
    batch.advance();
    const bool has_room = batch.n_running() < 3 && batch.n_generations() == 6;
    if (i < 2 || !has_room || batch.cache().spec().block_len == 40) continue;
    const int32_t branch = batch.fork(batch.step().sequences.back().generation);
    batch.force(branch, 11);
  }
}

Poke poke_of(Poke::What what, int32_t position, Poke::When when, int32_t sequence = -1, int32_t step = 0) {
  return {.what = what,
          .layer = 1,
          .position = position,
          .seed = 7,
          .when = when,
          .step = step,
          .sequence = sequence};
}

}  // namespace

TEST_CASE("go_to back and forward shows the same bits, at every step") {
  const auto model = load_model(kModel);
  for (const auto make : {&naive, &eigen})
    for (const char* cache : {"contiguous", "paged:block=2", "paged:block=4,blocks=11"})
      for (const auto keep : {RecordOptions::Keep::latest, RecordOptions::Keep::all}) {
        CAPTURE(cache);
        BatchSession batch(model, make(), options(cache, keep));
        add_generations(batch);
        std::vector<BatchShown> shown;
        while (batch.advance() != nullptr) shown.push_back(shown_by(batch));
        const auto last = static_cast<int32_t>(shown.size()) - 1;
        const auto check_shows = [&](int32_t step) {
          BatchShown now = shown_by(batch);
          now.numbers[1] = shown[static_cast<size_t>(step)].numbers[1];  // last_step was smaller then
          CHECK(now == shown[static_cast<size_t>(step)]);
        };
        for (const int32_t step : {3, 1, 2, 5, 0, last, 4}) {
          CAPTURE(step);
          batch.go_to(step);
          check_shows(step);
        }
        for (int32_t step = 5; step <= last; ++step) {
          REQUIRE(batch.advance() != nullptr);
          check_shows(step);
        }
        CHECK(batch.advance() == nullptr);
        CHECK_THROWS_WITH_AS(batch.go_to(last + 1), doctest::Contains("has not been taken"), UsageError);
      }
}

TEST_CASE("a batch that went back and forward goes on as if it had not") {
  const auto model = load_model(kModel);
  for (const char* cache : {"contiguous", "paged:block=2"})
    for (const int32_t n_steps : {1, 3, 5, 7}) {
      BatchSession straight(model, naive(), options(cache)), there_and_back(model, naive(), options(cache));
      run_some(straight, n_steps);
      run_some(there_and_back, n_steps);
      there_and_back.go_to(0);
      there_and_back.go_to(n_steps - 1);
      CHECK(shown_by(there_and_back) == shown_by(straight));  // branches and forced tokens included
      CHECK(run_to_end(there_and_back) == run_to_end(straight));
    }
}

TEST_CASE("a poke since a row was computed: later tokens are held, the results are those of the poked rows") {
  const auto model = load_model(kModel);
  for (const char* cache : {"contiguous", "paged:block=2"}) {
    BatchSession batch(model, naive(), options(cache));
    run_some(batch, 4);
    const BatchShown before = shown_by(batch);
    const std::vector<int32_t> tokens = batch.generation(2).tokens;
    batch.set_pokes({poke_of(Poke::What::v, 1, Poke::When::since, 2)});
    CHECK(batch.poke_report(0).reads >= 1);
    CHECK(batch.generation(2).logits.size() == 50);
    CHECK_FALSE(shown_by(batch) == before);
    CHECK(std::equal(tokens.begin(), tokens.end() - 1, batch.generation(2).tokens.begin()));

    // Alone, under the same poke and the same tokens, the logits are the same.
    DecodeSession alone(model, naive(), {});
    alone.start({2, 7, 1, 8, 2, 8, 1});
    alone.advance();
    for (size_t i = 0; i + 1 < tokens.size(); ++i) alone.advance(tokens[i]);
    alone.set_pokes({poke_of(Poke::What::v, 1, Poke::When::since)});
    CHECK(std::ranges::equal(alone.logits(), batch.generation(2).logits));

    batch.set_pokes({});
    CHECK(shown_by(batch) == before);
  }
}

TEST_CASE("a poke now of a shared row: only the generation that is named sees it, in that step only") {
  const auto model = load_model(kModel);
  for (const Poke::What what : {Poke::What::k, Poke::What::v}) {
    BatchSession batch(model, naive(), {.max_seqs = 3, .cache = cache_options("paged:block=4")});
    batch.add({3, 14, 15, 9, 26, 5}, 8);
    batch.advance();
    const int32_t branch = batch.fork(0);
    batch.force(branch, 11);
    batch.advance();
    const int64_t bytes = batch.storage_bytes();
    const auto logits_at = [&](int32_t step, int32_t id) {
      batch.go_to(step);
      return batch.generation(id).logits;
    };
    batch.advance();
    std::vector<std::vector<float>> plain;
    for (const int32_t step : {1, 2})
      for (const int32_t id : {0, branch}) plain.push_back(logits_at(step, id));
    for (const int32_t sequence : {0, branch, -1}) {
      CAPTURE(sequence);
      batch.set_pokes({poke_of(what, 2, Poke::When::now, sequence, 1)});
      CHECK((logits_at(1, 0) == plain[0]) == (sequence == branch));
      CHECK((logits_at(1, branch) == plain[1]) == (sequence == 0));
      CHECK(batch.poke_report(0).changed == 1);
      CHECK(batch.poke_report(0).reads == (sequence == -1 ? 2 : 1));
      // The poke changed the hidden rows above it, so the rows that the step appended in the layers above
      // differ.
      CHECK((logits_at(2, 0) == plain[2]) == (sequence == branch));
      CHECK((logits_at(2, branch) == plain[3]) == (sequence == 0));
    }
    batch.set_pokes({});
    CHECK(logits_at(2, branch) == plain[3]);
    CHECK(batch.storage_bytes() == bytes);
  }
}

TEST_CASE("pokes that cannot be meant are refused, and change nothing") {
  const auto model = load_model(kModel);
  BatchSession batch(model, naive(), options("paged:block=2"));
  run_some(batch, 3);
  const BatchShown before = shown_by(batch);
  const auto check_refused = [&](const Poke& poke, const char* words) {
    CHECK_THROWS_WITH_AS(batch.set_pokes({poke}), doctest::Contains(words), UsageError);
    CHECK(shown_by(batch) == before);
  };
  check_refused({.layer = 3}, "the model has layers 0 to 2");
  check_refused({.what = Poke::What::k, .head = 2}, "heads 0 to 1");
  check_refused({.position = 40}, "tokens, counted from 0");
  check_refused({.position = 5, .sequence = 1}, "there are 5 tokens");
  check_refused({.sequence = 9}, "no generation 9");
  REQUIRE(batch.generation(1).n_prefix == 4);
  check_refused(poke_of(Poke::What::k, 3, Poke::When::since, 1), "computed by another generation");
}

namespace {

/// At an attend of layer 1 it sets a stop flag, or fails, after it ran `skip` of them as usual.
class BatchDisturbance final : public ForwardingBackend {
 public:
  BatchDisturbance() : ForwardingBackend(owned_) {}
  void run(const Op& op) override {
    const bool here = std::holds_alternative<Attend>(op) && site_of(op).layer == 1 && skip-- <= 0;
    if (here && stops != nullptr) *stops = true;
    if (here && fails) throw CapacityError("out of memory in a test");
    ForwardingBackend::run(op);
  }
  int32_t skip = 0;
  bool fails = false;
  std::atomic<bool>* stops = nullptr;

 private:
  NaiveBackend<float> owned_;
};

struct DisturbedBatch {
  explicit DisturbedBatch(BatchOptions options) {
    auto made = std::make_unique<BatchDisturbance>();
    backend = made.get();
    options.stop = &stop;
    batch.emplace(load_model(kModel), std::move(made), std::move(options));
  }
  /// Checks that the call throws, and that the batch shows the same afterwards.
  template <typename Call>
  void fails_in(bool by_stop, int32_t skip, Call call) {
    const BatchShown before = shown_by(*batch);
    const int64_t recorded_bytes = batch->recorder().bytes();
    backend->skip = skip;
    backend->fails = !by_stop;
    backend->stops = by_stop ? &stop : nullptr;
    if (by_stop)
      CHECK_THROWS_AS(call(), Cancelled);
    else
      CHECK_THROWS_AS(call(), CapacityError);
    backend->fails = false;
    backend->stops = nullptr;
    stop = false;
    CHECK(shown_by(*batch) == before);
    CHECK(batch->recorder().bytes() == recorded_bytes);
  }

  std::atomic<bool> stop = false;
  BatchDisturbance* backend = nullptr;
  std::optional<BatchSession> batch;
};

}  // namespace

TEST_CASE("a call that fails or is cancelled changes nothing, to the last bit, and the next one succeeds") {
  const std::vector<Poke> pokes = {poke_of(Poke::What::k, 2, Poke::When::since, 2),
                                   poke_of(Poke::What::v, 1, Poke::When::now, 0, 2)};
  for (const char* cache : {"contiguous", "paged:block=2"})
    for (const bool by_stop : {false, true})
      for (const int32_t n_steps : {1, 3, 5}) {
        CAPTURE(cache);
        CAPTURE(by_stop);
        CAPTURE(n_steps);
        DisturbedBatch disturbed(options(cache)), undisturbed(options(cache));
        BatchSession& batch = *disturbed.batch;
        run_some(batch, n_steps);
        run_some(*undisturbed.batch, n_steps);
        disturbed.fails_in(by_stop, 0, [&] { batch.advance(); });
        disturbed.fails_in(by_stop, 0, [&] { batch.advance(); });
        disturbed.fails_in(by_stop, n_steps - 1, [&] { batch.set_pokes(pokes); });
        if (n_steps > 1) {
          disturbed.fails_in(by_stop, 0, [&] { batch.go_to(0); });
          batch.go_to(0);
          undisturbed.batch->go_to(0);
          disturbed.fails_in(by_stop, 0, [&] { batch.advance(); });
          disturbed.fails_in(by_stop, 0, [&] { batch.go_to(1); });
        }
        batch.set_pokes(pokes);
        undisturbed.batch->set_pokes(pokes);
        disturbed.fails_in(by_stop, 0, [&] { batch.set_pokes({}); });
        CHECK(run_to_end(batch) == run_to_end(*undisturbed.batch));
      }
}

TEST_CASE("while the flag is set, a call ends before it begins") {
  DisturbedBatch disturbed(options("paged:block=2"));
  disturbed.batch->add({1, 2, 3}, 3);
  disturbed.stop = true;
  CHECK_THROWS_AS(disturbed.batch->advance(), Cancelled);
  CHECK_THROWS_AS(disturbed.batch->set_pokes({}), Cancelled);
  disturbed.stop = false;
  CHECK(disturbed.batch->advance() != nullptr);
}

TEST_CASE("after a step failed that evicts cached rows, later texts are still the same") {
  DisturbedBatch disturbed({.max_seqs = 1,
                            .max_seq_len = 16,
                            .cache = options("paged:block=4,blocks=4").cache,
                            .record = RecordOptions{}});
  BatchSession& batch = *disturbed.batch;
  const std::vector<Request> requests = {
      {{1, 2, 3, 4, 5, 6, 7, 8, 9}, 4}, {{9, 9, 9, 9, 9, 9, 9, 9, 9}, 7}, {{1, 2, 3, 4, 5, 6, 7, 8, 9}, 2}};
  for (const Request& request : requests) batch.add(request.prompt, request.n_tokens);
  std::vector<Text> texts;
  int32_t n_failed = 0;
  for (bool is_left = true; is_left;) {
    disturbed.backend->fails = true;
    try {
      is_left = batch.advance() != nullptr;
    } catch (const CapacityError&) {
      ++n_failed;
    }
    disturbed.backend->fails = false;
    if (is_left && batch.advance() != nullptr) add_step(batch, texts);
  }
  CHECK(n_failed > 0);
  const auto model = load_model(kModel);
  for (size_t i = 0; i < requests.size(); ++i)
    CHECK(texts[i] == generated_alone(model, naive(), requests[i]));
  batch.go_to(2);
  batch.go_to(batch.last_step());
  for (int32_t id = 0; id < 3; ++id)
    CHECK(batch.generation(id).tokens == texts[static_cast<size_t>(id)].tokens);
}
