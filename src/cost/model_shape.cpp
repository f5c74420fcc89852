#include "cost/model_shape.h"

#include <algorithm>

#include "core/error.h"

namespace lastrow {
namespace {

constexpr double kMaxCount = 9.2e18;              // just below 2^63
constexpr int64_t kMaxLength = int64_t{1} << 31;  // so that squares of lengths fit

/// The formula of n_params. Number is double to find out whether the result fits, and int64_t for the result.
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
      throw ShapeError("{}: {} is {}: give a number from 1 to {}", s.name, size.name, size.value, kMaxLength);
  if (s.window < 0 || s.window > kMaxLength || s.norms_per_layer < 0 || s.norms_per_layer > 64)
    throw ShapeError("{}: window is {} and norms_per_layer is {}: give 0 to {} and 0 to 64", s.name, s.window,
                     s.norms_per_layer, kMaxLength);
  if (s.n_q_heads % s.n_kv_heads != 0)
    throw ShapeError(
        "{}: {} query heads cannot share {} K/V heads evenly: make n_q_heads a multiple of n_kv_heads",
        s.name, s.n_q_heads, s.n_kv_heads);
  if (!(8 * count_params<double>(s) < kMaxCount))
    throw ShapeError("{}: its parameter count does not fit in 64 bits: check the sizes", s.name);
}

int64_t n_params(const ModelShape& shape) {
  validate(shape);
  return count_params<int64_t>(shape);
}

int64_t weights_bytes(const ModelShape& shape) {
  return n_params(shape) * static_cast<int64_t>(size_of(shape.weight_dtype));
}

}  // namespace lastrow
