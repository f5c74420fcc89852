// Builds the list of caches.
#pragma once

#include <string>

#include "viewer/view_model/describe/setup.h"
#include "viewer/view_model/state/cache_menu.h"

namespace lastrow::view {

/// The sizes of the caches that forget rows: the window or the budget, and the sinks.
struct CacheSizeChoice {
  int rows = 8, sinks = 2;
};

/// "contiguous", "2 sinks + window 4", "2 sinks + window 4, new", "budget 4, heavy": for the button.
std::string cache_label(const CacheOptions& cache);

/// `cache` is the one that is shown. setup may be null: then nothing can be checked. Without all: the chosen one only.
CacheMenu build_cache_menu(const Setup* setup, const CacheOptions& cache, CacheSizeChoice sizes, bool all);

/// Why the model cannot have this cache; "" if it can.
std::string why_not(const Setup& setup, const CacheOptions& cache);

/// The same kind of cache with these sizes. One that keeps every row stays as it is.
CacheOptions with_sizes(CacheOptions cache, CacheSizeChoice sizes);
/// The sizes that the cache has, and the others from `sizes`.
CacheSizeChoice sizes_of(const CacheOptions& cache, CacheSizeChoice sizes);

}  // namespace lastrow::view
