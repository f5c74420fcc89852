#include "backend/eigen.h"

#include <Eigen/Core>
#include <array>
#include <optional>
#include <vector>

#include "backend/few_rows.h"
#include "backend/tile_rows.h"
#include "backend/vector_rows.h"
#include "core/stop.h"

namespace lastrow {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// Some columns of a row-major matrix.
using Columns = Eigen::Map<Matrix, Eigen::Unaligned, Eigen::OuterStride<>>;
using ConstMatrix = Eigen::Map<const Matrix>;
using Vector = Eigen::Map<Eigen::VectorXf>;
using ConstVector = Eigen::Map<const Eigen::VectorXf>;
using Array = Eigen::Map<Eigen::ArrayXf>;
using ConstArray = Eigen::Map<const Eigen::ArrayXf>;

/// With less work, a second thread makes a product slower, because waking it takes about ten microseconds.
constexpr int64_t kFlopWorthThreads = 2'000'000;

ConstArray row_of(ConstTensorView x, int64_t t) { return {x.data<float>() + t * x.row_size(), x.row_size()}; }
Array row_of(TensorView x, int64_t t) { return {x.data<float>() + t * x.row_size(), x.row_size()}; }

/// Rotates the pairs of one head by the angles of a position. `to` may be `from`.
void rotate(const RopeTable& table, int64_t position, const float* from, float* to) {
  using Strided = Eigen::Map<Eigen::ArrayXf, Eigen::Unaligned, Eigen::InnerStride<>>;
  using ConstStrided = Eigen::Map<const Eigen::ArrayXf, Eigen::Unaligned, Eigen::InnerStride<>>;
  const ConstArray cos = row_of(table.cos.view(), position), sin = row_of(table.sin.view(), position);
  const int64_t half = cos.size(), partner = table.interleaved ? 1 : half;
  const Eigen::InnerStride<> step(table.interleaved ? 2 : 1);
  const ConstStrided a(from, half, step), b(from + partner, half, step);
  Strided to_a(to, half, step), to_b(to + partner, half, step);
  for (int64_t d = 0; d < half; ++d) {
    const float turned = a[d] * cos[d] - b[d] * sin[d];
    to_b[d] = a[d] * sin[d] + b[d] * cos[d];
    to_a[d] = turned;
  }
}

}  // namespace

EigenBackend::EigenBackend(int32_t n_threads, Sums sums)
    : pool_(n_threads), in_registers_(sums == Sums::fast && vector_rows::is_built()) {}

BackendInfo EigenBackend::info() const {
  return {.name = kName,
          .description = kDescription,
          .activation_dtype = DType::f32,
          .n_threads = pool_.n_threads(),
          .is_fast = true};
}

/// One function for each operation. Attention is in eigen_attend.cpp and eigen_probabilities.cpp. CpuBackend has the
/// operations that only move or choose rows.
struct EigenBackend::Compute {
  EigenBackend& self;

  void operator()(const RmsNorm& op) const {
    const ConstArray w(op.weight.data<float>(), op.weight.size());
    for (int64_t t = 0; t < op.x.dim(0); ++t) {
      const ConstArray row = row_of(op.x, t);
      row_of(op.out, t) = w * row * (1.0f / std::sqrt(row.square().mean() + op.eps));
    }
  }

  void operator()(const LayerNorm& op) const {
    const ConstArray w(op.weight.data<float>(), op.weight.size()), b(op.bias.data<float>(), op.bias.size());
    for (int64_t t = 0; t < op.x.dim(0); ++t) {
      const ConstArray row = row_of(op.x, t);
      const float mean = row.mean(), variance = (row - mean).square().mean();
      row_of(op.out, t) = w * ((row - mean) * (1.0f / std::sqrt(variance + op.eps))) + b;
    }
  }

  void operator()(const Linear& op) const {
    const int64_t n_rows = op.x.dim(0), n_in = op.weight.dim(1), n_out = op.weight.dim(0);
    if (n_rows == 0) return;
    const float *rows = op.x.data<float>(), *w = op.weight.data<float>();
    const float* b = op.bias.empty() ? nullptr : op.bias.data<float>();
    float* o = op.out.data<float>();
    std::optional<FewRows> few;
    if (n_rows > 1 && n_rows <= FewRows::kMost) few.emplace(rows, n_rows, n_in, self.few_rows_);
    const auto panel = [&](int64_t i) {
      const int64_t first = i * kPanel, n = std::min(kPanel, n_out - first);
      const ConstMatrix weights(w + first * n_in, n, n_in);
      if (n_rows == 1) {
        Vector y(o + first, n);
        y.noalias() = weights * ConstVector(rows, n_in);
        if (b != nullptr) y += ConstVector(b + first, n);
      } else {
        Columns y(o + first, n_rows, n, Eigen::OuterStride<>(n_out));
        if (few)
          few->times(weights.data(), n, o + first, n_out);
        else
          y.noalias() = ConstMatrix(rows, n_rows, n_in) * weights.transpose();
        if (b != nullptr) y.rowwise() += ConstVector(b + first, n).transpose();
      }
    };
    const int64_t n_panels = (n_out + kPanel - 1) / kPanel;
    if (2 * n_rows * n_in * n_out >= kFlopWorthThreads) {
      self.pool_.for_each(n_panels, panel);
    } else {
      for (int64_t i = 0; i < n_panels; ++i) panel(i);
    }
  }

  void operator()(const Rope& op) const {
    const int64_t n_heads = op.x.dim(1), head_dim = op.x.dim(2);
    float* head = op.x.data<float>();
    for (int64_t t = 0; t < op.x.dim(0); ++t)
      for (int64_t h = 0; h < n_heads; ++h, head += head_dim)
        rotate(op.table, op.batch.positions[t], head, head);
  }

  void operator()(const RotateKeys& op) const {
    const StepPlan& plan = *op.batch.plan;
    const LayerRows stored(op.storage, op.site.layer, RowKind::k);
    const RowLayout layout = stored.layout;
    std::array<float, vector_rows::kMostHeadDim> small;
    std::vector<float> large(layout.head_dim > vector_rows::kMostHeadDim ? layout.head_dim : 0);
    float* const room = large.empty() ? small.data() : large.data();
    for (int32_t i = 0; i < plan.n_seqs(); ++i)
      for (int32_t g = 0; g < layout.n_kv_heads; ++g) {
        const HeadRows k = stored.of(block_table(op.batch, i), g);
        for (int32_t s = 0; s < plan.kv_len[i]; ++s) {
          const int32_t* positions = op.batch.key_positions;
          rotate(op.table, positions == nullptr ? s : positions[i * plan.keys_per_seq() + s], k.row(s, room),
                 op.keys.data<float>() + row_offset(layout, slot_of(k.table, s), g));
        }
      }
  }

  void operator()(const Attend& op) const { self.attend(op); }
  void operator()(const Probe& op) const { self.probe(op); }
  void operator()(const ScoreMass& op) const { self.score_mass(op); }

  void operator()(const Swiglu& op) const {
    const ConstArray a(op.gate.data<float>(), op.gate.size()), b(op.up.data<float>(), op.up.size());
    Array(op.out.data<float>(), op.out.size()) = a / (1.0f + (-a).exp()) * b;
  }

  void operator()(const Gelu& op) const {
    constexpr auto kC = static_cast<float>(Gelu::kSqrt2OverPi), kCubic = static_cast<float>(Gelu::kCubic);
    const ConstArray x(op.x.data<float>(), op.x.size());
    Array(op.out.data<float>(), op.out.size()) = 0.5f * x * (1.0f + (kC * (x + kCubic * x.cube())).tanh());
  }

  void operator()(const Add& op) const {
    Array(op.x.data<float>(), op.x.size()) += ConstArray(op.y.data<float>(), op.y.size());
  }

  template <typename RowsMoved>
  void operator()(const RowsMoved& op) const {
    self.compute(op);
  }
};

void EigenBackend::run(const Op& op) {
  check(op);
  stop_if_asked();
  std::visit(Compute{*this}, op);
}

}  // namespace lastrow
