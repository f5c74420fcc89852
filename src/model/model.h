// A model on the host: its config, tokenizer and weights.
//
//   auto model = load_model("fable-gqa");                     built in
//   auto model = load_model("path/to/model.safetensors");     a file that lessons/train wrote
//   auto model = load_model("random:layers=8,q_heads=16,kv_heads=4,head_dim=64,seed=1");    for measurements
//
// A model never changes, and any number of sessions may share it.
//
// Its weights keep their stored type, and are not copied out of the bytes of the file. The bytes of a
// built-in model are in the program's read-only data. When a Decoder uploads the weights, the backend
// converts them one by one. So memory holds only the bytes of the file, the backend's copies, and one tensor
// in conversion.
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
  /// Checks that every tensor of the config exists, has the right shape, and is finite. Throws FileError that
  /// starts with `source`, or ShapeError for a config that validate() refuses.
  Model(std::string source, ModelConfig config, Tokenizer tokenizer, std::map<std::string, Tensor> weights);
  /// The same with the tensors of a file. They are not copied.
  Model(SafetensorsFile file, ModelConfig config, Tokenizer tokenizer);

  const ModelConfig& config() const { return config_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const std::string& source() const { return source_; }
  ConstTensorView weight(const std::string& name) const;
  /// All weights, by ascending name.
  const std::map<std::string, ConstTensorView>& weights() const { return weights_; }
  int64_t n_params() const;
  int64_t weight_bytes() const;

 private:
  void check() const;

  std::string source_;
  ModelConfig config_;
  Tokenizer tokenizer_;
  std::optional<SafetensorsFile> file_;  // either this or tensors_ owns what weights_ refers to
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, ConstTensorView> weights_;
};

/// Takes a name, a file or a description, as above. Throws UsageError for an unknown name (the message lists
/// the known ones) or a wrong description, and FileError for a missing or damaged file.
std::shared_ptr<const Model> load_model(const std::string& spec);

/// The file that load_model would read: `spec` itself, or "" for a built-in or random model.
std::string model_file(const std::string& spec);

/// The names that load_model knows without a file: "fable-mha", "fable-gqa", "fable-mqa".
std::vector<std::string> builtin_model_names();

/// A model with random weights. `spec` is random:KEY=VALUE,… with these keys and defaults:
///   layers 4            q_heads 8                      kv_heads = q_heads
///   head_dim 64         model_dim = q_heads·head_dim   ffn = 2·model_dim
///   vocab 256           context 1024                   seed 1
///   arch llama          or gpt2
///   alibi 0             1: ALiBi in place of RoPE
///   soft_cap 0          scores stay within ± this
///   window 0            keys that a layer sees, in layers 0, window_period, 2·window_period, …
///   window_period 1
/// Matrices are uniform with variance 1/in, so that activations keep their size at any depth. Element i of
/// matrix n comes from word i of stream n of the seed (core/random.h).
/// Norm weights are uniform in [0.75, 1.25), and all norms differ: the final norm is stream 2^32 of the seed,
/// and the two norms of each layer are the next streams. Biases, where the architecture has them, are uniform
/// in [−0.25, 0.25): the streams from 2^33, in the order of their names.
/// Throws UsageError for an unknown key or a number outside 0 … 2^24, and ShapeError for sizes that cannot
/// run. Throws CapacityError, before it allocates, if the weights are larger than the free memory.
std::shared_ptr<const Model> random_model(const std::string& spec);
/// The memory that such a model needs: its weights, and the overhead of each tensor.
int64_t random_model_bytes(const ModelConfig& config);
/// Only the config of such a model. This allocates no weights.
ModelConfig random_model_config(const std::string& spec);

}  // namespace lastrow
