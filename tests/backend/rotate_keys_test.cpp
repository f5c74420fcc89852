// Keys that are rotated in each step: by eye, then compared with the formula in double precision.
#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "backend/eigen.h"
#include "backend/naive.h"
#include "cache/make_cache.h"
#include "cache/slots.h"
#include "core/random.h"
#include "judge/attend_case.h"
#include "support/backends.h"

using namespace lastrow;
using namespace lastrow::judge;
using namespace lastrow::testing;

namespace {

const Site kRotate{0, "rotate_keys"};

/// A ring in which it uses new positions.
struct Ring {
  int32_t window = 3, sinks = 1, block_len = 2, n_kv_heads = 1, head_dim = 2, n_seqs = 1;
  KvDtypes dtypes{};

  std::unique_ptr<KvCache> make() const {
    return make_cache({.kind = "window",
                       .block_len = block_len,
                       .window = window,
                       .sinks = sinks,
                       .positions = Positions::renumbered,
                       .dtype_k = dtypes.k,
                       .dtype_v = dtypes.v},
                      {.n_layers = 1,
                       .n_kv_heads = n_kv_heads,
                       .head_dim = head_dim,
                       .max_seq_len = 64,
                       .n_seqs = n_seqs,
                       .longest_step = 1});
  }
};

/// Angles of position · step(d), in the type of the backend.
RopeTable table_of(Backend& backend, int32_t n_positions, int32_t half, double first_angle,
                   bool interleaved) {
  Tensor cos = Tensor::host(DType::f64, {n_positions, half}),
         sin = Tensor::host(DType::f64, {n_positions, half});
  for (int32_t p = 0; p < n_positions; ++p)
    for (int32_t d = 0; d < half; ++d) {
      cos.data<double>()[p * half + d] = std::cos(p * first_angle / (d + 1));
      sin.data<double>()[p * half + d] = std::sin(p * first_angle / (d + 1));
    }
  return {backend.upload(cos.view()), backend.upload(sin.view()), interleaved};
}

Tensor random_rows(Shape shape, uint64_t seed) {
  Tensor rows = Tensor::host(DType::f32, shape);
  Random random(seed, 1);
  for (int64_t i = 0; i < rows.size(); ++i) rows.data<float>()[i] = static_cast<float>(random.normal());
  return rows;
}

/// Feeds one token of each sequence and stores these rows as K: [n_seqs, n_kv_heads, head_dim].
const StepPlan& feed(KvCache& cache, Backend& backend, KvStorage& storage, ConstTensorView k) {
  static const std::vector<int32_t> token = {1};
  std::vector<SequenceInput> inputs;
  for (int32_t i = 0; i < cache.n_seqs(); ++i) inputs.push_back({i, token, LogitRows::last});
  const StepPlan& plan = cache.plan(inputs);
  backend.write_rows(storage, 0, RowKind::k, plan.append_slots, k);
  return plan;
}

/// The rotated keys of sequence i, by index: [kv_len, n_kv_heads, head_dim].
std::vector<double> keys_of(Backend& backend, const StepPlan& plan, int32_t i, const CacheSpec& spec,
                            ConstTensorView keys) {
  const std::vector<double> all = to_doubles(backend, keys);
  std::vector<double> found;
  for (const int64_t slot : slots_of(plan, i, 0, plan.kv_len[i]))
    for (int32_t g = 0; g < spec.n_kv_heads; ++g) {
      const auto first = all.begin() + row_offset(spec.layout(), slot, g);
      found.insert(found.end(), first, first + spec.head_dim);
    }
  return found;
}

}  // namespace

TEST_CASE("by eye: with a quarter turn for each position, the angle of a key is its index, not its number") {
  for (const auto& backend : all_backends()) {
    CAPTURE(backend->info().name);
    const auto cache = Ring{}.make();  // the sink and the last 3
    const auto storage = backend->make_storage(cache->spec());
    Tensor keys = backend->make_tensor({cache->spec().n_blocks, 1, 2, 2});
    const RopeTable table = table_of(*backend, 8, 1, std::numbers::pi / 2, false);
    Tensor east = Tensor::host(DType::f32, {1, 1, 2});
    east.data<float>()[0] = 1;  // every key is (1, 0)
    std::vector<double> turned;
    for (int32_t n = 0; n < 7; ++n) {
      const StepPlan& plan = feed(*cache, *backend, *storage, east.view());
      const Batch& batch = backend->begin_step(plan, *storage);
      backend->run(RotateKeys{kRotate, table, batch, *storage, keys});
      turned = keys_of(*backend, plan, 0, cache->spec(), keys.view());
      cache->commit(plan);
    }
    CHECK(cache->position_of(0, 1) == 5);                  // the last step held 0, 4, 5, 6
    const double expected[] = {1, 0, 0, 1, -1, 0, 0, -1};  // east, north, west, south: the indices 0, 1, 2, 3
    REQUIRE(turned.size() == 8);
    for (size_t i = 0; i < 8; ++i) CHECK(turned[i] == doctest::Approx(expected[i]).epsilon(1e-6));
  }
}

TEST_CASE("every backend rotates the stored rows of each type as the formula says, in every layout") {
  for (const auto& backend : all_backends())
    for (const char* dtype : {"f32", "f16", "bf16", "fp8", "int8", "int4", "fp4"})
      for (const bool interleaved : {false, true})
        for (const auto& [sinks, block_len, head_dim] :
             {std::tuple{0, 1, 8}, {2, 3, 16}, {3, 2, 80}, {5, 16, 34}}) {
          CAPTURE(backend->info().name);
          CAPTURE(dtype);
          CAPTURE(interleaved);
          CAPTURE(sinks);
          const Ring ring{.window = 4,
                          .sinks = sinks,
                          .block_len = block_len,
                          .n_kv_heads = 2,
                          .head_dim = head_dim,
                          .n_seqs = 2,
                          .dtypes = kv_dtypes_from_name(dtype)};
          const auto cache = ring.make();
          const CacheSpec& spec = cache->spec();
          const auto storage = backend->make_storage(spec);
          Tensor keys = backend->make_tensor({spec.n_blocks, 2, block_len, head_dim});
          const RopeTable table = table_of(*backend, 16, head_dim / 2, 0.7, interleaved);
          for (uint64_t n = 0; n < 12; ++n) {
            const StepPlan& plan = feed(*cache, *backend, *storage, random_rows({2, 2, head_dim}, n).view());
            const Batch& batch = backend->begin_step(plan, *storage);
            if (n < 11) {
              cache->commit(plan);
              continue;
            }
            backend->run(RotateKeys{kRotate, table, batch, *storage, keys});
            for (int32_t i = 0; i < 2; ++i) {
              const std::vector<int64_t> slots = slots_of(plan, i, 0, plan.kv_len[i]);
              Tensor raw = Tensor::host(DType::f32, {plan.kv_len[i], 2, head_dim});
              backend->read_rows(*storage, 0, RowKind::k, slots, raw.view());
              const std::vector<double> turned = keys_of(*backend, plan, i, spec, keys.view());
              REQUIRE(static_cast<int64_t>(turned.size()) == raw.size());
              const int32_t half = head_dim / 2, partner = interleaved ? 1 : half;
              double largest = 0;
              for (int32_t row = 0; row < 2 * plan.kv_len[i]; ++row)
                for (int32_t d = 0; d < half; ++d) {
                  const int64_t first = int64_t{row} * head_dim + (interleaved ? 2 * d : d);
                  const double angle = row / 2 * 0.7 / (d + 1);  // the index of the row
                  const double a = raw.data<float>()[first], b = raw.data<float>()[first + partner];
                  const auto at = static_cast<size_t>(first);
                  largest =
                      std::max(largest, std::abs(turned[at] - (a * std::cos(angle) - b * std::sin(angle))));
                  largest = std::max(largest, std::abs(turned[at + static_cast<size_t>(partner)] -
                                                       (a * std::sin(angle) + b * std::cos(angle))));
                }
              // Two products of numbers below 5 with rounded sines, and a sum: at most 4 roundings of 2^-24.
              CHECK(largest <= 4 * 5 * 0x1p-24);
            }
          }
        }
}

TEST_CASE("attend and probe read rotated keys in place of the stored ones, and V as it is stored") {
  for (const auto& backend : all_backends())
    for (const char* dtypes : {"f32", "k=f16,v=f32", "k=int4,v=int8"}) {
      CAPTURE(backend->info().name);
      CAPTURE(dtypes);
      const auto cache = Ring{.n_kv_heads = 1, .head_dim = 32, .dtypes = kv_dtypes_from_name(dtypes)}.make();
      const CacheSpec& spec = cache->spec();
      const auto storage = backend->make_storage(spec);
      const auto n_slots = int64_t{spec.n_blocks} * spec.block_len;
      Tensor keys = backend->make_tensor({spec.n_blocks, 1, spec.block_len, 32});
      // Key s of the scratch is one-hot at s; the stored K are NaN-free noise that must not matter.
      const StepPlan* plan = nullptr;
      for (int32_t n = 0; n < 6; ++n) {
        plan = &feed(*cache, *backend, *storage, random_rows({1, 1, 32}, 7).view());
        if (n < 5) cache->commit(*plan);
      }
      const std::vector<int64_t> slots = slots_of(*plan, 0, 0, 4);
      Tensor one_hot = Tensor::host(DType::f32, keys.shape()), values = Tensor::host(DType::f32, {4, 1, 32});
      for (int32_t s = 0; s < 4; ++s) {
        one_hot.data<float>()[row_offset(spec.layout(), slots[static_cast<size_t>(s)], 0) + s] = 1;
        values.data<float>()[s * 32 + s] = 1;
      }
      REQUIRE(n_slots >= 4);
      backend->write(one_hot.view(), keys.view());
      backend->write_rows(*storage, 0, RowKind::v, slots, values.view());
      Tensor q = Tensor::host(DType::f32, {1, 2, 32});
      q.data<float>()[2] = 5000;       // head 0 finds key 2
      q.data<float>()[32 + 0] = 5000;  // head 1 the sink
      const Tensor queries = backend->upload(q.view());
      Tensor out = backend->make_tensor(q.shape()), lse = backend->make_tensor({1, 2});
      const Batch& batch = backend->begin_step(*plan, *storage);
      const AttendSpec spec_of{{.scale = 1}, {.window = 3, .sinks = 1}};
      const Attend attend{.site = {0, "attend"},
                          .q = queries,
                          .storage = *storage,
                          .batch = batch,
                          .spec = spec_of,
                          .out = out,
                          .lse = lse,
                          .keys = keys.view()};
      backend->run(attend);
      const std::vector<double> got = to_doubles(*backend, out.view());
      for (size_t d = 0; d < 32; ++d) {
        CHECK(got[d] == doctest::Approx(d == 2 ? 1 : 0).epsilon(1e-6));
        CHECK(got[32 + d] == doctest::Approx(d == 0 ? 1 : 0).epsilon(1e-6));
      }
      Tensor scores = backend->make_tensor({2, 1, 4}), probs = backend->make_tensor({2, 1, 4});
      backend->run(Probe{.site = {0, "attend"},
                         .q = queries,
                         .storage = *storage,
                         .batch = batch,
                         .spec = spec_of,
                         .lse = lse,
                         .selection = {0, 2, 0, 1},
                         .scores = scores,
                         .probs = probs,
                         .keys = keys.view()});
      CHECK(to_doubles(*backend, scores.view()) == std::vector<double>{0, 0, 5000, 0, 5000, 0, 0, 0});
      CHECK(to_doubles(*backend, probs.view()) == std::vector<double>{0, 0, 1, 0, 1, 0, 0, 0});
    }
}

TEST_CASE(
    "what the rotation costs: K read from the cache, and a scratch written; then attend reads the scratch") {
  NaiveBackend<float> naive;
  const auto cache = Ring{.n_kv_heads = 2, .head_dim = 32, .dtypes = kv_dtypes_from_name("int8")}.make();
  const auto storage = naive.make_storage(cache->spec());
  const Tensor k = random_rows({1, 2, 32}, 1);
  for (int32_t n = 0; n < 5; ++n) cache->commit(feed(*cache, naive, *storage, k.view()));
  const StepPlan& plan = feed(*cache, naive, *storage, k.view());  // 4 rows
  const Batch& batch = naive.begin_step(plan, *storage);
  Tensor keys = naive.make_tensor({cache->spec().n_blocks, 2, 2, 32});
  const RopeTable table = table_of(naive, 8, 16, 1, false);
  const OpCost rotated = cost_of(RotateKeys{kRotate, table, batch, *storage, keys});
  CHECK(rotated.flop == 3 * 4 * 2 * 32);
  CHECK(rotated.cache_bytes_read == 4 * 2 * (32 + 4));
  CHECK(rotated.scratch_bytes == 4 * 2 * 32 * 4);
  CHECK(rotated.activation_bytes == 4 * 32 * 4);
  CHECK(rotated.cache_bytes_written == 0);
  Tensor q = naive.make_tensor({1, 4, 32}), out = naive.make_tensor({1, 4, 32}),
         lse = naive.make_tensor({1, 4});
  const OpCost attended =
      cost_of(Attend{{0, "attend"}, q, *storage, batch, {{}, {.window = 3, .sinks = 1}}, out, lse, keys});
  CHECK(attended.cache_bytes_read == 4 * 2 * (32 + 4));  // V
  CHECK(attended.scratch_bytes == 4 * 2 * 32 * 4);
  CHECK(attended.bytes() == attended.cache_bytes_read + attended.activation_bytes + attended.scratch_bytes);
}

TEST_CASE("operands that do not fit are refused") {
  NaiveBackend<float> naive;
  const auto cache = Ring{.window = 6}.make();
  const auto storage = naive.make_storage(cache->spec());
  const Tensor k = random_rows({1, 1, 2}, 1);
  for (int32_t n = 0; n < 4; ++n) cache->commit(feed(*cache, naive, *storage, k.view()));
  const Batch& batch = naive.begin_step(feed(*cache, naive, *storage, k.view()), *storage);
  Tensor keys = naive.make_tensor({cache->spec().n_blocks, 1, 2, 2}),
         narrow = naive.make_tensor({1, 1, 2, 2});
  const RopeTable table = table_of(naive, 8, 1, 1, false), shorter = table_of(naive, 4, 1, 1, false),
                  wide = table_of(naive, 8, 2, 1, false);
  CHECK_THROWS_WITH_AS(naive.run(RotateKeys{kRotate, shorter, batch, *storage, keys}),
                       "key 4 at position 4: the RoPE table was made for 4 positions", ShapeError);
  CHECK_THROWS_AS(naive.run(RotateKeys{kRotate, table, batch, *storage, narrow}), ShapeError);
  CHECK_THROWS_AS(naive.run(RotateKeys{kRotate, wide, batch, *storage, keys}), ShapeError);
  CHECK_THROWS_AS(naive.run(RotateKeys{{1, "rotate_keys"}, table, batch, *storage, keys}), ShapeError);
  Tensor q = naive.make_tensor({1, 1, 2}), out = naive.make_tensor({1, 1, 2}),
         lse = naive.make_tensor({1, 1});
  CHECK_THROWS_AS(naive.run(Attend{{0, "attend"}, q, *storage, batch, {}, out, lse, narrow}), ShapeError);
}
