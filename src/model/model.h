// A model on the host: config, tokenizer and weights, from wherever they come.
//
//   auto model = load_model("fable-gqa");                                built in
//   auto model = load_model("path/to/model.safetensors");                a file as lessons/train writes it
//   auto model = load_model("random:layers=8,q_heads=16,kv_heads=4,head_dim=64,seed=1");   to measure with
//
// A model is immutable and may be shared by any number of sessions. Its weights stay in the type they were
// stored in, and where the file's bytes lie: those of a built-in model in the program's own read-only data. A
// backend converts them one by one when a Decoder uploads them, so that the file's bytes, the backend's
// copies and one tensor on its way are all that is held.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "io/safetensors.h"
#include "model/config.h"
#include "model/tokenizer.h"

namespace lastrow {

class Model {
 public:
  /// Checks that every tensor of the config is there with its shape, and finite. Throws FileError naming
  /// `source`, ShapeError for a config that validate() refuses.
  Model(std::string source, ModelConfig config, Tokenizer tokenizer, std::map<std::string, Tensor> weights);
  /// The same of the file's tensors, where they lie.
  Model(SafetensorsFile file, ModelConfig config, Tokenizer tokenizer);

  const ModelConfig& config() const { return config_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const std::string& source() const { return source_; }
  ConstTensorView weight(const std::string& name) const;
  int64_t n_params() const;
  int64_t weight_bytes() const;

 private:
  void check() const;

  std::string source_;
  ModelConfig config_;
  Tokenizer tokenizer_;
  std::optional<SafetensorsFile> file_;  // this or tensors_ holds what the weights show
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, ConstTensorView> weights_;
};

/// By name, file or description, as above. Throws UsageError for an unknown name (listing the known ones) or
/// a wrong description, FileError for a missing or damaged file.
std::shared_ptr<const Model> load_model(const std::string& spec);

/// The file that load_model would read: spec itself, or "" for a built-in model or one of random weights.
std::string file_of_model(const std::string& spec);

/// Names that load_model knows without a file: "fable-mha", "fable-gqa", "fable-mqa".
std::vector<std::string> builtin_model_names();

/// random:KEY=VALUE,…   arch llama (or gpt2) · layers 4 · q_heads 8 · kv_heads q_heads · head_dim 64 · model_dim q_heads·head_dim ·
/// ffn 2·model_dim · vocab 256 · context 1024 · seed 1. Weights are uniform with variance 1/in, so that
/// activations keep their size through any depth: element i of the n-th matrix is a function of word i of
/// stream n of the seed (core/random.h). Norm weights are uniform in [0.75, 1.25) and all differ: the final
/// norm is stream 2^32 of the seed, and the two of each layer are the next ones. Biases, where the architecture
/// has them, are uniform in [−0.25, 0.25), the streams from 2^33 in the order of their names. Throws UsageError for an
/// unknown key or a number outside 0 … 2^24, ShapeError for sizes that cannot run, CapacityError, before it
/// begins, for weights beyond the free memory.
std::shared_ptr<const Model> random_model(const std::string& spec);
/// What it asks the host's memory for: the weights, and what their tensors take beside the numbers.
int64_t random_model_bytes(const ModelConfig& config);
/// The sizes alone, at no cost, however large the model.
ModelConfig random_model_config(const std::string& spec);

}  // namespace lastrow
