// Sixteen keys of a tile for each warp: K and V rows from their pages to shared memory, by asynchronous
// copies.
//
//   WarpCopies<KV, kWidth, kTileKeys> copies(o, sequence, g, keys, tile);   zeros for keys outside `keys`
//   copies.request(o, s_k, s_v, first_row);   16 rows begin to move to rows first_row, …: one group; and
//                                             asks the table for the tile after
//   copies.request(o, s_k, s_v, s_scales, first_row);   the same of int8: scales of the rows come along
//   copies.wait<n>();                         all but this lane's last n requests have landed
//
// Lane l knows where key l % 16 of the warp lies, and all lanes learn it by a shuffle when they copy; the
// block table is read a tile ahead, once a key. Rows are kWidth wide in shared memory, zeros past head_dim,
// and their 16-byte steps swizzled: neither copies nor matrix loads meet in a bank.
#pragma once

#include "gpu/kernels/async_copy.h"
#include "gpu/kernels/attend_operands.h"
#include "gpu/kernels/page_cursor.h"

namespace lastrow::LASTROW_TARGET {

constexpr int32_t kWarpKeys = 16;  // of a tile

/// How rows of kWidth elements of a type lie in shared memory: steps of 16 bytes change places, in a row's
/// 128 bytes all eight, in rows of 64 bytes, of which two share the banks, all four.
template <int32_t kWidth, typename T>
struct Swizzle {
  static constexpr uint32_t kElems = 16 / sizeof(T);  // of a step
  static constexpr uint32_t kExchanged = kWidth / kElems < 8 ? kWidth / kElems : 8;
  static_assert(kExchanged >= 4 && kWidth % (kExchanged * kElems) == 0);
  LASTROW_HD static constexpr uint32_t key(uint32_t row) { return row / (8 / kExchanged) % kExchanged; }
};

/// Element at which 16-byte step `step` of row `row` stands, of rows of kWidth elements: eight rows' equal
/// steps lie in different banks.
template <int32_t kWidth, typename T>
LASTROW_HD constexpr int32_t swizzled(uint32_t row, uint32_t step) {
  using S = Swizzle<kWidth, T>;
  const uint32_t exchanged = step % S::kExchanged ^ S::key(row);
  return static_cast<int32_t>(row * kWidth + (step / S::kExchanged * S::kExchanged + exchanged) * S::kElems);
}

/// The same of row first + row and step s + step, for first a multiple of 8, row and step the lane's own, s
/// and step without a common bit: where only `first` and s change, all but an addition is computed once.
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
        s_(tile + static_cast<int32_t>(threadIdx.x) / kWarpSize * kWarpKeys + lane() % kWarpKeys),
        sequence_(sequence),
        cursor_(o.layout.block_len, s_, kTileKeys) {
    fetch(o);
  }

  /// Of int8, and the scales of those rows with them: s_scales [row, 2], of K and of V.
  __device__ void request(const AttendOperands<KV>& o, const Shared<KV>& s_k, const Shared<KV>& s_v,
                          const Shared<float>& s_scales, int32_t first_row) {
    if constexpr (scale_bytes(dtype_of<KV>) > 0) {
      const int32_t key = lane() % kWarpKeys, of_v = lane() / kWarpKeys;
      const int64_t row = row_in(o.layout, block_, cursor_.place, g_);
      copies_.template copy<1>(s_scales, 2 * (first_row + key) + of_v, of_v ? o.g_v_scales : o.g_k_scales,
                               row, block_ >= 0);
    }
    request(o, s_k, s_v, first_row);
  }

  __device__ void request(const AttendOperands<KV>& o, const Shared<KV>& s_k, const Shared<KV>& s_v,
                          int32_t first_row) {
    constexpr int32_t kElems = 16 / sizeof(KV), kSteps = kWidth / kElems,  // of a row
        kAtOnce = kWarpSize / kSteps;                                      // rows
    const int32_t step = lane() % kSteps;
    const int64_t mine = block_ < 0 ? -1 : row_in(o.layout, block_, cursor_.place, g_) * o.head_dim;
    for (int32_t j = 0; j < kWarpKeys / kAtOnce; ++j) {
      const int32_t row = j * kAtOnce + lane() / kSteps;
      const int64_t from = __shfl_sync(kAllLanes, mine, row);
      const bool wanted = from >= 0 && kElems * step < o.head_dim;
      const int32_t to = swizzled<kWidth, KV>(first_row + row, step);
      copies_.template copy<kElems>(s_k, to, o.g_k, from + kElems * step, wanted);
      copies_.template copy<kElems>(s_v, to, o.g_v, from + kElems * step, wanted);
    }
    copies_.close_group();
    s_ += kTileKeys;
    cursor_.advance();
    fetch(o);
  }

  template <int32_t n_left>
  __device__ void wait() {
    copies_.template wait<n_left>();
  }

 private:
  __device__ static int32_t lane() { return static_cast<int32_t>(threadIdx.x) % kWarpSize; }
  __device__ void fetch(const AttendOperands<KV>& o) {
    block_ = -1;
    if (s_ >= keys_.begin && s_ < keys_.end)
      block_ = o.g_block_tables.load(int64_t{sequence_} * o.blocks_per_seq + cursor_.entry);
  }

  AsyncCopies copies_;
  KeyRange keys_;
  int32_t g_, s_, sequence_;  // s_: the lane's key of the tile to be requested next
  PageCursor cursor_;
  int32_t block_;  // of key s_; −1: not one of keys_
};

}  // namespace lastrow::LASTROW_TARGET
