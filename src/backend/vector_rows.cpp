#include "backend/vector_rows.h"

#include "backend/vector_decode.h"
#include "core/error.h"

#if LASTROW_VECTOR_ROWS
#include <algorithm>
#include <cstring>
#include <type_traits>

HWY_BEFORE_NAMESPACE();
namespace lastrow::vector_rows {
namespace HWY_NAMESPACE {
namespace {

// Sums that are kept in registers at once: kRows × kHeads of them in dot, and kHeads × kVectors in add. Each
// step then needs 4 + kHeads loads for 4 · kHeads multiply-adds. A processor with 32 registers has room for 16
// sums, one with 16 registers for 8.
constexpr int kRows = 4, kVectors = 4;
constexpr int kHeads = HWY_TARGET >= HWY_AVX2 && HWY_TARGET <= HWY_SSSE3 ? 2 : 4;

/// The last elements of a row, fewer than a vector; the other lanes are 0. Reads no byte behind the row.
Vec load_rest(const float* from, int64_t n) {
  HWY_ALIGN float padded[kLanes] = {};
  std::memcpy(padded, from, static_cast<size_t>(n) * sizeof(float));
  return hn::Load(kFloats, padded);
}

/// The sum of the blocks of four lanes of x.
template <typename D>
HWY_INLINE hn::Vec<hn::FixedTag<float, 4>> sum_of_blocks(D d, hn::Vec<D> x) {
  if constexpr (hn::MaxLanes(d) == 4) {
    return x;
  } else {
    const hn::Half<D> half;
    return sum_of_blocks(half, hn::Add(hn::LowerHalf(half, x), hn::UpperHalf(half, x)));
  }
}

/// The sums of the lanes of a, b, c and d, in this order.
HWY_INLINE hn::Vec<hn::FixedTag<float, 4>> sums_of_lanes(Vec a, Vec b, Vec c, Vec d) {
  const hn::RebindToUnsigned<hn::RepartitionToWide<Floats>> pairs;
  // In each block of four lanes: (a0 + a2, b0 + b2, a1 + a3, b1 + b3), and the same of c and d.
  const Vec ab = hn::Add(hn::InterleaveLower(kFloats, a, b), hn::InterleaveUpper(kFloats, a, b));
  const Vec cd = hn::Add(hn::InterleaveLower(kFloats, c, d), hn::InterleaveUpper(kFloats, c, d));
  const auto ab2 = hn::BitCast(pairs, ab), cd2 = hn::BitCast(pairs, cd);
  const Vec sums = hn::Add(hn::BitCast(kFloats, hn::InterleaveLower(pairs, ab2, cd2)),
                           hn::BitCast(kFloats, hn::InterleaveUpper(pairs, ab2, cd2)));
  return sum_of_blocks(kFloats, sums);
}

/// kBlock rows as floats, or what is left of them: in place if they are stored so, else decoded. Knows which rows
/// are needed after them: the next ones, or behind the last block the first ones of `next`.
class Block {
 public:
  Block(const Rows& rows, int32_t begin, const Rows& next) : n_(std::min(kBlock, rows.n - begin)) {
    if (rows.dtype == DType::f32) {
      for (int32_t i = 0; i < n_; ++i) rows_[i] = reinterpret_cast<const float*>(rows.stored[begin + i]);
    } else {
      decode_rows(rows, begin, n_, floats_);
      for (int32_t i = 0; i < n_; ++i) rows_[i] = floats_ + i * rows.head_dim;
    }
    for (int32_t i = n_; i < kBlock; ++i) rows_[i] = rows_[n_ - 1];  // dot takes four rows at a time

    const bool is_last = begin + kBlock >= rows.n;
    const Rows& after = is_last && next.n > 0 ? next : rows;
    const int32_t first = is_last ? 0 : begin + kBlock;
    for (int32_t i = 0; i < kBlock; ++i) after_[i] = after.stored[std::min(first + i, after.n - 1)];
    vector_bytes_ = after.row_bytes * kLanes / after.head_dim;
  }
  int32_t n() const { return n_; }
  const float* row(int32_t i) const { return rows_[i]; }

  /// Prefetches the vector that begins at element e of row i of the rows after these. One head or two have done their
  /// sums so soon that the row should be in the first-level cache by then. For more heads the second level was measured
  /// to be faster, because the first one can wait for fewer rows at once.
  template <int N>
  HWY_INLINE void prefetch_for_heads(int32_t i, int64_t e) const {
    __builtin_prefetch(after_[i] + e / kLanes * vector_bytes_, 0, N <= 2 ? 3 : 2);
  }

 private:
  int32_t n_;
  int64_t vector_bytes_;  // that a vector of elements takes in the rows after these
  const float* rows_[kBlock];
  const std::byte* after_[kBlock];
  HWY_ALIGN float floats_[kBlock * kMostHeadDim];
};

/// Rows row … row + 3 of the block, for N heads.
template <int N>
HWY_INLINE void dot_four_rows(const Block& block, int32_t row, const float* q, int64_t head_dim,
                              float* scores, int64_t stride) {
  Vec sums[N][kRows];
  HWY_UNROLL(4)
  for (int j = 0; j < N; ++j) HWY_UNROLL(4)
  for (int i = 0; i < kRows; ++i) sums[j][i] = hn::Zero(kFloats);
  const float *a = block.row(row), *b = block.row(row + 1), *c = block.row(row + 2), *d = block.row(row + 3);
  const auto step = [&](Vec xa, Vec xb, Vec xc, Vec xd, const auto& q_of) HWY_ATTR {
    HWY_UNROLL(4)
    for (int j = 0; j < N; ++j) {
      const Vec x = q_of(j);
      sums[j][0] = hn::MulAdd(xa, x, sums[j][0]);
      sums[j][1] = hn::MulAdd(xb, x, sums[j][1]);
      sums[j][2] = hn::MulAdd(xc, x, sums[j][2]);
      sums[j][3] = hn::MulAdd(xd, x, sums[j][3]);
    }
  };
  int64_t e = 0;
  for (; e + kLanes <= head_dim; e += kLanes) {
    HWY_UNROLL(4)
    for (int i = 0; i < kRows; ++i) block.prefetch_for_heads<N>(row + i, e);
    step(hn::LoadU(kFloats, a + e), hn::LoadU(kFloats, b + e), hn::LoadU(kFloats, c + e),
         hn::LoadU(kFloats, d + e), [&](int j) HWY_ATTR { return hn::LoadU(kFloats, q + j * head_dim + e); });
  }
  if (const int64_t n = head_dim - e; n > 0)
    step(load_rest(a + e, n), load_rest(b + e, n), load_rest(c + e, n), load_rest(d + e, n),
         [&](int j) HWY_ATTR { return load_rest(q + j * head_dim + e, n); });
  HWY_UNROLL(4)
  for (int j = 0; j < N; ++j)
    hn::StoreU(sums_of_lanes(sums[j][0], sums[j][1], sums[j][2], sums[j][3]), hn::FixedTag<float, 4>(),
               scores + j * stride);
}

/// Calls f(std::integral_constant<int, n>) with n heads at a time: kHeads, and at last what remains.
template <typename F>
HWY_INLINE void for_heads(int64_t n_heads, const F& f) {
  int64_t j = 0;
  for (; j + kHeads <= n_heads; j += kHeads) f(j, std::integral_constant<int, kHeads>());
  if constexpr (kHeads > 2) {
    if (n_heads - j == 3) return f(j, std::integral_constant<int, 3>());
    if (n_heads - j == 2) return f(j, std::integral_constant<int, 2>());
  }
  if (n_heads - j == 1) f(j, std::integral_constant<int, 1>());
}

void dot_rows(const Rows& rows, const float* q, int64_t n_heads, float* scores, int64_t stride,
              const Rows& next) {
  for (int32_t begin = 0; begin < rows.n; begin += kBlock) {
    const Block block(rows, begin, next);
    for (int32_t i = 0; i < block.n(); i += kRows)
      for_heads(n_heads, [&](int64_t j, auto heads) HWY_ATTR {
        dot_four_rows<heads>(block, i, q + j * rows.head_dim, rows.head_dim, scores + j * stride + begin + i,
                             stride);
      });
  }
}

/// Elements [e, e + N · kLanes) of add, for H heads.
template <int H, int N>
HWY_INLINE void add_elements(const Block& block, const float* weights, int64_t stride, const float* factors,
                             int64_t e, float* acc, int64_t acc_stride) {
  Vec sums[H][N];
  HWY_UNROLL(4)
  for (int j = 0; j < H; ++j) HWY_UNROLL(8)
  for (int k = 0; k < N; ++k) sums[j][k] = hn::Zero(kFloats);
  for (int32_t i = 0; i < block.n(); ++i) {
    const float* row = block.row(i) + e;
    Vec x[N];
    HWY_UNROLL(8)
    for (int k = 0; k < N; ++k) {
      block.prefetch_for_heads<H>(i, e + k * kLanes);
      x[k] = hn::LoadU(kFloats, row + k * kLanes);
    }
    HWY_UNROLL(4)
    for (int j = 0; j < H; ++j) {
      const Vec w = hn::Set(kFloats, weights[j * stride + i]);
      HWY_UNROLL(8)
      for (int k = 0; k < N; ++k) sums[j][k] = hn::MulAdd(w, x[k], sums[j][k]);
    }
  }
  HWY_UNROLL(4)
  for (int j = 0; j < H; ++j) {
    const Vec factor = hn::Set(kFloats, factors[j]);
    HWY_UNROLL(8)
    for (int k = 0; k < N; ++k) {
      float* to = acc + j * acc_stride + e + k * kLanes;
      hn::StoreU(hn::MulAdd(hn::LoadU(kFloats, to), factor, sums[j][k]), kFloats, to);
    }
  }
}

/// The last elements of add, fewer than a vector, from e on.
void add_rest(const Block& block, const float* weights, float factor, int64_t e, int64_t n_rest, float* acc) {
  Vec sum = hn::Zero(kFloats);
  for (int32_t i = 0; i < block.n(); ++i)
    sum = hn::MulAdd(hn::Set(kFloats, weights[i]), load_rest(block.row(i) + e, n_rest), sum);
  HWY_ALIGN float total[kLanes];
  hn::Store(hn::MulAdd(load_rest(acc + e, n_rest), hn::Set(kFloats, factor), sum), kFloats, total);
  std::memcpy(acc + e, total, static_cast<size_t>(n_rest) * sizeof(float));
}

void add_rows(const Rows& rows, const float* weights, int64_t stride, const float* factors, int64_t n_heads,
              float* acc, int64_t acc_stride, const Rows& next) {
  constexpr float kOnes[] = {1, 1, 1, 1};
  const int64_t head_dim = rows.head_dim;
  for (int32_t begin = 0; begin < rows.n; begin += kBlock) {
    const Block block(rows, begin, next);
    for_heads(n_heads, [&](int64_t j, auto heads) HWY_ATTR {
      // Fewer heads leave registers free: then more elements of a row at once.
      constexpr int kMany = heads * 2 <= kHeads ? 2 * kVectors : kVectors;
      const float* w = weights + j * stride + begin;
      const float* f = begin == 0 ? factors + j : kOnes;
      float* to = acc + j * acc_stride;
      int64_t e = 0;
      for (; e + kMany * kLanes <= head_dim; e += kMany * kLanes)
        add_elements<heads, kMany>(block, w, stride, f, e, to, acc_stride);
      for (; e + kLanes <= head_dim; e += kLanes)
        add_elements<heads, 1>(block, w, stride, f, e, to, acc_stride);
      if (e < head_dim)
        for (int64_t h = 0; h < heads; ++h)
          add_rest(block, w + h * stride, f[h], e, head_dim - e, to + h * acc_stride);
    });
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lastrow::vector_rows
HWY_AFTER_NAMESPACE();

namespace lastrow::vector_rows {

bool is_built() { return true; }
std::string description() {
  return fmt::format("{}.{}.{} for {}", HWY_MAJOR, HWY_MINOR, HWY_PATCH, hwy::TargetName(HWY_TARGET));
}

namespace {
void require_rows(const Rows& rows) {
  LASTROW_CHECK(rows.head_dim <= kMostHeadDim, "rows of {} elements, of at most {}", rows.head_dim,
                kMostHeadDim);
}
}  // namespace

void dot(const Rows& rows, const float* q, int64_t n_heads, float* scores, int64_t stride, const Rows& next) {
  require_rows(rows);
  LASTROW_CHECK(stride >= (rows.n + 3) / 4 * 4, "{} scores in a stride of {}", rows.n, stride);
  HWY_NAMESPACE::dot_rows(rows, q, n_heads, scores, stride, next);
}
void add(const Rows& rows, const float* weights, int64_t stride, const float* factors, int64_t n_heads,
         float* acc, int64_t acc_stride, const Rows& next) {
  require_rows(rows);
  HWY_NAMESPACE::add_rows(rows, weights, stride, factors, n_heads, acc, acc_stride, next);
}
void decode(const Rows& rows, float* floats) {
  require_rows(rows);
  HWY_NAMESPACE::decode_rows(rows, 0, rows.n, floats);
}

}  // namespace lastrow::vector_rows

#else  // no Highway

namespace lastrow::vector_rows {

namespace {
constexpr const char* kMissing = "this build has no vector_rows, because Highway is missing";
}

bool is_built() { return false; }
std::string description() { return {}; }
void dot(const Rows&, const float*, int64_t, float*, int64_t, const Rows&) {
  LASTROW_CHECK(false, "{}", kMissing);
}
void add(const Rows&, const float*, int64_t, const float*, int64_t, float*, int64_t, const Rows&) {
  LASTROW_CHECK(false, "{}", kMissing);
}
void decode(const Rows&, float*) { LASTROW_CHECK(false, "{}", kMissing); }

}  // namespace lastrow::vector_rows

#endif
