#include "train/network.h"

#include <cmath>

#include "core/error.h"

namespace lastrow::train {
namespace {

/// Attention works on blocks of this many queries, so that half of the masked scores are never computed.
constexpr int64_t kBlock = 64;

}  // namespace

template <typename Scalar>
Network<Scalar>::Network(const ParameterLayout& layout, int64_t max_tokens)
    : layout_(layout), layers_(static_cast<size_t>(layout.config().n_layers)) {
  const ModelConfig& c = layout.config();
  cos_.resize(max_tokens, c.head_dim / 2);
  sin_.resize(max_tokens, c.head_dim / 2);
  for (int64_t t = 0; t < max_tokens; ++t)
    for (int d = 0; d < c.head_dim / 2; ++d) {
      const double angle = static_cast<double>(t) * std::pow(double{c.rope_theta}, -2.0 * d / c.head_dim);
      cos_(t, d) = static_cast<Scalar>(std::cos(angle));
      sin_(t, d) = static_cast<Scalar>(std::sin(angle));
    }
}

template <typename Scalar>
auto Network<Scalar>::weight(const Scalar* params, int tensor) const -> ConstWeight {
  const ParameterTensor& t = layout_.tensors()[static_cast<size_t>(tensor)];
  return {params + t.offset, t.rows, t.cols};
}

template <typename Scalar>
void Network<Scalar>::norm(const Matrix& x, const ConstWeight& gain, Matrix& normed, Vector& rstd) const {
  const Scalar eps = static_cast<Scalar>(layout_.config().norm_eps);
  rstd = (x.rowwise().squaredNorm().array() / static_cast<Scalar>(x.cols()) + eps).rsqrt();
  normed = (x.array().colwise() * rstd.array()).rowwise() * gain.row(0).array();
}

template <typename Scalar>
void Network<Scalar>::rotate(Matrix& x, Scalar direction) const {
  const int64_t head_dim = layout_.config().head_dim, half = head_dim / 2;
  const auto cos = cos_.topRows(x.rows()).array();
  const auto sin = sin_.topRows(x.rows()).array() * direction;
  Matrix first(x.rows(), half);
  for (int64_t h = 0; h < x.cols() / head_dim; ++h) {
    auto a = x.middleCols(h * head_dim, half).array();
    auto b = x.middleCols(h * head_dim + half, half).array();
    first = a;
    a = first.array() * cos - b * sin;
    b = first.array() * sin + b * cos;
  }
}

template <typename Scalar>
void Network<Scalar>::attend(LayerState& layer) const {
  const ModelConfig& c = layout_.config();
  const int64_t n = layer.q.rows(), dim = c.head_dim;
  const Scalar scale = Scalar{1} / std::sqrt(static_cast<Scalar>(dim));
  if (layer.probs.rows() != c.n_q_heads * n)
    layer.probs.setZero(c.n_q_heads * n, n);  // with the same size it is already 0 above the diagonal
  layer.attended.resize(n, c.n_q_heads * dim);
  for (int64_t h = 0; h < c.n_q_heads; ++h) {
    const auto k = layer.k.middleCols(h / c.group_size() * dim, dim);
    const auto v = layer.v.middleCols(h / c.group_size() * dim, dim);
    for (int64_t begin = 0; begin < n; begin += kBlock) {
      const int64_t rows = std::min(kBlock, n - begin), keys = begin + rows;
      auto p = layer.probs.block(h * n + begin, 0, rows, keys);
      p.noalias() = layer.q.block(begin, h * dim, rows, dim) * k.topRows(keys).transpose();
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t seen = begin + r + 1;
        auto row = p.row(r).head(seen).array();
        row = ((row - row.maxCoeff()) * scale).exp();
        row /= row.sum();
        p.row(r).tail(keys - seen).setZero();
      }
      layer.attended.block(begin, h * dim, rows, dim).noalias() = p * v.topRows(keys);
    }
  }
}

template <typename Scalar>
void Network<Scalar>::forward(const Scalar* params, std::span<const int32_t> tokens) {
  const int64_t n = static_cast<int64_t>(tokens.size());
  LASTROW_CHECK(n > 0 && n <= cos_.rows(), "{} tokens, room for {}", n, cos_.rows());
  const ConstWeight embedding = weight(params, layout_.embedding());
  x_.resize(n, embedding.cols());
  for (int64_t t = 0; t < n; ++t) x_.row(t) = embedding.row(tokens[static_cast<size_t>(t)]);
  for (size_t i = 0; i < layers_.size(); ++i) {
    LayerState& l = layers_[i];
    const ParameterLayout::Layer& w = layout_.layers()[i];
    l.x.swap(x_);
    norm(l.x, weight(params, w.attn_norm), l.normed, l.rstd);
    l.q.noalias() = l.normed * weight(params, w.q).transpose();
    l.k.noalias() = l.normed * weight(params, w.k).transpose();
    l.v.noalias() = l.normed * weight(params, w.v).transpose();
    rotate(l.q, 1);
    rotate(l.k, 1);
    attend(l);
    l.middle = l.x;
    l.middle.noalias() += l.attended * weight(params, w.o).transpose();
    norm(l.middle, weight(params, w.ffn_norm), l.ffn_normed, l.ffn_rstd);
    l.gate.noalias() = l.ffn_normed * weight(params, w.gate).transpose();
    l.up.noalias() = l.ffn_normed * weight(params, w.up).transpose();
    l.hidden = l.gate.array() / (1 + (-l.gate.array()).exp()) * l.up.array();
    x_ = l.middle;
    x_.noalias() += l.hidden * weight(params, w.down).transpose();
  }
  norm(x_, weight(params, layout_.final_norm()), final_normed_, final_rstd_);
  logits_.noalias() = final_normed_ * embedding.transpose();
}

template <typename Scalar>
auto Network<Scalar>::kept() const -> Kept {
  const auto bytes = [](const auto&... kept) {
    return static_cast<int64_t>(sizeof(Scalar)) * (int64_t{kept.size()} + ...);
  };
  Kept sum;
  sum.other = bytes(x_, final_normed_, final_rstd_, logits_);
  for (const LayerState& l : layers_) {
    sum.q += bytes(l.q), sum.k += bytes(l.k), sum.v += bytes(l.v), sum.probs += bytes(l.probs);
    sum.other +=
        bytes(l.x, l.normed, l.rstd, l.attended, l.middle, l.ffn_normed, l.ffn_rstd, l.gate, l.up, l.hidden);
  }
  return sum;
}

template <typename Scalar>
double Network<Scalar>::loss(std::span<const int32_t> tokens) {
  double nats = 0;
  const int64_t n = logits_.rows();
  for (int64_t t = 0; t + 1 < n; ++t) {
    const auto target = static_cast<int64_t>(tokens[static_cast<size_t>(t + 1)]);
    auto row = logits_.row(t).array();
    row = (row - row.maxCoeff()).exp();
    row /= row.sum();
    nats -= std::log(static_cast<double>(row(target)));
    row(target) -= 1;
  }
  logits_.row(n - 1).setZero();
  return nats;
}

template <typename Scalar>
double Network<Scalar>::cross_entropy(std::span<const Choices> targets) {
  double nats = 0;
  LASTROW_CHECK(static_cast<int64_t>(targets.size()) == logits_.rows(), "{} targets for {} tokens",
                targets.size(), logits_.rows());
  for (int64_t t = 0; t < logits_.rows(); ++t) {
    auto row = logits_.row(t).array();
    row -= row.maxCoeff();
    const double log_sum = std::log(static_cast<double>(row.exp().sum()));
    for (const Choice& c : targets[static_cast<size_t>(t)])
      nats += c.probability * (log_sum - static_cast<double>(row(c.token)));
    row = row.exp() * static_cast<Scalar>(std::exp(-log_sum));
    for (const Choice& c : targets[static_cast<size_t>(t)])
      row(c.token) -= static_cast<Scalar>(c.probability);
  }
  return nats;
}

// ---- backward: the functions above in reverse order

template <typename Scalar>
auto Network<Scalar>::gradient(Scalar* gradient, int tensor) const -> Weight {
  const ParameterTensor& t = layout_.tensors()[static_cast<size_t>(tensor)];
  return {gradient + t.offset, t.rows, t.cols};
}

/// y = x̂ g with x̂ = x r, r = 1/√(mean x² + eps):  dg = Σ_t dy x̂,  dx = r (dy g − x̂ · mean(dy g x̂)).
template <typename Scalar>
void Network<Scalar>::norm_backward(const Matrix& x, const Vector& rstd, const ConstWeight& gain,
                                    const Matrix& dy, Matrix& dx, Weight dgain) const {
  const Scalar width = static_cast<Scalar>(x.cols());
  for (int64_t t = 0; t < x.rows(); ++t) {
    const auto unit = (x.row(t) * rstd(t)).array();
    const auto dunit = dy.row(t).array() * gain.row(0).array();
    dgain.row(0).array() += dy.row(t).array() * unit;
    dx.row(t).array() += rstd(t) * (dunit - unit * ((dunit * unit).sum() / width));
  }
}

template <typename Scalar>
void Network<Scalar>::backward(const Scalar* params, std::span<const int32_t> tokens, Scalar scale,
                               Scalar* grad) {
  const ConstWeight embedding = weight(params, layout_.embedding());
  Weight dembedding = gradient(grad, layout_.embedding());
  logits_ *= scale;
  dembedding.noalias() += logits_.transpose() * final_normed_;
  dnormed_.noalias() = logits_ * embedding;
  dx_.setZero(x_.rows(), x_.cols());
  norm_backward(x_, final_rstd_, weight(params, layout_.final_norm()), dnormed_, dx_,
                gradient(grad, layout_.final_norm()));
  for (size_t i = layers_.size(); i-- > 0;) {
    ffn_backward(params, layers_[i], layout_.layers()[i], grad);
    attention_backward(params, layers_[i], layout_.layers()[i], grad);
  }
  for (int64_t t = 0; t < dx_.rows(); ++t) dembedding.row(tokens[static_cast<size_t>(t)]) += dx_.row(t);
}

template <typename Scalar>
void Network<Scalar>::ffn_backward(const Scalar* params, const LayerState& l, const ParameterLayout::Layer& w,
                                   Scalar* grad) {
  gradient(grad, w.down).noalias() += dx_.transpose() * l.hidden;
  dup_.noalias() = dx_ * weight(params, w.down);  // the gradient of hidden = silu(gate) up
  const auto gate = l.gate.array();
  dgate_ = (1 + (-gate).exp()).inverse();  // the sigmoid s; silu' = s (1 + gate (1 − s))
  const Matrix silu = gate * dgate_.array();
  dgate_ = dup_.array() * l.up.array() * dgate_.array() * (1 + gate * (1 - dgate_.array()));
  dup_.array() *= silu.array();
  gradient(grad, w.gate).noalias() += dgate_.transpose() * l.ffn_normed;
  gradient(grad, w.up).noalias() += dup_.transpose() * l.ffn_normed;
  dnormed_.noalias() = dgate_ * weight(params, w.gate);
  dnormed_.noalias() += dup_ * weight(params, w.up);
  norm_backward(l.middle, l.ffn_rstd, weight(params, w.ffn_norm), dnormed_, dx_, gradient(grad, w.ffn_norm));
}

template <typename Scalar>
void Network<Scalar>::attention_backward(const Scalar* params, const LayerState& l,
                                         const ParameterLayout::Layer& w, Scalar* grad) {
  gradient(grad, w.o).noalias() += dx_.transpose() * l.attended;
  dattended_.noalias() = dx_ * weight(params, w.o);
  attend_backward(l);
  rotate(dq_, -1);
  rotate(dk_, -1);
  gradient(grad, w.q).noalias() += dq_.transpose() * l.normed;
  gradient(grad, w.k).noalias() += dk_.transpose() * l.normed;
  gradient(grad, w.v).noalias() += dv_.transpose() * l.normed;
  dnormed_.noalias() = dq_ * weight(params, w.q);
  dnormed_.noalias() += dk_ * weight(params, w.k);
  dnormed_.noalias() += dv_ * weight(params, w.v);
  norm_backward(l.x, l.rstd, weight(params, w.attn_norm), dnormed_, dx_, gradient(grad, w.attn_norm));
}

/// P = softmax(scale q kᵀ), o = P v:  dv += Pᵀ do,  dP = do vᵀ,  dS = P (dP − Σ_s dP P) scale, where the sum
/// is do·o;  dq = dS k,  dk += dSᵀ q. A K/V head adds up the gradients of all query heads of its group.
template <typename Scalar>
void Network<Scalar>::attend_backward(const LayerState& l) {
  const ModelConfig& c = layout_.config();
  const int64_t n = l.q.rows(), dim = c.head_dim;
  const Scalar scale = Scalar{1} / std::sqrt(static_cast<Scalar>(dim));
  dq_.resize(n, l.q.cols());
  dk_.setZero(n, l.k.cols());
  dv_.setZero(n, l.v.cols());
  Matrix ds;
  for (int64_t h = 0; h < c.n_q_heads; ++h) {
    const int64_t g = h / c.group_size() * dim;
    for (int64_t begin = 0; begin < n; begin += kBlock) {
      const int64_t rows = std::min(kBlock, n - begin), keys = begin + rows;
      const auto p = l.probs.block(h * n + begin, 0, rows, keys);
      const auto dout = dattended_.block(begin, h * dim, rows, dim);
      const auto out = l.attended.block(begin, h * dim, rows, dim);
      const auto q = l.q.block(begin, h * dim, rows, dim);
      dv_.block(0, g, keys, dim).noalias() += p.transpose() * dout;
      ds.noalias() = dout * l.v.block(0, g, keys, dim).transpose();
      const Vector inner = dout.cwiseProduct(out).rowwise().sum();
      ds.colwise() -= inner;
      ds.array() *= p.array() * scale;
      dq_.block(begin, h * dim, rows, dim).noalias() = ds * l.k.block(0, g, keys, dim);
      dk_.block(0, g, keys, dim).noalias() += ds.transpose() * q;
    }
  }
}

template class Network<float>;
template class Network<double>;

}  // namespace lastrow::train
