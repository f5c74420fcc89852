// How large a K/V cache gets, from the sizes of a model: the calculator behind `lastrow memory`.
//
//   const CacheFormat& f16 = cache_format("f16");
//   CacheMemory m = cache_memory(find_preset("llama-2-7b"), 2048, 1, f16);     m.gib == 1.0
//   crossing_context(shape, batch, f16)       from how long a context on the cache outweighs the weights
//
//   bytes = Σ_layers 2 · n_kv_heads · min(context, window) · batch · bytes of a row
//
// A row is the K, or the V, of one token in one K/V head: head_dim elements, and a scale where the format has
// one. Layers without a window count the whole context.
// What the formula leaves out: blocks that are only partly used, block tables, prefixes that sequences share,
// latent caches, layers that share their cache.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cost/model_shape.h"

namespace lastrow {

/// Scales of the integer formats: symmetric, one for each token and K/V head, for K and for V apart; no zero
/// point. f32 … fp8 (e4m3) have none. The backends store all but int4, and so: cache/kv_codec.h.
struct CacheFormat {
  std::string_view name;
  int64_t elem_bits = 0;
  int64_t scale_bytes = 0;  // a row: f32

  /// Elements packed to whole bytes, and the scale.
  constexpr int64_t row_bytes(int64_t head_dim) const { return (head_dim * elem_bits + 7) / 8 + scale_bytes; }
};

/// f32 f16 bf16 int8 fp8 int4.
std::span<const CacheFormat> cache_formats();
/// Throws UsageError naming the known ones.
const CacheFormat& cache_format(std::string_view name);

struct CacheMemory {
  int64_t bytes = 0;
  int64_t bytes_per_token = 0;   // what one more token of one sequence adds: in a full window nothing
  int64_t n_growing_layers = 0;  // the layers that it adds to
  int64_t weights_bytes = 0;     // in the dtype of the release
  double gib = 0;                // bytes / 2^30
  double gb = 0;                 // bytes / 10^9
  std::string formula;           // with the numbers in: "2 · 32 layers · … = 1,073,741,824 bytes = …"
};

constexpr int64_t kMaxContext = (int64_t{1} << 31) - 1;
constexpr int64_t kMaxBatch = int64_t{1} << 20;

/// The cache of `batch` sequences of `context` tokens each. Contexts beyond the model's max_seq_len are
/// computed too. Throws ShapeError unless 1 ≤ context ≤ kMaxContext, 1 ≤ batch ≤ kMaxBatch and bytes < 2^63.
CacheMemory cache_memory(const ModelShape& shape, int64_t context, int64_t batch, const CacheFormat& format);

/// Only its bytes; no heap.
int64_t cache_bytes(const ModelShape& shape, int64_t context, int64_t batch, const CacheFormat& format);

/// The shortest context at which the cache of `batch` sequences exceeds the weights; none where sliding
/// windows bound the cache below them. It may lie beyond what the model was trained for (max_seq_len).
std::optional<int64_t> crossing_context(const ModelShape& shape, int64_t batch, const CacheFormat& format);

/// The smallest batch at which sequences of `context` tokens exceed the weights.
int64_t crossing_batch(const ModelShape& shape, int64_t context, const CacheFormat& format);

/// 1234567 → "1,234,567"
std::string with_commas(int64_t n);
/// 1073741824 → "1.00 GiB (1.07 GB)"; MiB below a tenth of a GiB, KiB below a MiB.
std::string gib_and_gb(int64_t bytes);

}  // namespace lastrow
