#include "viewer/view_model/describe/cache_menu.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "session/session_cache.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

/// What the list says beside the name.
std::string description(const CacheOptions& c) {
  const std::string rows = plural(c.kind == "budget" ? c.budget : c.window, "row");
  if (c.kind == "window" && c.window == 0) return "a ring in each layer that has a window";
  if (c.kind == "paged") return fmt::format("keeps every row, in blocks of {}", c.block_len);
  if (uses_new_positions(c))
    return "new positions: RoPE goes by the index of a row, not by its number in the text";
  if (c.kind == "window")
    return c.sinks == 0 ? fmt::format("a ring: a query sees the last {}", rows)
                        : fmt::format("a ring: a query sees the first {} and the last {}", c.sinks, rows);
  if (c.kind != "budget")
    return c.window == 0 ? "keeps every row" : fmt::format("keeps every row; a query sees the last {}", rows);
  switch (c.eviction) {
    case Eviction::oldest:
      return fmt::format("keeps {}: the newest", rows);
    case Eviction::sinks:
      return fmt::format("keeps {}: the first {} and the newest", rows, c.sinks);
    case Eviction::heavy:
      return fmt::format("keeps {}: the newer half, and those with the most attention", rows);
    case Eviction::random:
      return fmt::format("keeps {}: evicts at random, to compare with", rows);
  }
  return "";
}

}  // namespace

std::string why_not(const Setup& setup, const CacheOptions& cache) {
  try {
    const ModelConfig& c = setup.config();
    const CacheOptions complete = completed(cache, c);
    cache_spec(complete, {.n_layers = c.n_layers,
                          .n_kv_heads = c.n_kv_heads,
                          .head_dim = c.head_dim,
                          .max_seq_len = setup.max_seq_len,
                          .longest_step = uses_new_positions(cache) ? 1 : setup.prompt_len});
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string cache_label(const CacheOptions& c) {
  if (c.kind == "paged") return fmt::format("paged, blocks of {}", c.block_len);
  if (c.kind == "budget")
    return c.eviction == Eviction::sinks
               ? fmt::format("budget {}, {} sinks", c.budget, c.sinks)
               : fmt::format("budget {}, {}", c.budget, lastrow::name_of(c.eviction));
  const std::string window = c.window == 0 ? "the model's window" : fmt::format("window {}", c.window);
  if (c.kind == "window")
    return fmt::format("{}{}{}", c.sinks == 0 ? "" : plural(c.sinks, "sink") + " + ", window,
                       uses_new_positions(c) ? ", new" : "");
  return c.window == 0 ? c.kind : fmt::format("contiguous, {}", window);
}

CacheSizeChoice sizes_of(const CacheOptions& cache, CacheSizeChoice sizes) {
  if (cache.kind == "window" && cache.window > 0) sizes.rows = cache.window;
  if (cache.kind == "budget") sizes.rows = cache.budget;
  if (cache.sinks > 0) sizes.sinks = cache.sinks;
  return sizes;
}

CacheOptions with_sizes(CacheOptions cache, CacheSizeChoice sizes) {
  if (cache.kind == "window" && cache.window > 0) cache.window = sizes.rows;
  if (cache.kind == "budget") cache.budget = sizes.rows;
  if (cache.sinks > 0) cache.sinks = sizes.sinks;
  return cache;
}

CacheMenu build_cache_menu(const Setup* setup, const CacheOptions& cache, CacheSizeChoice sizes, bool all) {
  CacheMenu menu;
  menu.rows = sizes.rows;
  menu.sinks = sizes.sinks;
  menu.rows_text = plural(sizes.rows, "row");
  menu.sinks_text = plural(sizes.sinks, "sink");
  const auto add = [&](CacheOptions choice) {
    choice.dtype_k = cache.dtype_k;
    choice.dtype_v = cache.dtype_v;
    const std::string reason = setup == nullptr ? "" : why_not(*setup, choice);
    menu.choices.push_back({lastrow::name_of(choice),
                            fmt::format("{} · {}", cache_label(choice), description(choice)), reason.empty(),
                            reason, choice == cache, cache_label(choice)});
  };
  if (all) {
    // Blocks of one row, so that the ring is as short as it can be, and wraps soon.
    const CacheOptions ring{.kind = "window", .block_len = 1, .window = sizes.rows};
    CacheOptions ring_with_sinks = ring;
    ring_with_sinks.sinks = sizes.sinks;
    CacheOptions new_positions = ring_with_sinks;
    new_positions.positions = Positions::renumbered;
    const CacheOptions budget{.kind = "budget", .budget = sizes.rows};
    const auto evicts = [&](Eviction eviction) {
      CacheOptions options = budget;
      options.eviction = eviction;
      if (eviction == Eviction::sinks) options.sinks = sizes.sinks;
      return options;
    };
    if (setup != nullptr && setup->config().window > 0) add({.kind = "window", .block_len = 1});
    for (const CacheOptions& choice :
         {CacheOptions{}, CacheOptions{.kind = "paged", .block_len = 4}, ring, ring_with_sinks, new_positions,
          evicts(Eviction::oldest), evicts(Eviction::sinks), evicts(Eviction::heavy),
          evicts(Eviction::random)})
      add(choice);
  }
  if (std::none_of(menu.choices.begin(), menu.choices.end(), [](const Choice& c) { return c.selected; }))
    add(cache);
  return menu;
}

}  // namespace lastrow::view
