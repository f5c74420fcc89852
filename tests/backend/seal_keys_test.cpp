// K as int8 with a scale for each channel of a block: rows in f32 until their block is sealed, and codes after that.
#include "ops/seal_keys.h"

#include <doctest/doctest.h>

#include <cmath>

#include "cache/kv_channels.h"
#include "cache/make_cache.h"
#include "cache/slots.h"
#include "core/random.h"
#include "judge/attend_case.h"
#include "judge/random_tensor.h"
#include "support/backends.h"

using namespace lastrow;
using namespace lastrow::judge;
using namespace lastrow::testing;

namespace {

constexpr AttendSpec kSpec{.score = {.scale = 0.5f}};

/// One layer of a paged cache with K as int8-channel and V in f32, which a test fills by hand.
struct SealedLayer {
  int32_t block_len = 2, longest_step = 2, n_kv_heads = 1, head_dim = 2, n_q_heads = 1, max_seq_len = 64;
  std::unique_ptr<KvCache> cache =
      make_cache({.kind = "paged", .block_len = block_len, .dtype_k = DType::i8_channel},
                 {.n_layers = 1,
                  .n_kv_heads = n_kv_heads,
                  .head_dim = head_dim,
                  .max_seq_len = max_seq_len,
                  .longest_step = longest_step});

  /// A step that stores k, v [n, n_kv_heads, head_dim] and attends with q [n, n_q_heads, head_dim] before it seals.
  /// Returns the output.
  std::vector<double> step(Backend& backend, KvStorage& storage, const Tensor& q, const Tensor& k,
                           const Tensor& v) {
    const std::vector<int32_t> tokens(static_cast<size_t>(k.shape()[0]), 1);
    const SequenceInput input{0, tokens, LogitRows::last};
    const StepPlan& plan = cache->plan({&input, 1});
    const Batch& batch = backend.begin_step(plan, storage);
    const Tensor new_q = backend.upload(q.view()), new_k = backend.upload(k.view()),
                 new_v = backend.upload(v.view());
    Tensor out = backend.make_tensor(q.shape()), lse = backend.make_tensor({q.shape()[0], q.shape()[1]});
    backend.run(Append{{0, "append"}, new_k, new_v, batch, storage});
    backend.run(Attend{{0, "attend"}, new_q, storage, batch, kSpec, out, lse});
    if (!plan.seals.empty()) backend.run(SealKeys{{0, "seal_keys"}, batch, storage});
    cache->commit(plan);
    return to_doubles(backend, std::as_const(out).view());
  }
  std::vector<int64_t> slots() const {
    std::vector<int64_t> slots;
    for (int32_t s = 0; s < cache->length(0); ++s) slots.push_back(cache->slot(0, s));
    return slots;
  }
  /// The keys that are held, decoded: [length, n_kv_heads, head_dim], f32.
  Tensor keys(Backend& backend, const KvStorage& storage) const {
    Tensor rows = Tensor::host(DType::f32, {cache->length(0), n_kv_heads, head_dim});
    backend.read_rows(storage, 0, RowKind::k, slots(), rows.view());
    return rows;
  }
};

Tensor row_of_two(float x, float y) {
  Tensor row = Tensor::host(DType::f32, {1, 1, 2});
  row.data<float>()[0] = x;
  row.data<float>()[1] = y;
  return row;
}

/// Normal numbers, with one channel that is 100 times as large.
Tensor keys_with_outliers(Shape shape, uint64_t seed) {
  Tensor rows = random_tensor(shape, seed, 1);
  for (int64_t i = 3 % shape[2]; i < rows.size(); i += shape[2]) rows.data<float>()[i] *= 100;
  return rows;
}

/// Attention with the same queries over f32 rows: the keys and values that the layer holds, decoded.
std::vector<double> attend_decoded(Backend& backend, SealedLayer& layer, const KvStorage& storage,
                                   const Tensor& q) {
  const int32_t n = layer.cache->length(0), q_len = static_cast<int32_t>(q.shape()[0]);
  const auto plain = make_cache({}, {.n_layers = 1,
                                     .n_kv_heads = layer.n_kv_heads,
                                     .head_dim = layer.head_dim,
                                     .max_seq_len = layer.max_seq_len});
  const auto rows = backend.make_storage(plain->spec());
  const std::vector<int32_t> tokens(static_cast<size_t>(n), 1);
  const SequenceInput past{0, std::span(tokens).first(static_cast<size_t>(n - q_len)), LogitRows::none};
  if (n > q_len) plain->commit(plain->plan({&past, 1}));
  const SequenceInput now{0, std::span(tokens).first(static_cast<size_t>(q_len)), LogitRows::last};
  const Batch& batch = backend.begin_step(plain->plan({&now, 1}), *rows);
  for (const RowKind kind : {RowKind::k, RowKind::v}) {
    const std::vector<int64_t> from = layer.slots(), to = slots_of(*batch.plan, 0, 0, n);
    Tensor decoded = Tensor::host(DType::f64, {n, layer.n_kv_heads, layer.head_dim});
    backend.read_rows(storage, 0, kind, from, decoded.view());
    backend.write_rows(*rows, 0, kind, to, decoded.view());
  }
  const Tensor queries = backend.upload(q.view());
  Tensor out = backend.make_tensor(q.shape()), lse = backend.make_tensor({q_len, layer.n_q_heads});
  backend.run(Attend{{0, "attend"}, queries, *rows, batch, kSpec, out, lse});
  return to_doubles(backend, std::as_const(out).view());
}

}  // namespace

TEST_CASE("by eye: two keys are exact until their block is sealed; then each channel has 255 steps") {
  for (const auto& backend : cpu_backends()) {
    CAPTURE(backend->info().name);
    SealedLayer layer;
    const auto storage = backend->make_storage(layer.cache->spec());
    const Tensor query = row_of_two(1, 1);
    const float rows[][2] = {{0.3f, 100}, {-1, 127}, {0, 0}, {0, 0}, {0, 0}};
    for (int n = 0; n < 4; ++n) {
      const Tensor k = row_of_two(rows[n][0], rows[n][1]);
      layer.step(*backend, *storage, query, k, k);
    }
    Tensor keys = layer.keys(*backend, *storage);
    CHECK(keys.data<float>()[0] == 0.3f);  // the fourth step sealed block 0, but read it in f32
    layer.step(*backend, *storage, query, row_of_two(0, 0), row_of_two(0, 0));
    keys = layer.keys(*backend, *storage);
    CHECK(keys.data<float>()[0] == doctest::Approx(38.0 / 127));  // 0.3 · 127 = 38.1
    CHECK(keys.data<float>()[1] == 100);                          // its own channel: 127 is the scale
    CHECK(keys.data<float>()[2] == doctest::Approx(-1));
    CHECK(keys.data<float>()[3] == 127);
  }
}

TEST_CASE("all backends store the same bits, and attention is attention over what they decode to") {
  for (const auto& [block_len, longest, n_kv_heads, head_dim] :
       {std::tuple{1, 1, 1, 8}, {4, 4, 2, 16}, {3, 5, 2, 34}, {16, 16, 1, 80}, {16, 3, 2, 128}}) {
    CAPTURE(block_len);
    CAPTURE(head_dim);
    std::vector<Tensor> all_keys;
    for (const auto& backend : cpu_backends()) {
      CAPTURE(backend->info().name);
      SealedLayer layer{.block_len = block_len,
                        .longest_step = longest,
                        .n_kv_heads = n_kv_heads,
                        .head_dim = head_dim,
                        .n_q_heads = 2 * n_kv_heads};
      const auto storage = backend->make_storage(layer.cache->spec());
      Random random(5, 1);
      for (int32_t n = 0; n < 60; n = layer.cache->length(0)) {
        const auto q_len = static_cast<int32_t>(std::min<int64_t>(1 + random.below(longest), 60 - n));
        const auto seed = static_cast<uint64_t>(n);
        const Tensor q = random_tensor({q_len, layer.n_q_heads, head_dim}, seed, 2),
                     k = keys_with_outliers({q_len, n_kv_heads, head_dim}, seed),
                     v = random_tensor({q_len, n_kv_heads, head_dim}, seed, 3);
        const std::vector<double> out = layer.step(*backend, *storage, q, k, v);
        CHECK(out == attend_decoded(*backend, layer, *storage, q));
      }
      all_keys.push_back(layer.keys(*backend, *storage));
    }
    for (const Tensor& keys : all_keys)
      CHECK(std::equal(keys.data<float>(), keys.data<float>() + keys.size(), all_keys[0].data<float>()));
  }
}

TEST_CASE(
    "small channels keep their precision beside a large one, where one scale for a row rounds them to 0") {
  const auto worst_error = [](DType dtype) {
    NaiveBackend<float> backend;
    const auto cache =
        make_cache({.kind = "paged", .block_len = 8, .dtype_k = dtype},
                   {.n_layers = 1, .n_kv_heads = 1, .head_dim = 16, .max_seq_len = 64, .longest_step = 8});
    const auto storage = backend.make_storage(cache->spec());
    const Tensor k = keys_with_outliers({8, 1, 16}, 1);
    const std::vector<int32_t> tokens(8, 1);
    for (int step = 0; step < 3;
         ++step) {  // the first block is sealed in the second step, and read in the third
      const SequenceInput input{0, tokens, LogitRows::last};
      const Batch& batch = backend.begin_step(cache->plan({&input, 1}), *storage);
      backend.run(Append{{0, "append"}, k, k, batch, *storage});
      if (!batch.plan->seals.empty()) backend.run(SealKeys{{0, "seal_keys"}, batch, *storage});
      cache->commit(*batch.plan);
    }
    std::vector<int64_t> slots;
    for (int32_t s = 0; s < 8; ++s) slots.push_back(cache->slot(0, s));
    Tensor stored = Tensor::host(DType::f32, k.shape());
    backend.read_rows(*storage, 0, RowKind::k, slots, stored.view());
    float worst = 0;
    for (int64_t i = 0; i < k.size(); ++i)
      if (i % 16 != 3) worst = std::max(worst, std::abs(stored.data<float>()[i] - k.data<float>()[i]));
    return worst;
  };
  CHECK(worst_error(DType::i8) > 0.3f);           // half a step of the large channel
  CHECK(worst_error(DType::i8_channel) < 0.02f);  // half a step of their own
}

TEST_CASE(
    "a row of a sealed block that is written again takes the scales of its block, and restores to the bit") {
  for (const auto& backend : cpu_backends()) {
    CAPTURE(backend->info().name);
    SealedLayer layer{.block_len = 4, .longest_step = 4, .head_dim = 8};
    const auto storage = backend->make_storage(layer.cache->spec());
    for (int32_t n = 0; n < 12; ++n) {
      const Tensor row = keys_with_outliers({1, 1, 8}, static_cast<uint64_t>(n));
      layer.step(*backend, *storage, row, row, row);
    }
    const Tensor before = layer.keys(*backend, *storage);
    for (const int32_t index : {0, 3, 4, 9, 11}) {  // 0 and 3 are in a sealed block
      CAPTURE(index);
      const int64_t slot = layer.cache->slot(0, index);
      Tensor original = Tensor::host(DType::f32, {1, 1, 8}), zero = original.clone(), back = original.clone();
      backend->read_rows(*storage, 0, RowKind::k, {&slot, 1}, original.view());
      backend->write_rows(*storage, 0, RowKind::k, {&slot, 1}, zero.view());
      backend->read_rows(*storage, 0, RowKind::k, {&slot, 1}, back.view());
      for (int d = 0; d < 8; ++d) CHECK(back.data<float>()[d] == 0);
      backend->write_rows(*storage, 0, RowKind::k, {&slot, 1}, original.view());
    }
    const Tensor after = layer.keys(*backend, *storage);
    CHECK(std::equal(before.data<float>(), before.data<float>() + before.size(), after.data<float>()));
  }
}

TEST_CASE("cost: new keys are written in f32, sealing reads them and writes codes, attend reads both kinds") {
  NaiveBackend<float> backend;
  SealedLayer layer{.block_len = 4, .longest_step = 4, .n_kv_heads = 2, .head_dim = 8, .n_q_heads = 2};
  const auto storage = backend.make_storage(layer.cache->spec());
  const Tensor row = random_tensor({1, 2, 8}, 1);
  for (int32_t n = 0; n < 8; ++n) layer.step(backend, *storage, row, row, row);
  const int32_t token = 1;
  const SequenceInput input{0, {&token, 1}, LogitRows::last};
  const Batch& batch = backend.begin_step(layer.cache->plan({&input, 1}), *storage);
  Tensor out = backend.make_tensor(row.shape()), lse = backend.make_tensor({1, 2});
  // 9 rows: 4 as codes with 8 scales, 5 in f32; V is f32.
  CHECK(cost_of(Attend{{0, "attend"}, row, *storage, batch, kSpec, out, lse}).cache_bytes_read ==
        2 * (4 * 8 + 8 * 4 + 5 * 8 * 4 + 9 * 8 * 4));
  CHECK(cost_of(Append{{0, "append"}, row, row, batch, *storage}).cache_bytes_written == 2 * 2 * 8 * 4);
  CHECK(cost::seal_keys(3, 4, 2, 8) ==
        OpCost{.cache_bytes_read = 3 * 2 * 4 * 8 * 4, .cache_bytes_written = 3 * 2 * (4 * 8 + 8 * 4)});
}
