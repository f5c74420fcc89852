// Computes the size of a K/V cache from the sizes of a model. `lastrow memory` uses it.
//
//   const CacheFormat& f16 = cache_format("f16");
//   CacheMemory m = cache_memory(find_preset("llama-2-7b"), 2048, 1, f16);
//   m.gib                                  1.0
//   crossing_context(shape, batch, f16)    the shortest context whose cache is larger than the weights
//   PagedMemory p = paged_memory(shape, 2000, 4, f16, 16);     the same in blocks of 16 rows
//
// The formula:
//
//   bytes = Σ_layers n_kv_heads · min(context, window) · batch · (bytes of a K row + bytes of a V row)
//
// A row is the K or the V of one token in one K/V head: head_dim elements, and scales if the format has them.
// K and V may have different formats: cache_formats_of("k=int8,v=fp8").
// A layer without a window counts the whole context.
// The formula leaves out: partly used blocks (see paged_memory), block tables, prefixes that sequences share,
// latent caches, and layers that share a cache.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cache/make_cache.h"
#include "cost/cache_formats.h"
#include "cost/model_shape.h"

namespace lastrow {

struct CacheMemory {
  int64_t bytes = 0;
  int64_t bytes_per_token = 0;   // what one more token of one sequence adds; a full window adds nothing
  int64_t n_growing_layers = 0;  // the layers that a token adds to
  int64_t weights_bytes = 0;     // in the dtype of the release
  double gib = 0;                // bytes / 2^30
  double gb = 0;                 // bytes / 10^9
  std::string formula;           // with its numbers: "2 · 32 layers · … = 1,073,741,824 bytes = …"
};

constexpr int64_t kMaxContext = (int64_t{1} << 31) - 1;
constexpr int64_t kMaxBatch = int64_t{1} << 20;

/// The cache of `batch` sequences with `context` tokens each. The context may exceed the model's max_seq_len.
/// Throws UsageError for a format whose scales belong to channels of a block, because it needs paged_memory.
/// Throws ShapeError unless 1 ≤ context ≤ kMaxContext, 1 ≤ batch ≤ kMaxBatch and bytes < 2^63.
CacheMemory cache_memory(const ModelShape& shape, int64_t context, int64_t batch,
                         const CacheFormats& formats);

/// Only the bytes of that cache. Uses no heap.
int64_t cache_bytes(const ModelShape& shape, int64_t context, int64_t batch, const CacheFormats& formats);

/// A cache whose rows are in blocks of a pool. Every layer holds every row, also rows that its window no longer
/// sees, because the layers share the block tables.
struct PagedMemory {
  int64_t blocks_per_seq = 0;  // ⌈context / block_len⌉
  int64_t n_blocks = 0;        // of the pool
  int64_t block_bytes = 0;     // K, V and scales of one block in all layers
  int64_t n_open_blocks = 0;   // blocks of K rows in f32, if K has scales for channels (cache/sealing.h)
  int64_t open_bytes = 0;      // of these, in all layers
  int64_t bytes = 0;           // n_blocks · block_bytes + open_bytes: what is allocated
  int64_t seqs_that_fit = 0;   // sequences of this context
  int64_t waste_rows = 0;      // slots in the last block of a sequence that hold no row
  // Rows of one more token in all layers, with its share of the scales of a block, rounded up. Whole blocks are
  // allocated for them.
  int64_t bytes_per_token = 0;
  std::string formula;  // with its numbers
};

/// The pool for `batch` sequences of `context` tokens, or a pool of n_blocks if that is not 0. If K has scales for
/// channels, steps feed at most one block of a sequence, as in `lastrow generate`. Throws ShapeError as cache_memory
/// does, for a block_len outside 1 … context, and for a pool that cannot hold one sequence.
PagedMemory paged_memory(const ModelShape& shape, int64_t context, int64_t batch, const CacheFormats& formats,
                         int64_t block_len, int64_t n_blocks = 0);

/// A cache that forgets rows. One with a window has whole blocks for the sinks and a ring of blocks. One with a
/// budget has slots for the budget and for the longest step, which are counted as a ring of blocks of one row.
/// All layers have the same.
struct WindowMemory {
  int64_t sink_blocks = 0, ring_blocks = 0;  // of a sequence
  int64_t n_blocks = 0;                      // of all sequences
  int64_t held_rows = 0;                     // the most rows of a sequence that are stored at once
  int64_t block_bytes = 0;                   // K and V of one block in all layers
  int64_t bytes = 0;                         // n_blocks · block_bytes: what is allocated, whatever the text
  int64_t bytes_per_token = 0;               // rows of one more token in all layers, until the window is full
  std::string formula;                       // with its numbers
};

/// For steps that feed at most longest_step tokens of a sequence. Throws ShapeError as cache_memory and
/// cache_spec (cache/make_cache.h) do.
WindowMemory window_memory(const ModelShape& shape, int64_t context, int64_t batch,
                           const CacheFormats& formats, const CacheOptions& options, int64_t longest_step);

/// The cache of a model whose layers alternate: a ring in the layers with a window, and blocks that keep every row
/// in the others (cache/alternating_cache.h).
struct AlternatingMemory {
  WindowMemory windowed;
  PagedMemory full;
  int64_t n_full_layers = 0;

  int64_t bytes() const { return windowed.bytes + full.bytes; }
};

/// `options`: a window cache with windowed_every. Throws as window_memory does.
AlternatingMemory alternating_memory(const ModelShape& shape, int64_t context, int64_t batch,
                                     const CacheFormats& formats, const CacheOptions& options,
                                     int64_t longest_step);

/// The tokens of a prompt that `lastrow generate` feeds at once to a cache that forgets rows.
int64_t prompt_chunk(const CacheOptions& options, int64_t context);
/// The shortest context at which a cache that forgets rows, with prompts in such chunks, is larger than the weights.
/// Empty if there is none up to kMaxContext.
std::optional<int64_t> forgetting_crossing_context(const ModelShape& shape, int64_t batch,
                                                   const CacheFormats& formats, const CacheOptions& options);

/// The shortest context at which a pool for `batch` sequences, counted in whole blocks, is larger than the weights.
/// There always is one, because blocks also keep the rows that a window no longer sees.
int64_t paged_crossing_context(const ModelShape& shape, int64_t batch, const CacheFormats& formats,
                               int64_t block_len);

/// The shortest context at which the cache of `batch` sequences is larger than the weights. Empty if sliding
/// windows keep the cache smaller than the weights at any context.
/// The result may exceed the model's max_seq_len.
std::optional<int64_t> crossing_context(const ModelShape& shape, int64_t batch, const CacheFormats& formats);

/// The smallest batch of sequences with `context` tokens whose cache is larger than the weights.
int64_t crossing_batch(const ModelShape& shape, int64_t context, const CacheFormats& formats);

/// 1234567 → "1,234,567"
std::string with_commas(int64_t n);
/// 1073741824 → "1.00 GiB (1.07 GB)". Uses MiB below a tenth of a GiB, and KiB below a MiB.
std::string gib_and_gb(int64_t bytes);

}  // namespace lastrow
