// All parameters of a decoder in one flat array, and where each tensor is in it.
//
//   ParameterLayout layout(config);
//   std::vector<float> params = initial_parameters(layout, seed);
//   for (const ParameterTensor& t : layout.tensors()) …        names and shapes as in model/config.h
//
// With one flat array the optimizer, clipping, the gradient check and the sum over threads are plain loops.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"

namespace lastrow::train {

struct ParameterTensor {
  std::string name;
  int64_t rows, cols;  // a vector is one row
  int64_t offset;      // in elements
  bool is_vector;      // the gain of a norm: starts at 1, without weight decay
  int64_t size() const { return rows * cols; }
};

class ParameterLayout {
 public:
  /// Indices into tensors() of one layer.
  struct Layer {
    int attn_norm, q, k, v, o, ffn_norm, gate, up, down;
  };

  /// Throws ShapeError for a config that cannot run or whose embeddings are not tied.
  explicit ParameterLayout(const ModelConfig& config);

  const ModelConfig& config() const { return config_; }
  const std::vector<ParameterTensor>& tensors() const { return tensors_; }
  const std::vector<Layer>& layers() const { return layers_; }
  int embedding() const { return 0; }
  int final_norm() const { return static_cast<int>(tensors_.size()) - 1; }
  int64_t size() const { return size_; }

 private:
  int add(std::string name, int64_t rows, int64_t cols, bool is_vector);

  ModelConfig config_;
  std::vector<ParameterTensor> tensors_;
  std::vector<Layer> layers_;
  int64_t size_ = 0;
};

/// Matrices: normal with variance 1/columns; those that write to the residual stream are divided by
/// √(2·n_layers). The embedding: standard deviation 0.1. Gains: 1.
std::vector<float> initial_parameters(const ParameterLayout& layout, uint64_t seed);

}  // namespace lastrow::train
