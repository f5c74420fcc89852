// The cache of a session, as its options and its model give it. DecodeSession and BatchSession have the same.
//
//   options.cache = completed(options.cache, config);            first; throws if the model cannot have it
//   const int32_t n = longest_text(options.cache, options.max_seq_len, config);
//   options.chunk = longest_chunk(options.cache, options.chunk, n);
//
// A cache that limits steps must know how many tokens of a sequence a step may feed (CacheSizes::longest_step),
// because it needs room for these rows beside those that it keeps.
//
// A text cannot be longer than the model's context, with one exception. If the cache uses new positions, no position
// reaches its window + sinks. `completed` requires that these fit in the context, so the text may be of any length.
#pragma once

#include <cstdint>

#include "cache/make_cache.h"
#include "cost/model_shape.h"
#include "model/config.h"

namespace lastrow {

/// Whether a cache with these options forgets rows of a text that goes on.
bool forgets_rows(const CacheOptions& options);
/// Whether a step may feed only a limited number of tokens of a sequence (SessionOptions::chunk). True if the cache
/// forgets rows or has open blocks (cache/sealing.h).
bool limits_steps(const CacheOptions& options);
/// Whether a cache with these options uses new positions. Then a step feeds one token of a sequence.
bool uses_new_positions(const CacheOptions& options);

/// Throws UsageError if the model cannot have a cache with these options, which use new positions: because only some of
/// its layers have a ring, it has learned positions, or window + sinks exceed its context.
void require_new_positions(const CacheOptions& options, const ModelShape& shape);

/// The options with the model's window where a window cache has no number. If only some layers of the model have
/// a window, only these get a ring (CacheOptions::windowed_every). Throws UsageError if the model has
/// no window, if its layers cannot have the window and the sinks of the cache, or if the cache uses new
/// positions and the model cannot have them, or has a context shorter than window + sinks.
CacheOptions completed(CacheOptions options, const ModelConfig& config);

/// The tokens that a text may have. `max_seq_len` 0: the model's context. Throws CapacityError if it is negative, or
/// larger than the context on a cache that does not use new positions.
int32_t longest_text(const CacheOptions& options, int32_t max_seq_len, const ModelConfig& config);

/// What ends a text, for messages: "the context", or "max_seq_len" if the cache uses new positions.
const char* limit_of_text(const CacheOptions& options);

/// The most tokens of a sequence that a step feeds; 0: any number. If the cache limits steps and the caller sets no
/// chunk, it is the window, the budget, or a block. A cache that forgets rows then has about twice as many slots as it
/// keeps rows. If the cache uses new positions, it is 1. Throws UsageError if the caller wants more.
int32_t longest_chunk(const CacheOptions& options, int32_t chunk, int32_t longest_text);

/// The most tokens of one prompt that a step of a batch feeds; 0: any number. 1 with new positions, and a block if K has
/// scales for channels, but never more than a text has.
int32_t chunk_of_prompts(const CacheOptions& options, int32_t longest_text);

/// The most tokens that a forward feeds, in both modes: the whole text, or 1 if the cache uses new positions. So the
/// activations of a text of any length need the room of one token.
int32_t longest_forward(const CacheOptions& options, int32_t longest_text);

/// The scratch of Mode::recompute: contiguous f32, under the same mask, so that both modes compute the same. If the
/// cache uses new positions, a cache of the same kind in f32: each query needs keys at other positions, so the
/// whole prefix is fed one token at a time.
CacheOptions scratch_of(const CacheOptions& options);

/// Throws UsageError if this kind of session cache cannot be saved to a file, or begin behind saved rows.
void require_can_be_saved(const CacheOptions& options);

}  // namespace lastrow
