#include "cost/memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "cache/sealing.h"
#include "core/error.h"

namespace lastrow {
namespace {

void require_range(const char* name, int64_t value, int64_t most) {
  if (value < 1 || value > most) throw ShapeError("{} {}: give a number from 1 to {}", name, value, most);
}

/// The product of the factors. Throws ShapeError if it overflows.
int64_t checked_product(const ModelShape& shape, std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  for (const int64_t factor : factors)
    if (__builtin_mul_overflow(product, factor, &product))
      throw ShapeError(
          "the cache of {} at this size exceeds 2^63 bytes: use a shorter context or smaller batch",
          shape.name);
  return product;
}

int64_t checked_sum(const ModelShape& shape, int64_t a, int64_t b) {
  int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum))
    throw ShapeError(
        "the cache of {} at this size exceeds 2^63 bytes: use a shorter context or smaller batch",
        shape.name);
  return sum;
}

/// The bytes of K and V of one token in one layer, without scales of channels.
int64_t layer_token_bytes(const ModelShape& s, const CacheFormats& formats) {
  return checked_product(s,
                         {s.n_kv_heads, formats.k.row_bytes(s.head_dim) + formats.v.row_bytes(s.head_dim)});
}

/// The bytes of K, V and scales of one block in one layer.
int64_t layer_block_bytes(const ModelShape& s, const CacheFormats& formats, int64_t block_len) {
  return checked_sum(s, checked_product(s, {layer_token_bytes(s, formats), block_len}),
                     checked_product(s, {s.n_kv_heads, s.head_dim, formats.k.channel_scale_bytes}));
}

/// The open blocks of `batch` sequences in steps of one block.
int64_t count_open_blocks(const CacheFormats& formats, int64_t block_len, int64_t batch) {
  if (formats.k.channel_scale_bytes == 0) return 0;
  const auto n = static_cast<int32_t>(block_len);
  return batch * Sealing{.block_len = n, .longest_step = n}.n_open();
}

/// The bytes of so many open blocks in all layers.
int64_t bytes_of_open_blocks(const ModelShape& s, int64_t n_blocks, int64_t block_len) {
  return checked_product(s, {s.n_layers, n_blocks, s.n_kv_heads, block_len, s.head_dim, 4});
}

/// Only a block that keeps its rows can have scales for its channels.
void require_scales_of_rows(const CacheFormats& formats) {
  if (formats.k.channel_scale_bytes > 0)
    throw UsageError(
        "{} has a scale for each channel of a block, so it needs blocks that keep their rows: add --cache "
        "paged",
        formats.k.name);
}

/// The rows that all layers together keep of a sequence with `context` tokens.
int64_t rows_in_all_layers(const ModelShape& s, int64_t context) {
  const int64_t n_full = s.n_layers - s.n_window_layers();
  return checked_product(s, {n_full, context}) +
         (s.window > 0 ? checked_product(s, {s.n_window_layers(), std::min(context, s.window)}) : 0);
}

/// "128 head_dim · 2 bytes", or with scales "(128 head_dim · 1 bytes + 4 bytes scale)", "… + 4 scales · 2 bytes)".
std::string row_text(const ModelShape& s, const CacheFormat& format) {
  std::string row = fmt::format("{} head_dim · {} bytes", s.head_dim, format.elem_bits / 8);
  if (format.elem_bits % 8 != 0) row = fmt::format("{} head_dim · {} bits", s.head_dim, format.elem_bits);
  const int64_t n = format.n_scales(s.head_dim);
  if (n == 0) return row;
  return format.group == 0
             ? fmt::format("({} + {} bytes scale)", row, format.scale_bytes)
             : fmt::format("({} + {} scale{} · {} bytes)", row, n, n == 1 ? "" : "s", format.scale_bytes);
}

std::string layers_text(int64_t n) { return fmt::format("{} layer{}", n, n == 1 ? "" : "s"); }

/// The bytes of `rows`, which is a text such as "32 layers · 2,048 tokens".
std::string bytes_text(const ModelShape& s, const CacheFormats& formats, std::string_view rows) {
  const bool same = formats.k.name == formats.v.name;
  const std::string k_row = row_text(s, formats.k), v_row = row_text(s, formats.v);
  return fmt::format("{}{} · {} K/V head{} · {}", same ? "2 (K and V) · " : "", rows, s.n_kv_heads,
                     s.n_kv_heads == 1 ? "" : "s",
                     same ? k_row : fmt::format("(K: {} + V: {})", k_row, v_row));
}

/// What is added if K has scales for channels: these scales, and the rows of open blocks. Else "".
std::string channels_text(const ModelShape& s, const CacheFormats& formats, const PagedMemory& m,
                          int64_t block_len) {
  if (m.n_open_blocks == 0) return "";
  const std::string heads =
      fmt::format("{} K/V head{} · {} head_dim", s.n_kv_heads, s.n_kv_heads == 1 ? "" : "s", s.head_dim);
  return fmt::format(
      " + scales of K: {} · {} block{} · {} · {} bytes + open rows of K: {} · {} block{} of {} row{} · "
      "{} · 4 bytes",
      layers_text(s.n_layers), with_commas(m.n_blocks), m.n_blocks == 1 ? "" : "s", heads,
      formats.k.channel_scale_bytes, layers_text(s.n_layers), with_commas(m.n_open_blocks),
      m.n_open_blocks == 1 ? "" : "s", with_commas(block_len), block_len == 1 ? "" : "s", heads);
}

std::string formula_text(const ModelShape& s, int64_t context, int64_t batch, const CacheFormats& formats) {
  std::string rows;
  const int64_t n_window = s.n_window_layers(), n_full = s.n_layers - n_window;
  const auto tokens = [](int64_t n) { return fmt::format("{} token{}", with_commas(n), n == 1 ? "" : "s"); };
  const std::string in_window = tokens(std::min(context, s.window)) + " (window)";
  if (n_window == 0 || context <= s.window)
    rows = fmt::format("{} · {}", layers_text(s.n_layers), tokens(context));
  else if (n_full == 0)
    rows = fmt::format("{} · {}", layers_text(n_window), in_window);
  else
    rows = fmt::format("({} · {} + {} · {})", layers_text(n_window), in_window, layers_text(n_full),
                       tokens(context));

  return fmt::format("{} · {} sequence{}", bytes_text(s, formats, rows), with_commas(batch),
                     batch == 1 ? "" : "s");
}

}  // namespace

int64_t cache_bytes(const ModelShape& shape, int64_t context, int64_t batch, const CacheFormats& formats) {
  validate(shape);
  require_scales_of_rows(formats);
  require_range("context", context, kMaxContext);
  require_range("batch", batch, kMaxBatch);
  return checked_product(shape,
                         {layer_token_bytes(shape, formats), rows_in_all_layers(shape, context), batch});
}

CacheMemory cache_memory(const ModelShape& shape, int64_t context, int64_t batch,
                         const CacheFormats& formats) {
  CacheMemory m;
  m.bytes = cache_bytes(shape, context, batch, formats);
  const bool windows_grow = context < shape.window;
  m.n_growing_layers = shape.n_layers - (windows_grow ? 0 : shape.n_window_layers());
  m.bytes_per_token = checked_product(shape, {layer_token_bytes(shape, formats), m.n_growing_layers});
  m.weights_bytes = weights_bytes(shape);
  m.gib = static_cast<double>(m.bytes) / 0x1p30;
  m.gb = static_cast<double>(m.bytes) / 1e9;
  m.formula = fmt::format("{} = {} bytes = {}", formula_text(shape, context, batch, formats),
                          with_commas(m.bytes), gib_and_gb(m.bytes));
  return m;
}

PagedMemory paged_memory(const ModelShape& shape, int64_t context, int64_t batch, const CacheFormats& formats,
                         int64_t block_len, int64_t n_blocks) {
  validate(shape);
  require_range("context", context, kMaxContext);
  require_range("batch", batch, kMaxBatch);
  if (block_len < 1 || block_len > context)
    throw ShapeError("blocks of {} rows in a cache for {} tokens: choose block=1 to block={}", block_len,
                     context, context);
  PagedMemory m;
  m.blocks_per_seq = (context + block_len - 1) / block_len;
  m.n_blocks = n_blocks == 0 ? checked_product(shape, {m.blocks_per_seq, batch}) : n_blocks;
  if (m.n_blocks < m.blocks_per_seq)
    throw ShapeError(
        "{} block{} of {} row{} are too few: the pool must hold one sequence of {} token{}, so choose "
        "blocks={} or more",
        n_blocks, n_blocks == 1 ? "" : "s", block_len, block_len == 1 ? "" : "s", context,
        context == 1 ? "" : "s", m.blocks_per_seq);
  m.block_bytes = checked_product(shape, {layer_block_bytes(shape, formats, block_len), shape.n_layers});
  m.bytes_per_token = (m.block_bytes + block_len - 1) / block_len;
  m.n_open_blocks = count_open_blocks(formats, block_len, batch);
  m.open_bytes = bytes_of_open_blocks(shape, m.n_open_blocks, block_len);
  m.bytes = checked_sum(shape, checked_product(shape, {m.block_bytes, m.n_blocks}), m.open_bytes);
  m.seqs_that_fit = m.n_blocks / m.blocks_per_seq;
  m.waste_rows = m.blocks_per_seq * block_len - context;
  const std::string rows =
      fmt::format("{} · {} block{} of {} row{}", layers_text(shape.n_layers), with_commas(m.n_blocks),
                  m.n_blocks == 1 ? "" : "s", with_commas(block_len), block_len == 1 ? "" : "s");
  m.formula =
      fmt::format("{}{} = {} bytes = {}", bytes_text(shape, formats, rows),
                  channels_text(shape, formats, m, block_len), with_commas(m.bytes), gib_and_gb(m.bytes));
  return m;
}

WindowMemory window_memory(const ModelShape& shape, int64_t context, int64_t batch,
                           const CacheFormats& formats, const CacheOptions& options, int64_t longest_step) {
  validate(shape);
  require_scales_of_rows(formats);
  require_range("context", context, kMaxContext);
  require_range("batch", batch, kMaxBatch);
  require_range("longest step", longest_step, context);
  // The spec of one sequence: its blocks do not depend on the types of K and V.
  const CacheSpec spec = cache_spec(options, {.n_layers = 1,
                                              .n_kv_heads = 1,
                                              .head_dim = 2,
                                              .max_seq_len = static_cast<int32_t>(context),
                                              .n_seqs = 1,
                                              .longest_step = static_cast<int32_t>(longest_step)});
  WindowMemory m;
  const bool has_ring = options.kind == "window";  // a budget has slots, and its sinks are among them
  m.sink_blocks = has_ring ? (options.sinks + spec.block_len - 1) / spec.block_len : 0;
  m.ring_blocks = spec.n_blocks - m.sink_blocks;
  m.n_blocks = checked_product(shape, {spec.n_blocks, batch});
  m.held_rows = spec.max_kv_len();
  m.bytes_per_token = checked_product(shape, {layer_token_bytes(shape, formats), shape.n_layers});
  m.block_bytes = checked_product(shape, {m.bytes_per_token, spec.block_len});
  m.bytes = checked_product(shape, {m.block_bytes, m.n_blocks});
  const std::string sequences = fmt::format("{} · {} sequence{}", layers_text(shape.n_layers),
                                            with_commas(batch), batch == 1 ? "" : "s");
  const std::string rows =
      has_ring
          ? fmt::format("{} · ({} block{} for sinks + {} of the ring) · {} row{}", sequences, m.sink_blocks,
                        m.sink_blocks == 1 ? "" : "s", with_commas(m.ring_blocks),
                        with_commas(spec.block_len), spec.block_len == 1 ? "" : "s")
          : fmt::format("{} · {} row{}", sequences, with_commas(m.held_rows), m.held_rows == 1 ? "" : "s");
  m.formula = fmt::format("{} = {} bytes = {}", bytes_text(shape, formats, rows), with_commas(m.bytes),
                          gib_and_gb(m.bytes));
  return m;
}

AlternatingMemory alternating_memory(const ModelShape& shape, int64_t context, int64_t batch,
                                     const CacheFormats& formats, const CacheOptions& options,
                                     int64_t longest_step) {
  validate(shape);
  ModelShape windowed = shape, full = shape;
  windowed.n_layers = shape.n_window_layers();
  full.n_layers = shape.n_layers - windowed.n_layers;
  windowed.window_period = full.window_period = 1;
  full.window = 0;
  CacheOptions ring = options;
  ring.windowed_every = 0;
  return {.windowed = window_memory(windowed, context, batch, formats, ring, longest_step),
          .full = paged_memory(full, context, batch, formats, options.block_len),
          .n_full_layers = full.n_layers};
}

int64_t prompt_chunk(const CacheOptions& options, int64_t context) {
  if (options.positions == Positions::renumbered) return 1;
  const int64_t chunk = options.kind == "budget" ? options.budget : options.window;
  return std::max<int64_t>(1, std::min(chunk, context));
}

std::optional<int64_t> forgetting_crossing_context(const ModelShape& shape, int64_t batch,
                                                   const CacheFormats& formats, const CacheOptions& options) {
  const int64_t weights = weights_bytes(shape);
  const auto exceeds = [&](int64_t context) {
    const int64_t chunk = prompt_chunk(options, context);
    const int64_t bytes = options.windowed_every > 0
                              ? alternating_memory(shape, context, batch, formats, options, chunk).bytes()
                              : window_memory(shape, context, batch, formats, options, chunk).bytes;
    return bytes > weights;
  };
  // The bytes never fall while the context grows. Smaller contexts than these are refused.
  int64_t low = options.kind == "budget" ? 1 : std::max(options.block_len, options.sinks + 1), high = low;
  if (exceeds(low)) return low;
  while (!exceeds(high)) {
    if (high == kMaxContext) return std::nullopt;
    low = high;
    high = std::min(2 * high, kMaxContext);
  }
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (exceeds(middle) ? high : low) = middle;
  }
  return high;
}

int64_t paged_crossing_context(const ModelShape& shape, int64_t batch, const CacheFormats& formats,
                               int64_t block_len) {
  require_range("batch", batch, kMaxBatch);
  require_range("block", block_len, kMaxContext);
  const int64_t a_block =
      checked_product(shape, {layer_block_bytes(shape, formats, block_len), shape.n_layers, batch});
  const int64_t open_bytes =
      bytes_of_open_blocks(shape, count_open_blocks(formats, block_len, batch), block_len);
  // Blocks of a sequence: not larger yet.
  const int64_t most_smaller = std::max<int64_t>(0, weights_bytes(shape) - open_bytes) / a_block;
  return checked_product(shape, {most_smaller, block_len}) + 1;  // the first token of the next block
}

std::optional<int64_t> crossing_context(const ModelShape& shape, int64_t batch, const CacheFormats& formats) {
  require_range("batch", batch, kMaxBatch);
  const int64_t weights = weights_bytes(shape);
  const int64_t a_row = checked_product(shape, {layer_token_bytes(shape, formats), batch});
  // The cache exceeds the weights once all layers together hold more than this many rows.
  const int64_t rows = weights / a_row;
  const int64_t n_window = shape.n_window_layers(), n_full = shape.n_layers - n_window;
  const int64_t before_window = rows / shape.n_layers + 1;
  if (n_window == 0 || before_window <= shape.window) return before_window;
  if (n_full == 0) return std::nullopt;
  return (rows - n_window * shape.window) / n_full + 1;
}

int64_t crossing_batch(const ModelShape& shape, int64_t context, const CacheFormats& formats) {
  return weights_bytes(shape) / cache_bytes(shape, context, 1, formats) + 1;
}

std::string with_commas(int64_t n) {
  const std::string digits = fmt::format("{}", n);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    const bool between = i > 0 && digits[i - 1] != '-';
    if (between && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string gib_and_gb(int64_t bytes) {
  const double x = static_cast<double>(bytes);
  if (x >= 0x1p30 / 10) return fmt::format("{:.2f} GiB ({:.2f} GB)", x / 0x1p30, x / 1e9);
  if (x >= 0x1p20) return fmt::format("{:.2f} MiB ({:.2f} MB)", x / 0x1p20, x / 1e6);
  return fmt::format("{:.2f} KiB ({:.2f} kB)", x / 0x1p10, x / 1e3);
}

}  // namespace lastrow
