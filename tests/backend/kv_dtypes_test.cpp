// K and V stored in f16, bf16, fp8, int8, int4 and fp4: the rows as the codec defines them, and attention over them.
#include <doctest/doctest.h>

#include <cmath>

#include "backend/eigen.h"
#include "backend/naive.h"
#include "cache/kv_groups.h"
#include "judge/attend_case.h"
#include "judge/tolerance.h"
#include "support/backends.h"

using namespace lastrow;
using namespace lastrow::judge;
using namespace lastrow::testing;

namespace {

constexpr DType kEncoded[] = {DType::f16, DType::bf16, DType::fp8_e4m3, DType::i8, DType::i4x2, DType::fp4x2};

/// What a row of 8 elements decodes to.
template <typename T>
void encode_and_decode(const float* row, float* expected) {
  T stored[8];
  if constexpr (is_grouped<T>) {
    Half scale;
    encode_groups(row, 8, stored, &scale);
    decode_groups(stored, &scale, 8, expected);
  } else {
    const float scale = encode_row(row, 8, stored);
    decode_row(stored, scale, 8, expected);
  }
}

std::vector<AttendCase> cases(DType dtype) {
  return {{.n_q_heads = 8, .n_kv_heads = 2, .head_dim = 64, .sequences = {{1, 700}}, .kv_dtype = dtype},
          {.n_q_heads = 6,
           .n_kv_heads = 6,
           .head_dim = 80,
           .sequences = {{3, 33}, {0, 0}, {2, 1}, {5, 65}},
           .block_len = 16,
           .kv_dtype = dtype},
          {.n_q_heads = 4, .n_kv_heads = 1, .head_dim = 256, .sequences = {{1, 130}}, .kv_dtype = dtype},
          {.n_q_heads = 3,
           .n_kv_heads = 1,
           .head_dim = 8,
           .sequences = {{9, 200}},
           .mask = {.window = 70},
           .kv_dtype = dtype}};
}

/// An f32 storage with the decoded rows of the other storage. Unused slots keep their NaN.
std::unique_ptr<KvStorage> decoded_copy(Backend& backend, const KvStorage& storage) {
  CacheSpec spec = storage.spec();
  spec.dtype_k = spec.dtype_v = DType::f32;
  auto copy = backend.make_storage(spec);
  for (int64_t slot = 0; slot < int64_t{spec.n_blocks} * spec.block_len; ++slot)
    for (const RowKind kind : {RowKind::k, RowKind::v}) {
      Tensor row = Tensor::host(DType::f32, {1, spec.n_kv_heads, spec.head_dim});
      backend.read_rows(storage, 0, kind, {&slot, 1}, row.view());
      backend.write_rows(*copy, 0, kind, {&slot, 1}, row.view());
    }
  return copy;
}

}  // namespace

TEST_CASE("a stored row reads back as the codec decodes it; append and write_rows store the same") {
  for (const auto& backend : all_backends())
    for (const DType dtype : kEncoded) {
      CAPTURE(backend->info().name);
      CAPTURE(name_of(dtype));
      const auto storage = backend->make_storage(CacheSpec::contiguous(1, 2, 8, 4, 1, dtype));
      const Tensor k = random_tensor({1, 2, 8}, 3, 1), v = random_tensor({1, 2, 8}, 3, 2);
      StepPlan plan;
      plan.tokens = {0}, plan.positions = {0}, plan.q_start = {0, 1}, plan.kv_len = {3},
      plan.block_tables = {0};
      plan.append_slots = {2}, plan.blocks_per_seq = 1, plan.block_len = 4;
      const Tensor new_k = backend->upload(k.view()), new_v = backend->upload(v.view());
      backend->run(
          Append{{0, "append"}, new_k.view(), new_v.view(), backend->begin_step(plan, *storage), *storage});
      const int64_t written = 0, appended = 2;
      backend->write_rows(*storage, 0, RowKind::k, {&written, 1}, k.view());
      backend->write_rows(*storage, 0, RowKind::v, {&written, 1}, v.view());
      for (const RowKind kind : {RowKind::k, RowKind::v}) {
        Tensor a = Tensor::host(DType::f32, {1, 2, 8}), b = a.clone();
        backend->read_rows(*storage, 0, kind, {&appended, 1}, a.view());
        backend->read_rows(*storage, 0, kind, {&written, 1}, b.view());
        const float* original = (kind == RowKind::k ? k : v).data<float>();
        for (int g = 0; g < 2; ++g) {
          float expected[8];
          with_type(dtype, [&]<typename T>(T) {
            if constexpr (encodes_rows(dtype_of<T>)) encode_and_decode<T>(original + g * 8, expected);
          });
          for (int d = 0; d < 8; ++d) {
            CHECK(a.data<float>()[g * 8 + d] == expected[d]);
            CHECK(b.data<float>()[g * 8 + d] == expected[d]);
          }
        }
      }
    }
}

TEST_CASE("int4 and fp4 in rows with a shorter last group, or of less than one group") {
  for (const auto& backend : all_backends())
    for (const DType dtype : {DType::i4x2, DType::fp4x2})
      for (const int32_t head_dim : {2, 16, 34, 80, 130}) {
        CAPTURE(backend->info().name);
        CAPTURE(name_of(dtype));
        CAPTURE(head_dim);
        const auto storage = backend->make_storage(CacheSpec::contiguous(2, 3, head_dim, 4, 1, dtype));
        const Tensor rows = random_tensor({2, 3, head_dim}, 3, 1);
        const int64_t slots[] = {3, 1};
        backend->write_rows(*storage, 1, RowKind::v, slots, rows.view());
        Tensor back = Tensor::host(DType::f32, rows.shape());
        backend->read_rows(*storage, 1, RowKind::v, slots, back.view());
        std::vector<float> expected(static_cast<size_t>(rows.size()));
        std::vector<Half> scales(static_cast<size_t>(n_groups(head_dim)));
        with_type(dtype, [&]<typename T>(T) {
          if constexpr (is_grouped<T>) {
            std::vector<T> stored(static_cast<size_t>(head_dim));
            for (int64_t at = 0; at < rows.size(); at += head_dim) {
              encode_groups(rows.data<float>() + at, head_dim, stored.data(), scales.data());
              decode_groups(stored.data(), scales.data(), head_dim, expected.data() + at);
            }
          }
        });
        CHECK(std::equal(expected.begin(), expected.end(), back.data<float>()));
      }
}

TEST_CASE("attention over encoded rows is attention over what they decode to, to the bit") {
  for (const auto& backend : cpu_backends())
    for (const DType dtype : kEncoded)
      for (const AttendCase& c : cases(dtype)) {
        CAPTURE(backend->info().name);
        CAPTURE(name_of(dtype));
        CAPTURE(c.head_dim);
        const Layout l = lay_out(c);
        const auto encoded = fill_storage(*backend, c, l), plain = decoded_copy(*backend, *encoded);
        const Tensor q = backend->upload(case_queries(c, l).view());
        const auto attended = [&](KvStorage& storage) {
          Tensor out = backend->make_tensor(q.shape()),
                 lse = backend->make_tensor({l.plan.n_tokens(), c.n_q_heads});
          const Batch& batch = backend->begin_step(l.plan, storage);
          backend->run(Attend{{0, "attend"}, q.view(), storage, batch, case_spec(c), out.view(), lse.view()});
          const int32_t last = static_cast<int32_t>(c.sequences.size()) - 1;
          const Shape probed{c.n_q_heads, c.sequences[last].q_len, c.sequences[last].kv_len};
          Tensor scores = backend->make_tensor(probed), probs = backend->make_tensor(probed);
          backend->run(Probe{{0, "attend"},
                             q.view(),
                             storage,
                             batch,
                             case_spec(c),
                             lse.view(),
                             {0, c.n_q_heads, l.plan.q_start[last], c.sequences[last].q_len},
                             scores.view(),
                             probs.view(),
                             {}});
          auto all = to_doubles(*backend, out.view());
          for (const Tensor* t : {&lse, &scores, &probs}) {
            const auto more = to_doubles(*backend, t->view());
            all.insert(all.end(), more.begin(), more.end());
          }
          return all;
        };
        const auto a = attended(*encoded), b = attended(*plain);
        CHECK(a == b);
        for (const double x : a) CHECK(!std::isnan(x));  // unused slots hold NaN
      }
}

/// V and its scales are 64 times K and its scales. So a backend that mixes them up has a large error.
TEST_CASE("probe's scores are those of K as it is stored, whatever V's scales are") {
  for (const auto& backend : all_backends())
    for (const DType dtype : kEncoded) {
      CAPTURE(backend->info().name);
      CAPTURE(name_of(dtype));
      constexpr int32_t kHeads = 4, kGroups = 2, kDim = 8, kLen = 3;
      const auto storage = backend->make_storage(CacheSpec::contiguous(1, kGroups, kDim, 4, 1, dtype));
      const Tensor k = random_tensor({kLen, kGroups, kDim}, 3, 1), q = random_tensor({1, kHeads, kDim}, 3, 2);
      Tensor v = random_tensor({kLen, kGroups, kDim}, 3, 3);
      for (int64_t i = 0; i < v.size(); ++i) v.data<float>()[i] *= 64;
      const int64_t slots[] = {0, 1, 2};
      backend->write_rows(*storage, 0, RowKind::k, slots, k.view());
      backend->write_rows(*storage, 0, RowKind::v, slots, v.view());
      StepPlan plan;
      plan.tokens = {0}, plan.positions = {2}, plan.q_start = {0, 1}, plan.kv_len = {kLen};
      plan.block_tables = {0}, plan.append_slots = {2}, plan.blocks_per_seq = 1, plan.block_len = 4;
      const Batch& batch = backend->begin_step(plan, *storage);
      const Tensor q_there = backend->upload(q.view());
      Tensor out = backend->make_tensor(q_there.shape()), lse = backend->make_tensor({1, kHeads}),
             scores = backend->make_tensor({kHeads, 1, kLen}),
             probs = backend->make_tensor({kHeads, 1, kLen});
      const AttendSpec spec{{.scale = 0.35f}, {}};
      backend->run(Attend{{0, "attend"}, q_there.view(), *storage, batch, spec, out.view(), lse.view()});
      backend->run(Probe{{0, "attend"},
                         q_there.view(),
                         *storage,
                         batch,
                         spec,
                         lse.view(),
                         {0, kHeads, 0, 1},
                         scores.view(),
                         probs.view(),
                         {}});
      const std::vector<double> actual = to_doubles(*backend, scores.view());
      Tensor stored = Tensor::host(DType::f32, k.shape());
      backend->read_rows(*storage, 0, RowKind::k, slots, stored.view());
      for (int32_t h = 0; h < kHeads; ++h)
        for (int32_t s = 0; s < kLen; ++s) {
          double score = 0;
          for (int32_t d = 0; d < kDim; ++d)
            score += static_cast<double>(q.data<float>()[h * kDim + d]) *
                     static_cast<double>(stored.data<float>()[(s * kGroups + h / 2) * kDim + d]);
          CHECK(actual[static_cast<size_t>(h * kLen + s)] == doctest::Approx(0.35 * score).epsilon(1e-4));
        }
    }
}

/// Decoding is exact, so a pair of types must give what its decoded rows give.
TEST_CASE("K and V of different types: attention over what both decode to, and each row as its type says") {
  constexpr DType kAll[] = {DType::f32, DType::f16,  DType::bf16, DType::fp8_e4m3,
                            DType::i8,  DType::i4x2, DType::fp4x2};
  for (const auto& backend : cpu_backends())
    for (const DType k : kAll)
      for (const DType v : kAll) {
        CAPTURE(backend->info().name);
        CAPTURE(kv_dtypes_name({k, v}));
        const AttendCase c{.n_q_heads = 4,
                           .n_kv_heads = 2,
                           .head_dim = 8,
                           .sequences = {{1, 70}, {3, 5}},
                           .block_len = 16,
                           .block_order = 3,
                           .kv_dtype = {k, v}};
        const Layout l = lay_out(c);
        const auto stored = fill_storage(*backend, c, l);
        const auto wide = size_of(backend->info().activation_dtype);  // of rows that are stored as f32
        CHECK(stored->row_format(RowKind::k).elem_bytes ==
              static_cast<int64_t>(k == DType::f32 ? wide : size_of(k)));
        CHECK(stored->row_format(RowKind::v).scale_bytes == scale_bytes(v));
        const auto decoded = decoded_copy(*backend, *stored);
        const Tensor q = case_queries(c, l);
        CHECK(attend(*backend, c, l, *stored, q).out == attend(*backend, c, l, *decoded, q).out);
        AttendCase both = c;
        both.kv_dtype = k;
        const auto same_k = fill_storage(*backend, both, lay_out(both));
        const int64_t slot = l.plan.append_slots[0];
        Tensor row = Tensor::host(DType::f32, {1, 2, 8}), expected = row.clone();
        backend->read_rows(*stored, 0, RowKind::k, {&slot, 1}, row.view());
        backend->read_rows(*same_k, 0, RowKind::k, {&slot, 1}, expected.view());
        CHECK(std::equal(row.data<float>(), row.data<float>() + 16, expected.data<float>()));
      }
}

TEST_CASE("eigen errs at most as the tolerance rule allows, judged on the stored values") {
  EigenBackend eigen(2);
  NaiveBackend<double> judge;
  for (const DType dtype : kEncoded)
    for (const AttendCase& c : cases(dtype)) {
      CAPTURE(name_of(dtype));
      const AttendResult expected = attend(judge, c), actual = attend(eigen, c);
      const Difference worst = difference(actual.out, expected.out);
      INFO(worst.to_string());
      CHECK(worst.largest <= tolerance([&](Backend& b) { return attend(b, c).out; }, expected.out));
      CHECK(difference(actual.lse, expected.lse).largest <=
            tolerance([&](Backend& b) { return attend(b, c).lse; }, expected.lse));
    }
}

TEST_CASE("encoded: neither block length nor threads change a bit") {
  for (const DType dtype : kEncoded) {
    AttendCase c{.n_q_heads = 8,
                 .n_kv_heads = 2,
                 .head_dim = 16,
                 .sequences = {{1, 1500}, {5, 600}},
                 .kv_dtype = dtype};
    EigenBackend one(1), three(3);
    const AttendResult contiguous = attend(one, c);
    CHECK(attend(three, c).out == contiguous.out);
    c.block_len = 16, c.block_order = 1;
    CHECK(attend(one, c).out == contiguous.out);
    CHECK(attend(three, c).lse == contiguous.lse);
  }
}

TEST_CASE("encoded: a visible NaN shows; a masked or unused one does not") {
  for (const auto& backend : all_backends())
    for (const DType dtype : kEncoded) {
      const AttendCase c{.n_q_heads = 2,
                         .n_kv_heads = 1,
                         .head_dim = 8,
                         .sequences = {{1, 70}},
                         .block_len = 16,
                         .kv_dtype = dtype};
      for (const double x : attend(*backend, c).out) CHECK(std::isfinite(x));
      const Layout l = lay_out(c);
      const auto storage = fill_storage(*backend, c, l);
      Tensor nan = Tensor::host(DType::f32, {1, 1, 8});
      nan.data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
      const int64_t slot = 5;
      backend->write_rows(*storage, 0, RowKind::k, {&slot, 1}, nan.view());
      const Tensor q = backend->upload(case_queries(c, l).view());
      Tensor out = backend->make_tensor(q.shape()), lse = backend->make_tensor({1, 2});
      backend->run(Attend{{0, "attend"},
                          q.view(),
                          *storage,
                          backend->begin_step(l.plan, *storage),
                          case_spec(c),
                          out.view(),
                          lse.view()});
      for (const double x : to_doubles(*backend, out.view())) CHECK(std::isnan(x));
    }
}

TEST_CASE("K and V of all layers lie in one arena, aligned, apart, and counted") {
  for (const auto& backend : all_backends())
    for (const KvDtypes dtypes : std::initializer_list<KvDtypes>{DType::f16,
                                                                 DType::bf16,
                                                                 DType::fp8_e4m3,
                                                                 DType::i8,
                                                                 {DType::i8, DType::f16},
                                                                 {DType::fp8_e4m3, DType::i8}})
      for (const int32_t head_dim : {5, 64}) {
        CAPTURE(backend->info().name);
        CAPTURE(kv_dtypes_name(dtypes));
        const CacheSpec spec = CacheSpec::contiguous(3, 2, head_dim, 32, 1, dtypes);
        const auto storage = backend->make_storage(spec);
        const auto* const start = static_cast<const std::byte*>(storage->rows(0, RowKind::k).raw());
        int64_t end = 0;  // of the part before this one
        for (int32_t layer = 0; layer < 3; ++layer)
          for (const RowKind kind : {RowKind::k, RowKind::v})
            for (const ConstTensorView part : {ConstTensorView(storage->rows(layer, kind)),
                                               ConstTensorView(storage->scales(layer, kind))}) {
              if (part.empty()) continue;
              const int64_t at = static_cast<const std::byte*>(part.raw()) - start;
              CHECK(at % KvStorage::kAlignment == 0);
              CHECK(at >= end);
              CHECK(at < end + KvStorage::kAlignment);
              end = at + part.size_bytes();
            }
        CHECK(storage->bytes() >= end);
        CHECK(storage->bytes() - spec.bytes() < 3 * 2 * 2 * KvStorage::kAlignment);
        if (head_dim == 64) CHECK(storage->bytes() == spec.bytes());  // each part is a multiple of 256 bytes
      }
}

TEST_CASE("a cache that no machine could hold is refused, whatever it is stored as") {
  for (const auto& backend : all_backends()) {
    const CacheSpec spec = CacheSpec::contiguous(1 << 10, 1 << 10, 1 << 10, 1 << 29);
    CHECK_THROWS_AS((void)backend->make_storage(spec), CapacityError);
  }
}

TEST_CASE("block copies take the scales along, and storage counts them") {
  for (const auto& backend : all_backends()) {
    const CacheSpec spec{1, 2, 8, 4, 4, 2, DType::i8, DType::i8};
    const auto storage = backend->make_storage(spec);
    CHECK(spec.bytes() == 2 * 16 * (8 + 4));
    CHECK(storage->bytes() == 2 * (256 + 256));  // 128 bytes of rows and 64 of scales, both aligned to 256
    const Tensor rows = random_tensor({4, 2, 8}, 9, 0);
    const int64_t first[] = {0, 1, 2, 3}, second[] = {4, 5, 6, 7};
    backend->write_rows(*storage, 0, RowKind::v, first, rows.view());
    backend->write_rows(*storage, 0, RowKind::k, first, rows.view());
    const BlockCopy copy{0, 1};
    backend->copy_blocks(*storage, {&copy, 1});
    for (const RowKind kind : {RowKind::k, RowKind::v}) {
      Tensor from = Tensor::host(DType::f32, {4, 2, 8}), to = from.clone();
      backend->read_rows(*storage, 0, kind, first, from.view());
      backend->read_rows(*storage, 0, kind, second, to.view());
      CHECK(std::equal(from.data<float>(), from.data<float>() + from.size(), to.data<float>()));
    }
  }
}

TEST_CASE("the judge rounds a double once, straight to the stored type") {
  NaiveBackend<double> judge;
  const auto storage = judge.make_storage(CacheSpec::contiguous(1, 1, 2, 1, 1, DType::f16));
  double above_tie[] = {1 + 0x1p-11 + 0x1p-40, 0};
  const int64_t slot = 0;
  judge.write_rows(*storage, 0, RowKind::k, {&slot, 1}, ConstTensorView(above_tie, {1, 1, 2}));
  CHECK(storage->rows(0, RowKind::k).data<Half>()[0].bits == 0x3C01);
}
