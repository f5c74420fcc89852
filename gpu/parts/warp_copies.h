// Asynchronous copies of sixteen keys of a tile for each warp: rows of K and V, from pages to shared memory.
//
//   WarpCopies<KV, kWidth, kTileKeys> copies(o, sequence, g, keys, tile);   zeros for keys outside `keys`
//   copies.request_k(o, s_k, first_row);           begins to copy 16 rows of K to rows first_row, … of s_k
//   copies.request_v(o, s_v, first_row);           the same with V of the same keys
//   copies.request_scales(o, s_scales, first_row); int8: the scales of both, to s_scales [row, 2]
//   copies.close_group();                          the copies requested since the last group are one group
//   copies.wait<n>();                              waits until all but this lane's last n groups have arrived
//
// For each key two lanes know where it lies, and when the warp copies, a shuffle tells all lanes. These two
// lanes read the block table one tile ahead. Rows are kWidth wide in shared memory, with zeros past head_dim.
// Their 16-byte steps are swizzled, so copies and matrix loads have no bank conflicts.
#pragma once

#include "gpu/parts/attend_operands.h"
#include "gpu/target/async_copy.h"

namespace lastrow::LASTROW_TARGET {

constexpr int32_t kWarpKeys = 16;  // keys of a tile per warp

/// How rows of kWidth elements lie in shared memory: steps of 16 bytes change places. In each 128 bytes of a
/// row all eight steps do. In rows of 64 bytes, of which two share the banks, all four do.
template <int32_t kWidth, typename T>
struct Swizzle {
  static constexpr uint32_t kElems = 16 / sizeof(T);  // per step
  static constexpr uint32_t kExchanged = kWidth / kElems < 8 ? kWidth / kElems : 8;
  static_assert(kExchanged >= 4 && kWidth % (kExchanged * kElems) == 0);
  LASTROW_HD static constexpr uint32_t key(uint32_t row) { return row / (8 / kExchanged) % kExchanged; }
};

/// The element where 16-byte step `step` of row `row` begins, in rows of kWidth elements. The same step of
/// eight neighbouring rows lies in different banks.
template <int32_t kWidth, typename T>
LASTROW_HD constexpr int32_t swizzled(uint32_t row, uint32_t step) {
  using S = Swizzle<kWidth, T>;
  const uint32_t exchanged = step % S::kExchanged ^ S::key(row);
  return static_cast<int32_t>(row * kWidth + (step / S::kExchanged * S::kExchanged + exchanged) * S::kElems);
}

/// The same for row first + row and step s + step. `first` is a multiple of 8, row and step are the lane's
/// own, and s and step have no bit in common. If only `first` and s change in a loop, all but one addition is
/// computed once.
template <int32_t kWidth, typename T>
LASTROW_HD constexpr int32_t swizzled(int32_t first, uint32_t s, uint32_t row, uint32_t step) {
  using S = Swizzle<kWidth, T>;
  const uint32_t own = step ^ S::key(row);
  return static_cast<int32_t>(row * kWidth + (own ^ s % S::kExchanged) * S::kElems) +
         (first * kWidth + static_cast<int32_t>(s / S::kExchanged * S::kExchanged * S::kElems));
}

template <typename KV, int32_t kWidth, int32_t kTileKeys>
class WarpCopies {
 public:
  /// `tile` is the first key of the first tile.
  __device__ WarpCopies(const AttendOperands<KV>& o, int32_t sequence, int32_t g, KeyRange keys, int32_t tile)
      : keys_(keys),
        g_(g),
        s_(tile + static_cast<int32_t>(threadIdx.x) / kWarpSize * kWarpKeys + own_key()),
        sequence_(sequence),
        cursor_(o.layout.block_len, s_ + skipped_at(o, sequence, keys.begin), kTileKeys) {
    fetch(o);
  }

  /// Begins to copy K of the next tile. Reads the table for the tile after it.
  __device__ void request_k(const AttendOperands<KV>& o, const Shared<KV>& s_k, int32_t first_row) {
    const bool seen = block_ >= 0;
    row_ = seen ? static_cast<int32_t>(row_in(o.layout, block_, cursor_.place, g_)) : 0;
    seen_ = __ballot_sync(kAllLanes, seen);
    copy_rows(o, s_k, o.g_k, first_row);
    s_ += kTileKeys;
    cursor_.advance();
    fetch(o);
  }
  /// Begins to copy V of the tile whose K was requested last.
  __device__ void request_v(const AttendOperands<KV>& o, const Shared<KV>& s_v, int32_t first_row) {
    copy_rows(o, s_v, o.g_v, first_row);
  }
  /// int8: begins to copy the scales of these rows, of K and of V.
  __device__ void request_scales(const AttendOperands<KV>& o, const Shared<float>& s_scales,
                                 int32_t first_row) {
    if constexpr (scale_bytes(dtype_of<KV>) > 0) {
      const int32_t key = own_key(), of_v = lane() % kSteps / kTimes;
      copies_.template copy<1>(s_scales, 2 * (first_row + key) + of_v, of_v ? o.g_v_scales : o.g_k_scales,
                               row_, (seen_ >> lane() & 1u) != 0);
    }
  }
  __device__ void close_group() { copies_.close_group(); }

  template <int32_t n_left>
  __device__ void wait() {
    copies_.template wait<n_left>();
  }

 private:
  static constexpr int32_t kElems = 16 / sizeof(KV), kSteps = kWidth / kElems;  // per 16 bytes; per row
  static constexpr int32_t kAtOnce = kWarpSize / kSteps, kTimes = kWarpKeys / kAtOnce;  // rows
  /// A lane copies every kAtOnce-th key's row. Lane i of the kSteps lanes of a row looks up the i-th of these
  /// keys, so the source lane of each shuffle is a constant. Two lanes look up each key.
  __device__ static int32_t own_key() { return lane() % kTimes * kAtOnce + lane() / kSteps; }
  __device__ static int32_t lane() { return static_cast<int32_t>(threadIdx.x) % kWarpSize; }
  __device__ void copy_rows(const AttendOperands<KV>& o, const Shared<KV>& s_to,
                            const Global<const KV>& g_from, int32_t first_row) {
    const int32_t row = lane() / kSteps, step = lane() % kSteps;
    const bool in_row = kElems * step < o.head_dim;
    const uint32_t seen = in_row ? seen_ >> row * kSteps : 0;
    LASTROW_UNROLL
    for (int32_t i = 0; i < kTimes; ++i) {
      const int32_t first = i * kAtOnce;
      const int64_t from = int64_t{__shfl_sync(kAllLanes, row_, i, kSteps)} * o.head_dim + kElems * step;
      const int32_t to = swizzled<kWidth, KV>(first_row + first, 0, row,
                                              static_cast<uint32_t>(step) ^ Swizzle<kWidth, KV>::key(first));
      copies_.template copy<kElems>(s_to, to, g_from, from, (seen >> i & 1u) != 0);
    }
  }
  __device__ void fetch(const AttendOperands<KV>& o) {
    block_ = -1;
    if (s_ >= keys_.begin && s_ < keys_.end)
      block_ = o.g_block_tables.load(int64_t{sequence_} * o.blocks_per_seq + cursor_.entry);
  }

  AsyncCopies copies_;
  KeyRange keys_;
  int32_t g_, s_, sequence_;  // s_: the lane's key in the tile that is requested next
  PageCursor cursor_;
  int32_t block_;  // of key s_; −1: not one of keys_
  // For the tile whose K was requested last. row_: the row of the lane's key, counted in rows, of which K/V
  // have fewer than 2^31; 0 if the key is not one of keys_. seen_: bit l says whether lane l's key is one of
  // keys_.
  int32_t row_ = 0;
  uint32_t seen_ = 0;
};

}  // namespace lastrow::LASTROW_TARGET
