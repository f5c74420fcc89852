// The decoder with a backward pass written by hand: what model/decoder computes, and its derivative.
//
//   Network<float> net(layout, max_tokens);             one per thread: it owns the activations
//   net.forward(params, tokens);                        then: net.logits(), net.attention(layer)
//   double nats = net.loss(tokens);                     Σ_t −ln p(tokens[t + 1] | tokens[0 … t]), T − 1 terms
//   double nats = net.cross_entropy(targets);           or: Σ_t Σ_c −targets[t](c) · ln p(c | tokens[0 … t])
//   net.backward(params, tokens, scale, gradient);      adds scale · d nats / d params to `gradient`
//
// One sequence at a time, from position 0, with a causal mask. Scalar is float for training, and double for
// checking the derivative. Invariant: backward() needs the activations of the last forward(),
// with the same params and tokens.
//
// Shapes: T tokens; D model_dim; Q = n_q_heads·head_dim; K = n_kv_heads·head_dim; F ffn_dim; V vocab_size.
// Weights are [out, in], so a linear layer is y = x Wᵀ, dx = dy W, dW = dyᵀ x.
#pragma once

#include <Eigen/Dense>
#include <span>
#include <vector>

#include "train/choice.h"
#include "train/parameters.h"

namespace lastrow::train {

template <typename Scalar>
class Network {
 public:
  using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Vector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;

  Network(const ParameterLayout& layout, int64_t max_tokens);

  void forward(const Scalar* params, std::span<const int32_t> tokens);
  double loss(std::span<const int32_t> tokens);
  double cross_entropy(std::span<const Choices> targets);
  void backward(const Scalar* params, std::span<const int32_t> tokens, Scalar scale, Scalar* gradient);

  /// [T, V]. loss() and cross_entropy() overwrite them.
  const Matrix& logits() const { return logits_; }
  /// Bytes that forward() keeps for backward(), over all layers.
  struct Kept {
    int64_t q = 0, k = 0, v = 0, probs = 0;
    int64_t other = 0;  // norms, residual stream, attention output, MLP, logits
  };
  Kept kept() const;
  /// [n_q_heads·T, T]: the probabilities of one layer, one head after the other; 0 above the diagonal.
  const Matrix& attention(int layer) const { return layers_[static_cast<size_t>(layer)].probs; }

 private:
  using ConstWeight = Eigen::Map<const Matrix>;
  using Weight = Eigen::Map<Matrix>;

  /// What the backward pass of a layer needs from its forward pass.
  struct LayerState {
    Matrix x;                   // [T, D]    the layer's input
    Matrix normed, ffn_normed;  // [T, D]
    Vector rstd, ffn_rstd;      // [T]       1 / root mean square
    Matrix q;                   // [T, Q]    rotated
    Matrix k, v;                // [T, K]    k rotated
    Matrix probs;               // [n_q_heads·T, T]
    Matrix attended;            // [T, Q]
    Matrix middle;              // [T, D]    between attention and FFN
    Matrix gate, up, hidden;    // [T, F]
  };

  ConstWeight weight(const Scalar* params, int tensor) const;
  Weight gradient(Scalar* gradient, int tensor) const;

  void norm(const Matrix& x, const ConstWeight& gain, Matrix& normed, Vector& rstd) const;
  /// The gradients of a norm: adds to dx and dgain, from dy, the gradient of its output.
  void norm_backward(const Matrix& x, const Vector& rstd, const ConstWeight& gain, const Matrix& dy,
                     Matrix& dx, Weight dgain) const;
  void rotate(Matrix& x, Scalar direction) const;  // RoPE by +position, or back by −position
  void attend(LayerState& layer) const;
  void attend_backward(const LayerState& layer);
  void ffn_backward(const Scalar* params, const LayerState& layer, const ParameterLayout::Layer& w,
                    Scalar* gradient);
  void attention_backward(const Scalar* params, const LayerState& layer, const ParameterLayout::Layer& w,
                          Scalar* gradient);

  const ParameterLayout& layout_;
  Matrix cos_, sin_;  // [max_tokens, head_dim / 2]
  std::vector<LayerState> layers_;
  Matrix x_, final_normed_;  // [T, D]   the last layer's output
  Vector final_rstd_;        // [T]
  Matrix logits_;  // [T, V]   after loss() or cross_entropy(): the derivative with respect to the logits
  Matrix dx_, dnormed_;    // [T, D]
  Matrix dq_, dattended_;  // [T, Q]
  Matrix dk_, dv_;         // [T, K]
  Matrix dgate_, dup_;     // [T, F]
};

extern template class Network<float>;
extern template class Network<double>;

}  // namespace lastrow::train
