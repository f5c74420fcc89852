// The options --cache and --kv-dtype, for every subcommand that has a K/V cache.
//
//   CacheFlags flags;
//   flags.add_to(subcommand);                   before parsing
//   const CacheOptions cache = flags.options(); after parsing
//
// Every program of lastrow spells both in the same way: cache_options in cache/make_cache.h, and
// kv_dtypes_from_name in cache/kv_codec.h.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cache/make_cache.h"

namespace lastrow::cli {

class CacheFlags {
 public:
  void add_to(CLI::App& subcommand);
  /// Throws UsageError that lists the spellings.
  CacheOptions options() const;

 private:
  std::string cache_ = "contiguous", kv_dtype_ = "f32";
};

}  // namespace lastrow::cli
