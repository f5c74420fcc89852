// K as int8 with a scale for each channel of a block, on the emulated device: it stores the bits that the CPU stores,
// and it attends and probes as the judge does. The operations on the CPU: tests/backend/seal_keys_test.cpp.
#include "ops/seal_keys.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "backend/naive.h"
#include "cache/make_cache.h"
#include "judge/attend_case.h"
#include "judge/tolerance.h"
#include "tests/kernels/small_model.h"

namespace lastrow {
namespace {

using judge::random_tensor;
using judge::to_doubles;

/// Under all checks of the emulator.
std::unique_ptr<DeviceBackend> checked_device(const std::string& kernel = "") {
  return std::make_unique<DeviceBackend>(
      gpu::DeviceOptions{.kernel = kernel, .check = true, .limit_seconds = 0}, 2);
}

struct Problem {
  int32_t n_q_heads = 4, n_kv_heads = 2, head_dim = 16;
  int32_t block_len = 4, longest_step = 4, n_seqs = 1;
  DType dtype_v = DType::i8;
  bool has_outliers = true;
};

/// A paged cache of two layers and its storage on one backend. Nothing but bytes 0xFF, which are NaN in f32, is in the
/// slots that no step wrote.
class Steps {
 public:
  Steps(Backend& backend, const Problem& problem)
      : backend_(backend),
        problem_(problem),
        cache(make_cache({.kind = "paged",
                          .block_len = problem.block_len,
                          .dtype_k = DType::i8_channel,
                          .dtype_v = problem.dtype_v},
                         {.n_layers = 2,
                          .n_kv_heads = problem.n_kv_heads,
                          .head_dim = problem.head_dim,
                          .max_seq_len = 64,
                          .n_seqs = problem.n_seqs,
                          .longest_step = problem.longest_step})),
        storage(backend.make_storage(cache->spec())) {
    for (const int32_t layer : {0, 1}) {
      for (const RowKind kind : {RowKind::k, RowKind::v}) {
        fill(storage->rows(layer, kind));
        if (!storage->scales(layer, kind).empty()) fill(storage->scales(layer, kind));
      }
      fill(storage->open_keys(layer));
    }
  }

  /// A step of layer 1: q_lens [n_seqs] new tokens. k, v: their rows; empty: noise.
  void step(const std::vector<int32_t>& q_lens, const Tensor* k = nullptr) {
    const std::vector<int32_t> tokens(static_cast<size_t>(problem_.longest_step), 1);
    std::vector<SequenceInput> inputs;
    for (size_t i = 0; i < q_lens.size(); ++i)
      if (q_lens[i] > 0)
        inputs.push_back({static_cast<int32_t>(i), std::span(tokens).first(static_cast<size_t>(q_lens[i])),
                          LogitRows::last});
    const StepPlan& plan = cache->plan(inputs);
    const Batch& batch = backend_.begin_step(plan, *storage);
    const int64_t n = plan.n_tokens();
    const auto& [n_q_heads, n_kv_heads, head_dim, _b, _l, _n, _t, has_outliers] = problem_;
    Tensor new_k = k == nullptr ? random_tensor({n, n_kv_heads, head_dim}, ++seed_, 1) : k->clone();
    for (int64_t i = 3; has_outliers && i < new_k.size(); i += head_dim) new_k.data<float>()[i] *= 100;
    const Tensor there_k = backend_.upload(new_k.view()),
                 there_v = backend_.upload(random_tensor({n, n_kv_heads, head_dim}, seed_, 2).view()),
                 there_q = backend_.upload(random_tensor({n, n_q_heads, head_dim}, seed_, 3).view());
    Tensor there_out = backend_.make_tensor(there_q.shape()),
           there_lse = backend_.make_tensor({n, n_q_heads});
    const AttendSpec spec{{.scale = 1 / std::sqrt(static_cast<float>(head_dim))}, {}};
    backend_.run(Append{{1, "append"}, there_k, there_v, batch, *storage});
    backend_.run(Attend{{1, "attend"}, there_q, *storage, batch, spec, there_out, there_lse});
    keep(out, there_out);
    keep(lse, there_lse);
    const int32_t last = plan.n_seqs() - 1, q_len = plan.q_len(last);
    Tensor there_scores = backend_.make_tensor({n_q_heads, q_len, plan.kv_len[static_cast<size_t>(last)]}),
           there_probs = backend_.make_tensor(there_scores.shape());
    backend_.run(Probe{{1, "attend"},
                       there_q,
                       *storage,
                       batch,
                       spec,
                       there_lse,
                       {0, n_q_heads, plan.q_start[static_cast<size_t>(last)], q_len},
                       there_scores,
                       there_probs,
                       {}});
    keep(scores, there_scores);
    keep(probs, there_probs);
    if (!plan.seals.empty()) backend_.run(SealKeys{{1, "seal_keys"}, batch, *storage});
    n_sealed += static_cast<int64_t>(plan.seals.size());
    cache->commit(plan);
  }

  /// The rows that are held, as read_rows gives them: K and V of layer 1, of every sequence.
  std::vector<float> held_rows(RowKind kind) {
    std::vector<int64_t> slots;
    for (int32_t i = 0; i < cache->n_seqs(); ++i)
      for (int32_t s = 0; s < cache->length(i); ++s) slots.push_back(cache->slot(i, s));
    return rows_at(kind, slots);
  }
  std::vector<float> rows_at(RowKind kind, const std::vector<int64_t>& slots) {
    Tensor rows = Tensor::host(DType::f32,
                               {static_cast<int64_t>(slots.size()), problem_.n_kv_heads, problem_.head_dim});
    backend_.read_rows(*storage, 1, kind, slots, rows.view());
    return {rows.data<float>(), rows.data<float>() + rows.size()};
  }
  void write_row(int64_t slot, const Tensor& row) {
    backend_.write_rows(*storage, 1, RowKind::k, {&slot, 1}, row.view());
  }

 private:
  static void fill(TensorView part) { std::memset(part.raw(), 0xFF, static_cast<size_t>(part.size_bytes())); }
  void keep(std::vector<double>& all, const Tensor& tensor) {
    const std::vector<double> more = to_doubles(backend_, tensor.view());
    all.insert(all.end(), more.begin(), more.end());
  }

  Backend& backend_;
  Problem problem_;
  uint64_t seed_ = 0;

 public:
  std::unique_ptr<KvCache> cache;
  std::unique_ptr<KvStorage> storage;
  std::vector<double> out, lse, scores, probs;  // of all steps
  int64_t n_sealed = 0;
};

/// 40 tokens of sequence 0, by 4 and by 1. The other sequences join later, and pause.
void run_steps(Steps& steps) {
  for (int i = 0; steps.cache->length(0) < 40; ++i) {
    std::vector<int32_t> q_lens{i % 3 == 0 && steps.cache->length(0) <= 36 ? 4 : 1};
    for (int32_t seq = 1; seq < steps.cache->n_seqs(); ++seq)
      q_lens.push_back(i < 3 * seq ? 0 : (i + seq) % 4);
    steps.step(q_lens);
  }
}

/// Whether two parts of a storage hold the same bytes. The memory of the emulated device is host memory.
bool same_bytes(ConstTensorView a, ConstTensorView b) {
  if (a.empty() || b.empty()) return a.empty() == b.empty();
  return a.size_bytes() == b.size_bytes() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.size_bytes())) == 0;
}

void expect_same_storage(const KvStorage& a, const KvStorage& b) {
  for (const int32_t layer : {0, 1}) {
    CAPTURE(layer);
    for (const RowKind kind : {RowKind::k, RowKind::v}) {
      CHECK(same_bytes(a.rows(layer, kind), b.rows(layer, kind)));
      CHECK(same_bytes(a.scales(layer, kind), b.scales(layer, kind)));
    }
    CHECK(same_bytes(a.open_keys(layer), b.open_keys(layer)));
  }
}

}  // namespace

TEST_CASE("by eye: each channel of a block is rounded to 127 steps of its own largest element") {
  const auto device = checked_device();
  Steps steps(*device, {.n_q_heads = 1,
                        .n_kv_heads = 1,
                        .head_dim = 8,
                        .block_len = 2,
                        .longest_step = 1,
                        .has_outliers = false});
  const float first[] = {127, 254, 508, 127e3f, 127e6f, 0, 1.27f, 127};
  Tensor k = Tensor::host(DType::f32, {1, 1, 8});
  std::copy_n(first, 8, k.data<float>());
  steps.step({1}, &k);
  const float second[] = {10.4f, 10.4f, -10.4f, 10.4f, 10.4f, 0, 0.5f, -254};
  std::copy_n(second, 8, k.data<float>());
  steps.step({1}, &k);
  CHECK(steps.n_sealed == 0);  // block 0 is full, but one longest step behind it there is nothing yet
  CHECK(steps.rows_at(RowKind::k, {1}) == std::vector<float>(second, second + 8));
  steps.step({1}, &k);
  CHECK(steps.n_sealed == 1);
  CHECK(steps.rows_at(RowKind::k, {1}) == std::vector<float>(second, second + 8));  // this step reads f32
  steps.step({1}, &k);
  const auto* codes = steps.storage->rows(1, RowKind::k).data<Int8Channel>();
  const int of_first[] = {127, 127, 127, 127, 127, 0, 127, 64};  // 127 / 2 is a tie
  const int of_second[] = {10, 5, -3, 0, 0, 0, 50, -127};
  for (int d = 0; d < 8; ++d) {
    CAPTURE(d);
    CHECK(int{codes[d].code} == of_first[d]);
    CHECK(int{codes[8 + d].code} == of_second[d]);
  }
  const std::vector<float> rows = steps.rows_at(RowKind::k, {0, 1});
  CHECK(rows[0] == 127);
  CHECK(rows[1] == 254);
  CHECK(rows[8] == 10);
  CHECK(rows[9] == 10);    // 5 · 2
  CHECK(rows[10] == -12);  // −3 · 4
}

TEST_CASE("codes, scales and open rows are those of the CPU, to the bit, after every kind of step") {
  for (const Problem& problem :
       {Problem{},
        Problem{.n_q_heads = 3, .n_kv_heads = 3, .head_dim = 40, .block_len = 3, .longest_step = 5},
        Problem{.head_dim = 136, .block_len = 8, .n_seqs = 3},
        Problem{.n_q_heads = 2, .n_kv_heads = 1, .head_dim = 8, .block_len = 1, .dtype_v = DType::f32}}) {
    CAPTURE(problem.head_dim);
    CAPTURE(problem.block_len);
    const auto device = checked_device();
    NaiveBackend<float> cpu;
    Steps there(*device, problem), here(cpu, problem);
    run_steps(there);
    run_steps(here);
    CHECK(there.n_sealed >= 4);
    CHECK(there.n_sealed == here.n_sealed);
    expect_same_storage(*there.storage, *here.storage);
    for (const RowKind kind : {RowKind::k, RowKind::v}) CHECK(there.held_rows(kind) == here.held_rows(kind));
  }
}

TEST_CASE("attend and probe err at most as the tolerance rule allows, over sealed and open blocks") {
  for (const Problem& problem :
       {Problem{}, Problem{.n_q_heads = 6, .n_kv_heads = 3, .head_dim = 40, .block_len = 3, .n_seqs = 3},
        Problem{.n_q_heads = 2, .n_kv_heads = 2, .head_dim = 136, .block_len = 8, .dtype_v = DType::fp4x2},
        Problem{.head_dim = 10, .dtype_v = DType::f32}}) {
    CAPTURE(problem.head_dim);
    const auto device = checked_device();
    NaiveBackend<double> judge;
    Steps actual(*device, problem), expected(judge, problem);
    run_steps(actual);
    run_steps(expected);
    for (const auto& [name, what] : {std::pair{"out", &Steps::out},
                                     {"lse", &Steps::lse},
                                     {"scores", &Steps::scores},
                                     {"probs", &Steps::probs}}) {
      const double bound = judge::tolerance(
          [&](Backend& backend) {
            Steps steps(backend, problem);
            run_steps(steps);
            return steps.*what;
          },
          expected.*what);
      const judge::Difference worst = judge::difference(actual.*what, expected.*what);
      const std::string text = fmt::format("{}: {}, bound {:.3g}", name, worst.to_string(), bound);
      CHECK_MESSAGE(worst.largest <= bound, text);
    }
  }
}

TEST_CASE("a row written from outside goes to its open block, or takes the scales of its sealed block") {
  const Problem problem{.n_seqs = 2};
  const auto device = checked_device();
  NaiveBackend<float> cpu;
  Steps there(*device, problem), here(cpu, problem);
  for (Steps* steps : {&there, &here}) {
    run_steps(*steps);
    Tensor row = random_tensor({1, problem.n_kv_heads, problem.head_dim}, 77);
    row.data<float>()[1] = 1e6f;  // beyond the scale of any block
    row.data<float>()[2] = -1e6f;
    for (const int32_t index : {0, 5, 38, 39}) steps->write_row(steps->cache->slot(0, index), row);
  }
  CHECK(there.storage->open_blocks().slot_of(there.cache->slot(0, 5)) < 0);
  CHECK(there.storage->open_blocks().slot_of(there.cache->slot(0, 39)) >= 0);
  expect_same_storage(*there.storage, *here.storage);
  CHECK(there.rows_at(RowKind::k, {there.cache->slot(0, 39)})[1] == 1e6f);
}

TEST_CASE("two storages on one device keep their own open blocks") {
  const auto device = checked_device();
  Steps a(*device, {}), b(*device, {.n_seqs = 2}), alone(*device, {});
  run_steps(alone);
  const std::vector<float> expected = alone.held_rows(RowKind::k);
  for (int i = 0; a.cache->length(0) < 40; ++i) {
    a.step({i % 3 == 0 && a.cache->length(0) <= 36 ? 4 : 1});
    if (b.cache->length(0) < 40) b.step({1, 2 * (i % 2)});
  }
  CHECK(a.held_rows(RowKind::k) == expected);
}

}  // namespace lastrow
