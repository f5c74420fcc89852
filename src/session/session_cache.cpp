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
  if (uses_new_positions(options) && options.windowed_every > 0)
    throw UsageError(
        "only 1 of every {} layers of {} has a window, and positions=new needs one for every layer: choose "
        "it, window:w=W,positions=new",
        config.window_period, config.name);
  if (uses_new_positions(options) && config.learns_positions())
    throw UsageError(
        "{} adds a learned embedding of the position to each token, so a cache cannot use new positions: "
        "use positions=kept",
        config.name);
  require_window(config, options.window, options.sinks);
  return options;
}

int32_t longest_chunk(const CacheOptions& options, int32_t chunk, int32_t context) {
  if (uses_new_positions(options)) {
    if (chunk > 1)
      throw UsageError(
          "chunks of {} tokens, but a cache with positions=new takes one token in a step: leave out the "
          "chunk, or choose positions=kept",
          chunk);
    return 1;
  }
  if (!limits_steps(options) || chunk != 0) return chunk;
  if (!forgets_rows(options)) return std::min(options.block_len, context);
  return std::min(options.kind == "budget" ? options.budget : options.window, context);
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

void require_can_step_together(const CacheOptions& options) {
  if (uses_new_positions(options))
    throw UsageError(
        "a cache with positions=new takes one token of a text in a step, but texts that step together feed "
        "whole prompts: use positions=kept, or run each text by itself");
  if (has_channel_scales(options.dtype_k))
    throw UsageError(
        "texts that step together feed whole prompts, and K as int8-channel keeps the rows of a step in f32 "
        "until later "
        "steps seal them: use int8, or run each text by itself");
}

void require_can_be_saved(const CacheOptions& options) {
  if (options.window > 0 || forgets_rows(options))
    throw UsageError(
        "rows cannot be saved from a cache with a window or a budget, nor loaded into one: they depend on "
        "what earlier tokens saw, and some are forgotten; use a contiguous or paged cache without a window");
  if (has_channel_scales(options.dtype_k))
    throw UsageError(
        "rows cannot be saved from a cache with K as int8-channel, nor loaded into one: the last ones are in "
        "f32, and the "
        "others share scales with their block; use int8");
}

}  // namespace lastrow
