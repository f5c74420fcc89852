#include "ops/step_cost.h"

#include <algorithm>

#include "core/error.h"
#include "ops/op.h"

namespace lastrow {
namespace {

constexpr double kMaxCount = 9.2e18;              // just below 2^63
constexpr int64_t kMaxLength = int64_t{1} << 31;  // so that squares of lengths fit

/// An upper bound on the flop and on the bytes of a step, in floating point. The large terms are exact; the
/// small terms are estimates that are too high.
double cost_bound(const ModelShape& s, const StepSize& z) {
  const auto n = [](int64_t x) { return static_cast<double>(x); };
  const double params = n(n_params(s));
  const double rows = n(z.batch) * n(z.q_len), heads = n(s.n_q_heads + 2 * s.n_kv_heads) * n(s.head_dim);
  const double small = n(s.n_layers) * (20 * n(s.model_dim) + 12 * n(s.ffn_dim) + 8 * heads + 64) +
                       10 * n(s.model_dim) + n(s.vocab_size) + 16;  // elements or flop for one row
  const double cells = n(z.batch) * n(cost::visible_cells(z.q_len, z.kv_len, true));
  const double flop =
      rows * (2 * params + small) + 4 * n(s.n_layers) * n(s.n_q_heads) * n(s.head_dim) * cells;
  const double elem = n(std::max(
      {z.weight_elem_bytes, z.k.elem_bytes, z.v.elem_bytes, z.activation_elem_bytes, cost::kF32Bytes}));
  const double cached = 2 * n(z.batch) * n(z.kv_len) * n(s.n_layers) * n(s.n_kv_heads) *
                        (n(s.head_dim) + n(std::max(z.k.scale_bytes, z.v.scale_bytes)));
  return std::max(flop, elem * (params + rows * small + 2 * cached));
}

void validate(const ModelShape& s, const StepSize& z) {
  validate(s);
  if (z.q_len < 0 || z.kv_len < z.q_len || z.kv_len > kMaxLength || z.batch < 1 || z.batch > kMaxLength)
    throw ShapeError(
        "a step with q_len {}, kv_len {}, batch {}: need 0 <= q_len <= kv_len <= {} and batch >= 1", z.q_len,
        z.kv_len, z.batch, kMaxLength);
  if (z.n_logit_rows < 0 || z.n_logit_rows > z.batch * z.q_len)
    throw ShapeError("{} logit rows from {} rows: ask for at most one per new token", z.n_logit_rows,
                     z.batch * z.q_len);
  for (const int64_t bytes : {z.weight_elem_bytes, z.k.elem_bytes, z.v.elem_bytes, z.activation_elem_bytes})
    if (bytes < 1 || bytes > 8) throw ShapeError("elements of {} bytes: give 1, 2, 4 or 8", bytes);
  for (const int64_t bytes : {z.k.scale_bytes, z.v.scale_bytes})
    if (bytes < 0 || bytes > 8) throw ShapeError("a scale of {} bytes: give 0 to 8", bytes);
  for (const cost::RowFormat& format : {z.k, z.v})
    if (format.n_in_elem < 1 || format.n_in_elem > 2 || format.group < 0 ||
        (format.group > 0 && format.group < 8))
      throw ShapeError("{} numbers in an element, {} that share a scale: give 1 or 2, and 0 or at least 8",
                       format.n_in_elem, format.group);
  if (!(cost_bound(s, z) < kMaxCount))
    throw ShapeError(
        "the cost of {} tokens over {} in batch {} does not fit in 64 bits: use shorter sequences", z.q_len,
        z.kv_len, z.batch);
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
  if (!s.learned_positions && !s.alibi)
    c += cost::rope(rows, s.n_q_heads, s.head_dim, a) + cost::rope(rows, s.n_kv_heads, s.head_dim, a);
  c += cost::append(rows, s.n_kv_heads, s.head_dim, z.k, z.v, a);
  c += cost::attend({.visible_cells = z.batch * cost::visible_cells(z.q_len, z.kv_len, true, window),
                     .kv_rows = z.batch * cost::visible_rows(z.q_len, z.kv_len, true, window),
                     .n_tokens = rows,
                     .n_q_heads = s.n_q_heads,
                     .n_kv_heads = s.n_kv_heads,
                     .head_dim = s.head_dim,
                     .k = z.k,
                     .v = z.v,
                     .activation_elem_bytes = a});
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

OpCost step_cost(const ModelShape& s, const StepSize& z) {
  validate(s, z);
  const int64_t rows = z.batch * z.q_len, w = z.weight_elem_bytes, a = z.activation_elem_bytes;
  OpCost total = cost::embed(rows, s.model_dim, w, a);
  if (s.learned_positions) total += cost::embed_positions(rows, s.model_dim, w, a);

  const OpCost everywhere = s.norms_per_layer * norm_cost(s, rows, z) + mlp_cost(s, z);
  total += s.n_layers * everywhere;
  total += (s.n_layers - s.n_window_layers()) * attention_cost(s, 0, z);
  total += s.n_window_layers() * attention_cost(s, s.window, z);

  total += cost::gather_rows(z.n_logit_rows, s.model_dim, a) + norm_cost(s, z.n_logit_rows, z);
  return total + cost::linear(z.n_logit_rows, s.model_dim, s.vocab_size, false, w, a);
}

}  // namespace lastrow
