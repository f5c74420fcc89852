#include "cache/make_cache.h"

#include <limits>

#include "cache/contiguous_cache.h"
#include "cache/paged_cache.h"
#include "core/error.h"
#include "core/number.h"

namespace lastrow {

namespace {

constexpr const char* kSpellings = "contiguous or paged[:block=B][,blocks=N]";

/// Messages show 80 characters of what the user wrote.
[[noreturn]] void refuse(const std::string& text, const std::string& why) {
  throw UsageError("cache '{:.80}': {}; use {}", text, why, kSpellings);
}

/// Reads one "name=number" of a paged cache into the options.
void read_setting(CacheOptions& options, const std::string& setting, const std::string& text) {
  const size_t equals = setting.find('=');
  const std::string name = setting.substr(0, equals);
  const bool is_block = name == "block";
  if (!is_block && name != "blocks") refuse(text, fmt::format("there is no setting '{:.80}'", name));
  const std::string value = equals == std::string::npos ? "" : setting.substr(equals + 1);
  const auto number = whole_number<int32_t>(value);
  if (!number || *number < 1)
    refuse(text, fmt::format("{} is '{:.80}', but it must be a whole number of at least 1", name, value));
  (is_block ? options.block_len : options.n_blocks) = *number;
}

CacheSpec paged_spec(const CacheOptions& options, const CacheSizes& sizes, CacheSpec spec) {
  if (options.block_len < 1 || options.block_len > sizes.max_seq_len)
    throw ShapeError("blocks of {} rows in a cache for {} tokens: choose block=1 to block={}",
                     options.block_len, sizes.max_seq_len, sizes.max_seq_len);
  spec.block_len = options.block_len;
  const int64_t enough = int64_t{sizes.n_seqs} * spec.max_blocks_per_seq();
  if (options.n_blocks == 0 && enough > std::numeric_limits<int32_t>::max())
    throw ShapeError("{} sequences of {} tokens need {} blocks, which are too many: use larger blocks",
                     sizes.n_seqs, sizes.max_seq_len, enough);
  spec.n_blocks = options.n_blocks == 0 ? static_cast<int32_t>(enough) : options.n_blocks;
  if (spec.n_blocks < spec.max_blocks_per_seq())
    throw ShapeError(
        "{} block{} of {} row{} are too few: the pool must hold one text of the whole context ({} tokens), "
        "so "
        "choose blocks={} or more",
        spec.n_blocks, spec.n_blocks == 1 ? "" : "s", spec.block_len, spec.block_len == 1 ? "" : "s",
        sizes.max_seq_len, spec.max_blocks_per_seq());
  return spec;
}

}  // namespace

CacheOptions cache_options(const std::string& text) {
  CacheOptions options;
  const size_t colon = text.find(':');
  options.kind = text.substr(0, colon);
  if (options.kind != "contiguous" && options.kind != "paged")
    throw UsageError("unknown cache '{:.80}': use {}", text, kSpellings);
  if (colon == std::string::npos) return options;
  if (options.kind == "contiguous") refuse(text, "a contiguous cache has no settings");
  bool has_block = false, has_blocks = false;
  for (size_t begin = colon + 1, end = begin; end != std::string::npos; begin = end + 1) {
    end = text.find(',', begin);
    const std::string setting = text.substr(begin, end == std::string::npos ? end : end - begin);
    read_setting(options, setting, text);
    bool& has_it = setting.starts_with("block=") ? has_block : has_blocks;
    if (has_it) refuse(text, "a setting is given twice");
    has_it = true;
  }
  return options;
}

CacheOptions cache_options(const std::string& text, const std::string& kv_dtype) {
  CacheOptions options = cache_options(text);
  const KvDtypes dtypes = kv_dtypes_from_name(kv_dtype);
  options.dtype_k = dtypes.k;
  options.dtype_v = dtypes.v;
  return options;
}

std::string name_of(const CacheOptions& options) {
  if (options.kind != "paged") return options.kind;
  const CacheOptions usual;
  std::string name = options.kind;
  if (options.block_len != usual.block_len) name += fmt::format(":block={}", options.block_len);
  if (options.n_blocks != usual.n_blocks)
    name += fmt::format("{}blocks={}", name == "paged" ? ":" : ",", options.n_blocks);
  return name;
}

CacheSpec cache_spec(const CacheOptions& options, const CacheSizes& sizes) {
  if (options.kind != "contiguous" && options.kind != "paged")
    throw UsageError("unknown cache kind '{:.80}': use contiguous or paged", options.kind);
  if (options.share_prefix && options.kind != "paged")
    throw UsageError("a {} cache cannot share prefixes: use a paged cache", options.kind);
  CacheSpec spec = CacheSpec::contiguous(sizes.n_layers, sizes.n_kv_heads, sizes.head_dim, sizes.max_seq_len,
                                         sizes.n_seqs, options.dtypes());
  if (options.kind == "paged") {
    if (sizes.n_seqs < 1) throw ShapeError("n_seqs is {}: it must be at least 1", sizes.n_seqs);
    spec = paged_spec(options, sizes, spec);
  }
  validate(spec);
  return spec;
}

std::unique_ptr<KvCache> make_cache(const CacheOptions& options, const CacheSizes& sizes) {
  const CacheSpec spec = cache_spec(options, sizes);
  if (options.kind == "paged")
    return std::make_unique<PagedCache>(spec, sizes.n_seqs,
                                        options.share_prefix ? SharePrefixes::yes : SharePrefixes::no);
  return std::make_unique<ContiguousCache>(spec);
}

}  // namespace lastrow
