#include "judge/plain_forward.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/error.h"

namespace lastrow::judge {
namespace {

using Row = std::vector<double>;

/// [rows, columns], row by row.
struct Matrix {
  int64_t rows, columns;
  Row values;
  double at(int64_t i, int64_t j) const { return values[i * columns + j]; }
};

Row values_of(const PlainDecoder& decoder, const std::string& name, Shape shape) {
  const ConstTensorView stored = decoder.weight(name);
  require_shape(name.c_str(), stored.shape(), shape);
  Row values(static_cast<size_t>(stored.size()));
  convert(stored, TensorView(values.data(), shape));
  return values;
}

Matrix matrix(const PlainDecoder& decoder, const std::string& name, int64_t rows, int64_t columns) {
  return {rows, columns, values_of(decoder, name, {rows, columns})};
}

/// y[i] = Σ_j w[i,j] x[j]
Row product(const Matrix& w, const Row& x) {
  Row y(static_cast<size_t>(w.rows), 0.0);
  for (int64_t i = 0; i < w.rows; ++i)
    for (int64_t j = 0; j < w.columns; ++j) y[i] += w.at(i, j) * x[j];
  return y;
}

/// y[j] = weight[j] · x[j] / √(mean of x² + eps)
Row rms_norm(const Row& x, const Row& weight, double eps) {
  double squares = 0;
  for (const double e : x) squares += e * e;
  const double rms = std::sqrt(squares / static_cast<double>(x.size()) + eps);
  Row y(x.size());
  for (size_t j = 0; j < x.size(); ++j) y[j] = weight[j] * x[j] / rms;
  return y;
}

/// y[j] = weight[j] · (x[j] − mean) / √(mean of (x − mean)² + eps) + bias[j]
Row layer_norm(const Row& x, const Row& weight, const Row& bias, double eps) {
  const auto n = static_cast<double>(x.size());
  double mean = 0, variance = 0;
  for (const double e : x) mean += e / n;
  for (const double e : x) variance += (e - mean) * (e - mean) / n;
  Row y(x.size());
  for (size_t j = 0; j < x.size(); ++j)
    y[j] = weight[j] * (x[j] - mean) / std::sqrt(variance + eps) + bias[j];
  return y;
}

/// One norm of the model. `name` is the name of its weight without ".weight".
Row norm(const PlainDecoder& c, const std::string& name, const Row& x) {
  const Row weight = values_of(c, name + ".weight", {c.model_dim});
  return c.gpt2 ? layer_norm(x, weight, values_of(c, name + ".bias", {c.model_dim}), c.norm_eps)
                : rms_norm(x, weight, c.norm_eps);
}

/// One linear layer of the model: y = w · x, plus a bias in a GPT-2.
struct LinearLayer {
  LinearLayer(const PlainDecoder& c, const std::string& name, int64_t n_out, int64_t n_in)
      : weight(matrix(c, name + ".weight", n_out, n_in)),
        bias(c.gpt2 ? values_of(c, name + ".bias", {n_out}) : Row(static_cast<size_t>(n_out), 0.0)) {}
  Row operator()(const Row& x) const {
    Row y = product(weight, x);
    for (size_t i = 0; i < y.size(); ++i) y[i] += bias[i];
    return y;
  }
  Matrix weight;
  Row bias;
};

/// Rotates the d-th pair of each head by the angle position / theta^(2d/head_dim).
void rope(const PlainDecoder& c, int64_t position, Row& heads) {
  const int64_t half = c.head_dim / 2;
  for (size_t head = 0; head < heads.size(); head += static_cast<size_t>(c.head_dim))
    for (int64_t d = 0; d < half; ++d) {
      const double share = 2.0 * static_cast<double>(d) / static_cast<double>(c.head_dim);
      const double angle = static_cast<double>(position) / std::exp(share * std::log(c.rope_theta));
      double& a = heads[head + static_cast<size_t>(c.interleaved ? 2 * d : d)];
      double& b = heads[head + static_cast<size_t>(c.interleaved ? 2 * d + 1 : d + half)];
      const double old_a = a, old_b = b;
      a = old_a * std::cos(angle) - old_b * std::sin(angle);
      b = old_a * std::sin(angle) + old_b * std::cos(angle);
    }
}

/// The slope of ALiBi for head h of n: 2^(−8(h + 1)/n) if n is a power of two. Otherwise the first heads take the
/// slopes of the power of two below n, and the rest take every second slope of the power above.
double slope(int64_t h, int64_t n) {
  int64_t below = 1;
  while (2 * below <= n) below *= 2;
  const double exponent = h < below
                              ? 8.0 * static_cast<double>(h + 1) / static_cast<double>(below)
                              : 4.0 * static_cast<double>(2 * (h - below) + 1) / static_cast<double>(below);
  return std::exp2(-exponent);
}

/// Attention of the last query over the keys so far: out[h,:] = Σ_s softmax_s(score[h,s]) v[s,g,:], where
///   score[h,s] = scale · q[h,:]·k[s,g,:], capped and lowered as the decoder says.
/// It sees the last `window` keys; all of them if window is 0.
///   q              [n_q_heads · head_dim]
///   keys, values   [s][n_kv_heads · head_dim]
Row attend(const PlainDecoder& c, const Row& q, const std::vector<Row>& keys, const std::vector<Row>& values,
           int64_t window) {
  // AttendSpec::scale is an f32, so the scale is rounded to f32 here too.
  const double scale = static_cast<float>(1 / std::sqrt(static_cast<double>(c.head_dim)));
  Row out(q.size(), 0.0);
  for (int64_t h = 0; h < c.n_q_heads; ++h) {
    const int64_t q_offset = h * c.head_dim, kv_offset = h / (c.n_q_heads / c.n_kv_heads) * c.head_dim;
    Row weights;
    double largest = -HUGE_VAL, sum = 0;
    const auto n_keys = static_cast<int64_t>(keys.size());
    const int64_t first = window == 0 ? 0 : std::max<int64_t>(0, n_keys - window);
    for (int64_t s = first; s < n_keys; ++s) {
      double score = 0;
      for (int64_t d = 0; d < c.head_dim; ++d) score += q[q_offset + d] * keys[s][kv_offset + d];
      score *= scale;
      if (c.soft_cap != 0) score = c.soft_cap * std::tanh(score / c.soft_cap);
      if (c.alibi) score -= slope(h, c.n_q_heads) * static_cast<double>(n_keys - 1 - s);
      weights.push_back(score);
      largest = std::max(largest, score);
    }
    for (double& weight : weights) sum += weight = std::exp(weight - largest);
    for (size_t i = 0; i < weights.size(); ++i)
      for (int64_t d = 0; d < c.head_dim; ++d)
        out[q_offset + d] += weights[i] / sum * values[first + i][kv_offset + d];
  }
  return out;
}

void add(const Row& delta, Row& x) {
  for (size_t j = 0; j < x.size(); ++j) x[j] += delta[j];
}

/// x[t] += o_proj · attention(norm(x))[t]
void attention_block(const PlainDecoder& c, const std::string& layer, int64_t window, std::vector<Row>& x) {
  const int64_t q_dim = c.n_q_heads * c.head_dim, kv_dim = c.n_kv_heads * c.head_dim;
  const LinearLayer w_q(c, layer + "self_attn.q_proj", q_dim, c.model_dim),
      w_k(c, layer + "self_attn.k_proj", kv_dim, c.model_dim),
      w_v(c, layer + "self_attn.v_proj", kv_dim, c.model_dim),
      w_o(c, layer + "self_attn.o_proj", c.model_dim, q_dim);
  std::vector<Row> keys, values;
  for (size_t t = 0; t < x.size(); ++t) {
    const Row normed = norm(c, layer + "input_layernorm", x[t]);
    Row q = w_q(normed);
    keys.push_back(w_k(normed));
    values.push_back(w_v(normed));
    if (!c.gpt2 && !c.alibi) {
      rope(c, static_cast<int64_t>(t), q);
      rope(c, static_cast<int64_t>(t), keys.back());
    }
    add(w_o(attend(c, q, keys, values, window)), x[t]);  // it sees tokens 0 … t only: the causal mask
  }
}

/// x[t] += down_proj · h, with y = norm(x[t]) and
///   Llama  h = silu(gate_proj · y) ⊙ up_proj · y,  silu(z) = z / (1 + e^−z)
///   GPT-2  h = gelu(up_proj · y),                  gelu(z) = ½ z (1 + tanh(√(2/π) (z + 0.044715 z³)))
void ffn_block(const PlainDecoder& c, const std::string& layer, std::vector<Row>& x) {
  const LinearLayer w_up(c, layer + "mlp.up_proj", c.ffn_dim, c.model_dim),
      w_down(c, layer + "mlp.down_proj", c.model_dim, c.ffn_dim);
  std::optional<LinearLayer> w_gate;
  if (!c.gpt2) w_gate.emplace(c, layer + "mlp.gate_proj", c.ffn_dim, c.model_dim);
  for (Row& row : x) {
    const Row normed = norm(c, layer + "post_attention_layernorm", row);
    Row hidden = w_up(normed);
    if (!w_gate) {
      for (double& z : hidden)
        z = 0.5 * z * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (z + 0.044715 * z * z * z)));
    } else {
      const Row gate = (*w_gate)(normed);
      for (size_t i = 0; i < hidden.size(); ++i) hidden[i] *= gate[i] / (1 + std::exp(-gate[i]));
    }
    add(w_down(hidden), row);
  }
}

}  // namespace

std::vector<double> plain_forward(const PlainDecoder& c, std::span<const int32_t> tokens) {
  const Matrix embedding = matrix(c, "model.embed_tokens.weight", c.vocab_size, c.model_dim);
  std::vector<Row> x;  // [n_tokens][model_dim], the residual stream
  for (const int32_t token : tokens) {
    if (token < 0 || token >= c.vocab_size)
      throw ShapeError("token {} in a vocabulary of {}: give tokens from 0 to {}", token, c.vocab_size,
                       c.vocab_size - 1);
    x.emplace_back();
    for (int64_t j = 0; j < c.model_dim; ++j) x.back().push_back(embedding.at(token, j));
  }
  if (c.gpt2) {
    const int64_t n_positions = c.weight("model.embed_positions.weight").dim(0);
    const Matrix positions = matrix(c, "model.embed_positions.weight", n_positions, c.model_dim);
    for (size_t t = 0; t < x.size(); ++t)
      for (int64_t j = 0; j < c.model_dim; ++j) x[t][j] += positions.at(static_cast<int64_t>(t), j);
  }
  for (int64_t i = 0; i < c.n_layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    attention_block(c, layer, i % c.window_period == 0 ? c.window : 0, x);
    ffn_block(c, layer, x);
  }
  const Matrix head = c.tied ? embedding : matrix(c, "lm_head.weight", c.vocab_size, c.model_dim);
  std::vector<double> logits;
  for (const Row& row : x) {
    const Row row_logits = product(head, norm(c, "model.norm", row));
    logits.insert(logits.end(), row_logits.begin(), row_logits.end());
  }
  return logits;
}

}  // namespace lastrow::judge
