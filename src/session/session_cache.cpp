#include "session/session_cache.h"

#include <algorithm>

#include "core/error.h"

namespace lastrow {

bool forgets_rows(const CacheOptions& options) {
  return options.kind == "window" || options.kind == "budget";
}

bool limits_steps(const CacheOptions& options) {
  return forgets_rows(options) || has_channel_scales(options.dtype_k);
}

bool uses_new_positions(const CacheOptions& options) { return options.positions == Positions::renumbered; }

void require_new_positions(const CacheOptions& options, const ModelShape& shape) {
  if (options.windowed_every > 0)
    throw UsageError(
        "only 1 of every {} layers of {} has a window, and positions=new needs one for every layer: choose "
        "it, window:w=W,positions=new",
        shape.window_period, shape.name);
  if (shape.learned_positions)
    throw UsageError(
        "{} adds a learned embedding of the position to each token, so a cache cannot use new positions: use "
        "positions=kept",
        shape.name);
  if (const int64_t n = int64_t{options.window} + options.sinks; n > shape.max_seq_len)
    throw UsageError(
        "positions=new gives {} keys the positions 0 to {}, but the context of {} has only {} positions: "
        "choose a smaller window, so that window + sinks is at most {}",
        n, n - 1, shape.name, shape.max_seq_len, shape.max_seq_len);
}

CacheOptions completed(CacheOptions options, const ModelConfig& config) {
  if (options.kind == "window" && options.window == 0) {
    if (config.window == 0)
      throw UsageError("{} has no window of its own: choose one, window:w=W", config.name);
    options.window = config.window;
    if (config.window_period > 1 && config.n_layers > 1) options.windowed_every = config.window_period;
  }
  if (options.kind == "budget" && config.window > 0)
    throw UsageError(
        "{} has layers with a window of {}, which a budget cannot keep to, because the rows that it holds "
        "have gaps: use a contiguous, paged or window cache",
        config.name, config.window);
  if (uses_new_positions(options)) require_new_positions(options, shape_of(config));
  require_window(config, options.window, options.sinks);
  return options;
}

int32_t longest_text(const CacheOptions& options, int32_t max_seq_len, const ModelConfig& config) {
  if (max_seq_len == 0) return config.max_seq_len;
  if (max_seq_len < 0 || (max_seq_len > config.max_seq_len && !uses_new_positions(options)))
    throw CapacityError(
        "max_seq_len {} is outside the context of {}: choose 1 to {}, or 0 for all of it; only a cache with "
        "positions=new takes a longer text",
        max_seq_len, config.name, config.max_seq_len);
  return max_seq_len;
}

const char* limit_of_text(const CacheOptions& options) {
  return uses_new_positions(options) ? "max_seq_len" : "the context";
}

int32_t longest_chunk(const CacheOptions& options, int32_t chunk, int32_t longest_text) {
  if (uses_new_positions(options)) {
    if (chunk > 1)
      throw UsageError(
          "chunks of {} tokens, but a cache with positions=new takes one token in a step: leave out the "
          "chunk, or choose positions=kept",
          chunk);
    return 1;
  }
  if (!limits_steps(options) || chunk != 0) return chunk;
  if (!forgets_rows(options)) return std::min(options.block_len, longest_text);
  return std::min(options.kind == "budget" ? options.budget : options.window, longest_text);
}

int32_t chunk_of_prompts(const CacheOptions& options, int32_t longest_text) {
  if (uses_new_positions(options)) return 1;
  return has_channel_scales(options.dtype_k) ? std::min(options.block_len, longest_text) : 0;
}

int32_t longest_forward(const CacheOptions& options, int32_t longest_text) {
  return uses_new_positions(options) ? 1 : longest_text;
}

CacheOptions scratch_of(const CacheOptions& options) {
  if (uses_new_positions(options)) {
    CacheOptions scratch = options;
    scratch.dtype_k = scratch.dtype_v = DType::f32;
    return scratch;
  }
  if (options.windowed_every > 0) return {};  // the window is the model's own mask
  return {.window = options.window, .sinks = options.window > 0 ? options.sinks : 0};
}

void require_can_be_saved(const CacheOptions& options) {
  if (options.window > 0 || forgets_rows(options))
    throw UsageError(
        "rows cannot be saved from a cache with a window or a budget, nor loaded into one: they depend on "
        "what earlier tokens saw, and some are forgotten; use a contiguous or paged cache without a window");
  if (has_channel_scales(options.dtype_k))
    throw UsageError(
        "rows cannot be saved from a cache with K as int8-channel, nor loaded into one: the last ones are in "
        "f32, and the others share scales with their block; use int8");
}

}  // namespace lastrow
