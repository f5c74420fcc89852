#include "cost/model_shape.h"

#include <algorithm>

#include "core/error.h"

namespace lastrow {
namespace {

constexpr double kMaxCount = 9.2e18;              // just below 2^63
constexpr int64_t kMaxLength = int64_t{1} << 31;  // so that squares of lengths fit

/// The formula of n_params, in Number: int64_t for the answer, double to see first that it fits.
template <typename Number>
Number count_params(const ModelShape& s) {
  const auto n = [](int64_t x) { return static_cast<Number>(x); };
  const Number model = n(s.model_dim), ffn = n(s.ffn_dim), vocab = n(s.vocab_size);
  const Number q = n(s.n_q_heads) * n(s.head_dim), kv = n(s.n_kv_heads) * n(s.head_dim);
  const Number norm = model * n(s.norm == NormKind::layer ? 2 : 1);
  Number layer = model * (q + 2 * kv) + q * model + n(s.gated_mlp ? 3 : 2) * model * ffn;
  layer += n(s.norms_per_layer) * norm;
  if (s.qkv_bias) layer += q + 2 * kv;
  if (s.other_bias) layer += model + n(s.gated_mlp ? 2 : 1) * ffn + model;
  Number total = n(s.n_layers) * layer + norm + vocab * model;
  if (!s.tied_embeddings) total += vocab * model;
  if (s.learned_positions) total += n(s.max_seq_len) * model;
  return total;
}

/// A bound on flop and bytes of a step, in floating point: exact in the large terms, generous in the small.
double cost_bound(const ModelShape& s, const StepSize& z) {
  const auto n = [](int64_t x) { return static_cast<double>(x); };
  const double rows = n(z.batch) * n(z.q_len), heads = n(s.n_q_heads + 2 * s.n_kv_heads) * n(s.head_dim);
  const double small = n(s.n_layers) * (20 * n(s.model_dim) + 12 * n(s.ffn_dim) + 8 * heads + 64) +
                       10 * n(s.model_dim) + n(s.vocab_size) + 16;  // elements or flop of a row
  const double cells = n(z.batch) * n(cost::visible_cells(z.q_len, z.kv_len, true));
  const double flop = rows * (2 * count_params<double>(s) + small) +
                      4 * n(s.n_layers) * n(s.n_q_heads) * n(s.head_dim) * cells;
  const double elem =
      n(std::max({z.weight_elem_bytes, z.cache_elem_bytes, z.activation_elem_bytes, cost::kF32Bytes}));
  const double cached = 2 * n(z.batch) * n(z.kv_len) * n(s.n_layers) * n(s.n_kv_heads) *
                        (n(s.head_dim) + n(z.cache_scale_bytes));
  return std::max(flop, elem * (count_params<double>(s) + rows * small + 2 * cached));
}

void validate(const ModelShape& s, const StepSize& z) {
  validate(s);
  if (z.q_len < 0 || z.kv_len < z.q_len || z.kv_len > kMaxLength || z.batch < 1 || z.batch > kMaxLength)
    throw ShapeError(
        "a step of q_len {}, kv_len {}, batch {}: need 0 <= q_len <= kv_len <= {} and batch >= 1", z.q_len,
        z.kv_len, z.batch, kMaxLength);
  if (z.n_logit_rows < 0 || z.n_logit_rows > z.batch * z.q_len)
    throw ShapeError("{} logit rows from {} rows: ask for at most one a new token", z.n_logit_rows,
                     z.batch * z.q_len);
  for (const int64_t bytes : {z.weight_elem_bytes, z.cache_elem_bytes, z.activation_elem_bytes})
    if (bytes < 1 || bytes > 8) throw ShapeError("elements of {} bytes: give 1, 2, 4 or 8", bytes);
  if (z.cache_scale_bytes < 0 || z.cache_scale_bytes > 8)
    throw ShapeError("a scale of {} bytes: give 0 to 8", z.cache_scale_bytes);
  if (!(cost_bound(s, z) < kMaxCount))
    throw ShapeError("the cost of {} tokens over {} in batch {} does not fit 64 bits: use shorter sequences",
                     z.q_len, z.kv_len, z.batch);
}

OpCost norm_cost(const ModelShape& s, int64_t rows, const StepSize& z) {
  return s.norm == NormKind::rms
             ? cost::rms_norm(rows, s.model_dim, z.weight_elem_bytes, z.activation_elem_bytes)
             : cost::layer_norm(rows, s.model_dim, z.weight_elem_bytes, z.activation_elem_bytes);
}

OpCost attention_cost(const ModelShape& s, int64_t window, const StepSize& z) {
  const int64_t rows = z.batch * z.q_len, q_dim = s.n_q_heads * s.head_dim,
                kv_dim = s.n_kv_heads * s.head_dim;
  const int64_t w = z.weight_elem_bytes, a = z.activation_elem_bytes;
  OpCost c = cost::linear(rows, s.model_dim, q_dim, s.qkv_bias, w, a) +
             2 * cost::linear(rows, s.model_dim, kv_dim, s.qkv_bias, w, a);
  if (!s.learned_positions)
    c += cost::rope(rows, s.n_q_heads, s.head_dim, a) + cost::rope(rows, s.n_kv_heads, s.head_dim, a);
  c += cost::append(rows, s.n_kv_heads, s.head_dim, z.cache_elem_bytes, a, z.cache_scale_bytes);
  c += cost::attend({.visible_cells = z.batch * cost::visible_cells(z.q_len, z.kv_len, true, window),
                     .kv_rows = z.batch * cost::visible_rows(z.q_len, z.kv_len, true, window),
                     .n_tokens = rows,
                     .n_q_heads = s.n_q_heads,
                     .n_kv_heads = s.n_kv_heads,
                     .head_dim = s.head_dim,
                     .cache_elem_bytes = z.cache_elem_bytes,
                     .activation_elem_bytes = a,
                     .cache_scale_bytes = z.cache_scale_bytes});
  return c + cost::linear(rows, q_dim, s.model_dim, s.other_bias, w, a) + cost::add(rows, s.model_dim, a);
}

OpCost mlp_cost(const ModelShape& s, const StepSize& z) {
  const int64_t rows = z.batch * z.q_len, w = z.weight_elem_bytes, a = z.activation_elem_bytes;
  const OpCost into = cost::linear(rows, s.model_dim, s.ffn_dim, s.other_bias, w, a);
  const OpCost out =
      cost::linear(rows, s.ffn_dim, s.model_dim, s.other_bias, w, a) + cost::add(rows, s.model_dim, a);
  return s.gated_mlp ? 2 * into + cost::swiglu(rows, s.ffn_dim, a) + out
                     : into + cost::gelu(rows, s.ffn_dim, a) + out;
}

}  // namespace

void validate(const ModelShape& s) {
  const struct {
    const char* name;
    int64_t value;
  } sizes[] = {
      {"n_layers", s.n_layers},     {"n_q_heads", s.n_q_heads},     {"n_kv_heads", s.n_kv_heads},
      {"head_dim", s.head_dim},     {"model_dim", s.model_dim},     {"ffn_dim", s.ffn_dim},
      {"vocab_size", s.vocab_size}, {"max_seq_len", s.max_seq_len}, {"window_period", s.window_period}};
  for (const auto& size : sizes)
    if (size.value < 1 || size.value > kMaxLength)
      throw ShapeError("{}: {} is {}, must be from 1 to {}", s.name, size.name, size.value, kMaxLength);
  if (s.window < 0 || s.window > kMaxLength || s.norms_per_layer < 0 || s.norms_per_layer > 64)
    throw ShapeError("{}: window {} and norms_per_layer {} must not be negative, nor absurd", s.name,
                     s.window, s.norms_per_layer);
  if (s.n_q_heads % s.n_kv_heads != 0)
    throw ShapeError("{}: {} query heads cannot share {} K/V heads evenly: make n_q_heads a multiple", s.name,
                     s.n_q_heads, s.n_kv_heads);
  if (!(8 * count_params<double>(s) < kMaxCount))
    throw ShapeError("{}: its parameters do not fit 64 bits: check the sizes", s.name);
}

int64_t n_params(const ModelShape& shape) {
  validate(shape);
  return count_params<int64_t>(shape);
}

int64_t weights_bytes(const ModelShape& shape) {
  return n_params(shape) * static_cast<int64_t>(size_of(shape.weight_dtype));
}

OpCost step_cost(const ModelShape& s, const StepSize& z) {
  validate(s, z);
  const int64_t rows = z.batch * z.q_len, w = z.weight_elem_bytes, a = z.activation_elem_bytes;
  OpCost total = cost::embed(rows, s.model_dim, w, a);
  if (s.learned_positions) total += cost::embed(rows, s.model_dim, w, a) + cost::add(rows, s.model_dim, a);

  const OpCost everywhere = s.norms_per_layer * norm_cost(s, rows, z) + mlp_cost(s, z);
  total += s.n_layers * everywhere;
  total += (s.n_layers - s.n_window_layers()) * attention_cost(s, 0, z);
  total += s.n_window_layers() * attention_cost(s, s.window, z);

  total += cost::gather_rows(z.n_logit_rows, s.model_dim, a) + norm_cost(s, z.n_logit_rows, z);
  return total + cost::linear(z.n_logit_rows, s.model_dim, s.vocab_size, false, w, a);
}

}  // namespace lastrow
