#include "cache/cache_spec.h"

#include "core/error.h"

namespace lastrow {

CacheSpec CacheSpec::contiguous(int32_t n_layers, int32_t n_kv_heads, int32_t head_dim, int32_t max_seq_len,
                                int32_t n_seqs, KvDtypes dtypes) {
  return {.n_layers = n_layers,
          .n_kv_heads = n_kv_heads,
          .head_dim = head_dim,
          .max_seq_len = max_seq_len,
          .block_len = max_seq_len,
          .n_blocks = n_seqs,
          .dtype_k = dtypes.k,
          .dtype_v = dtypes.v};
}

CacheSpec CacheSpec::group(int32_t i) const {
  CacheSpec spec = *this;
  spec.n_layers = n_layers_in(i);
  spec.windowed = {};
  if (i == 1) {
    spec.n_blocks = windowed.n_blocks;
    spec.held_rows = windowed.held_rows;
    spec.table_len = windowed.table_len;
  }
  return spec;
}

int64_t CacheSpec::bytes_of(RowKind kind) const {
  const int64_t n_windowed = windowed.count(n_layers);
  const int64_t slots = int64_t{block_len} * ((n_layers - n_windowed) * int64_t{n_blocks} +
                                              n_windowed * int64_t{windowed.n_blocks});
  const int64_t rows_bytes = slots * n_kv_heads * row_bytes(kind);
  if (kind == RowKind::v || !has_channel_scales(dtype_k)) return rows_bytes;
  const int64_t open_bytes = int64_t{n_open_blocks} * block_len * head_dim * 4;
  return rows_bytes + int64_t{n_layers} * n_kv_heads * (n_blocks * channel_scales_bytes() + open_bytes);
}

void validate(const CacheSpec& spec) {
  if (spec.n_groups() > 1) {
    for (int32_t i = 0; i < spec.n_groups(); ++i) {
      if (spec.n_layers_in(i) < 1)
        throw ShapeError(
            "windowed layers 0, {}, … of {} layers leave no layer {}: use one cache for all layers",
            spec.windowed.every, spec.n_layers, i == 0 ? "without a window" : "with one");
      validate(spec.group(i));
    }
    return;
  }
  const auto require_positive = [](const char* name, int32_t value) {
    if (value <= 0) throw ShapeError("CacheSpec::{} is {}: it must be at least 1", name, value);
  };
  require_positive("n_layers", spec.n_layers);
  require_positive("n_kv_heads", spec.n_kv_heads);
  require_positive("head_dim", spec.head_dim);
  require_positive("max_seq_len", spec.max_seq_len);
  require_positive("block_len", spec.block_len);
  require_positive("n_blocks", spec.n_blocks);
  if (int64_t{spec.n_blocks} * spec.block_len < spec.max_kv_len())
    throw ShapeError(
        "{} blocks of {} hold fewer than the {} indices of a sequence: raise CacheSpec::n_blocks",
        spec.n_blocks, spec.block_len, spec.max_kv_len());
  for (const DType dtype : {spec.dtype_k, spec.dtype_v}) {
    if (!is_kv_dtype(dtype))
      throw ShapeError(
          "CacheSpec::{} is {}: K and V are stored as f32, f16, bf16, fp8, i8 (int8), int4, fp4 or "
          "int8-channel",
          dtype == spec.dtype_k ? "dtype_k" : "dtype_v", name_of(dtype));
    if (spec.head_dim % numbers_in(dtype) != 0)
      throw ShapeError("head_dim {} is odd, and {} stores two elements in a byte: use int8 or fp8",
                       spec.head_dim, kv_dtype_name(dtype));
  }
  if (has_channel_scales(spec.dtype_v))
    throw ShapeError("CacheSpec::dtype_v is int8-channel: only K has scales for channels, so use int8 for V");
  const bool has_open = spec.n_open_blocks > 0 || spec.longest_step > 0;
  if (has_channel_scales(spec.dtype_k) &&
      (spec.longest_step < 1 || spec.n_open_blocks < 1 || spec.n_open_blocks % spec.sealing().n_open() != 0))
    throw ShapeError(
        "K as int8-channel with {} open blocks and steps of {} tokens: use a paged cache, which keeps new "
        "rows in open blocks",
        spec.n_open_blocks, spec.longest_step);
  if (!has_channel_scales(spec.dtype_k) && has_open)
    throw ShapeError("{} open blocks, but K is {}: only int8-channel has them", spec.n_open_blocks,
                     kv_dtype_name(spec.dtype_k));
  const double of_slots = 1.0 * spec.n_blocks * spec.block_len *
                          static_cast<double>(spec.row_bytes(RowKind::k) + spec.row_bytes(RowKind::v)),
               of_scales = 1.0 * spec.n_blocks * static_cast<double>(spec.channel_scales_bytes()),
               of_open_rows = 4.0 * spec.n_open_blocks * spec.block_len * spec.head_dim;
  const double bytes = 1.0 * spec.n_layers * spec.n_kv_heads * (of_slots + of_scales + of_open_rows);
  if (bytes > 0x1p62)
    throw ShapeError("a cache of {:.3g} bytes cannot be addressed: lower max_seq_len or n_blocks", bytes);
}

}  // namespace lastrow
