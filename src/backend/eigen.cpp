#include "backend/eigen.h"

#include <Eigen/Core>

namespace lastrow {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Columns =
    Eigen::Map<Matrix, Eigen::Unaligned, Eigen::OuterStride<>>;  // some columns of a row-major matrix
using ConstMatrix = Eigen::Map<const Matrix>;
using Vector = Eigen::Map<Eigen::VectorXf>;
using ConstVector = Eigen::Map<const Eigen::VectorXf>;
using Array = Eigen::Map<Eigen::ArrayXf>;
using ConstArray = Eigen::Map<const Eigen::ArrayXf>;

/// Below this a second thread costs more than it brings: waking it takes some ten microseconds.
constexpr int64_t kFlopWorthThreads = 2'000'000;

ConstArray row_of(ConstTensorView x, int64_t t) { return {x.data<float>() + t * x.row_size(), x.row_size()}; }
Array row_of(TensorView x, int64_t t) { return {x.data<float>() + t * x.row_size(), x.row_size()}; }

}  // namespace

BackendInfo EigenBackend::info() const { return {kName, kDescription, DType::f32, pool_.n_threads()}; }

void EigenBackend::rms_norm(Site, ConstTensorView x, ConstTensorView weight, float eps, TensorView out) {
  checks::rms_norm(x, weight, out);
  const ConstArray w(weight.data<float>(), weight.size());
  for (int64_t t = 0; t < x.dim(0); ++t) {
    const ConstArray row = row_of(x, t);
    row_of(out, t) = w * row * (1.0f / std::sqrt(row.square().mean() + eps));
  }
}

void EigenBackend::linear(Site, ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                          TensorView out) {
  checks::linear(x, weight, bias, out);
  const int64_t n_rows = x.dim(0), n_in = weight.dim(1), n_out = weight.dim(0);
  if (n_rows == 0) return;
  const float *rows = x.data<float>(), *w = weight.data<float>();
  const float* b = bias.empty() ? nullptr : bias.data<float>();
  float* o = out.data<float>();
  const auto panel = [&](int64_t i) {
    const int64_t first = i * kPanel, n = std::min(kPanel, n_out - first);
    const ConstMatrix weights(w + first * n_in, n, n_in);
    if (n_rows == 1) {
      Vector y(o + first, n);
      y.noalias() = weights * ConstVector(rows, n_in);
      if (b != nullptr) y += ConstVector(b + first, n);
    } else {
      Columns y(o + first, n_rows, n, Eigen::OuterStride<>(n_out));
      y.noalias() = ConstMatrix(rows, n_rows, n_in) * weights.transpose();
      if (b != nullptr) y.rowwise() += ConstVector(b + first, n).transpose();
    }
  };
  const int64_t n_panels = (n_out + kPanel - 1) / kPanel;
  if (2 * n_rows * n_in * n_out >= kFlopWorthThreads) {
    pool_.for_each(n_panels, panel);
  } else {
    for (int64_t i = 0; i < n_panels; ++i) panel(i);
  }
}

void EigenBackend::rope(Site, const RopeTable& table, const Batch& batch, TensorView x) {
  checks::rope(table, batch, x);
  using Strided = Eigen::Map<Eigen::ArrayXf, Eigen::Unaligned, Eigen::InnerStride<>>;
  const int64_t n_heads = x.dim(1), head_dim = x.dim(2), half = head_dim / 2;
  const Eigen::InnerStride<> step(table.interleaved ? 2 : 1);
  const int64_t partner = table.interleaved ? 1 : half;
  float* head = x.data<float>();
  for (int64_t t = 0; t < x.dim(0); ++t) {
    const ConstArray cos = row_of(table.cos.view(), batch.positions[t]),
                     sin = row_of(table.sin.view(), batch.positions[t]);
    for (int64_t h = 0; h < n_heads; ++h, head += head_dim) {
      Strided a(head, half, step), b(head + partner, half, step);
      for (int64_t d = 0; d < half; ++d) {
        const float turned = a[d] * cos[d] - b[d] * sin[d];
        b[d] = a[d] * sin[d] + b[d] * cos[d];
        a[d] = turned;
      }
    }
  }
}

void EigenBackend::swiglu(Site, ConstTensorView gate, ConstTensorView up, TensorView out) {
  checks::same_shape("swiglu gate", gate, out);
  checks::same_shape("swiglu up", up, out);
  const ConstArray a(gate.data<float>(), gate.size()), b(up.data<float>(), up.size());
  Array(out.data<float>(), out.size()) = a / (1.0f + (-a).exp()) * b;
}

void EigenBackend::add(Site, ConstTensorView y, TensorView x) {
  checks::same_shape("addend", y, x);
  Array(x.data<float>(), x.size()) += ConstArray(y.data<float>(), y.size());
}

}  // namespace lastrow
