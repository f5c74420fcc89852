// Counter-based random numbers: number i of a stream depends only on (seed, stream, i).
//
//   Random r(seed, stream);
//   r.uniform()   r.normal()   r.below(n)
//   r.seek(i);                               continues at word i of the stream
//
// Two streams never overlap and share no state. An object keeps only its current block of four words.
// Integers and uniforms are the same on every machine. Normals use the log and cos of libm, which may differ.
// Source: Philox4x32-10, Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "core/host_device.h"

namespace lastrow {

/// Ten Philox rounds of a 128-bit counter under a 64-bit key.
LASTROW_HD constexpr std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, uint32_t key0,
                                                    uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * counter[0], p1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(p0)};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

class Random {
 public:
  explicit constexpr Random(uint64_t seed, uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  constexpr void seek(uint64_t index) { index_ = index; }

  constexpr uint32_t next_u32() {
    const uint64_t block = index_ / 4;
    if (block != block_) {
      words_ = philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                       static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)},
                      static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32));
      block_ = block;
    }
    return words_[index_++ % 4];
  }
  /// In [0, 1), with 53 bits: the top 27 bits of one word, then the top 26 bits of the next.
  constexpr double uniform() {
    const uint64_t high = next_u32() >> 5, low = next_u32() >> 6;
    return static_cast<double>((high << 26) | low) * 0x1p-53;
  }
  /// In [0, n), n > 0; the bias is below n / 2^53.
  constexpr int64_t below(int64_t n) { return static_cast<int64_t>(uniform() * static_cast<double>(n)); }
  /// Mean 0, variance 1 (Box–Muller). Uses two uniforms for each number.
  double normal() {
    const double u = 1.0 - uniform(), v = uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v);
  }

 private:
  static constexpr uint64_t kNoBlock = ~uint64_t{0};  // beyond the last one, 2^62 − 1

  uint64_t seed_, stream_, index_ = 0;
  uint64_t block_ = kNoBlock;  // the block that words_ holds
  std::array<uint32_t, 4> words_ = {};
};

}  // namespace lastrow
