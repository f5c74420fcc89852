// The forward of a decoder, for both architectures (model/config.h). It is written once and runs on any
// Backend.
//
//   Decoder decoder(model, backend);                                   uploads the weights
//   Workspace workspace(decoder.config(), backend, max_tokens, max_logit_rows);
//   const Batch& batch = backend.begin_step(plan, storage);
//   TensorView logits = decoder.forward(backend, batch, storage, workspace);
//
// Prefill, decode and recompute are the same call. Only the tokens and the storage differ:
//   with a cache   the tokens are the new ones, and storage already holds the rows of all earlier tokens
//   without        the tokens are the whole prefix, and storage was emptied before
//
// * Do not use the returned logits after the next forward with the same workspace.
// * After a throw, abort the step (KvCache::abort).
//
// The backend that is passed to forward may be a decorator around the backend that holds the weights. forward
// only calls operations, so Backend::replay may record it. A replayed step does not check *cancel. Its logits
// are in the workspace.
#pragma once

#include <atomic>
#include <vector>

#include "backend/backend.h"
#include "core/stop.h"
#include "model/model.h"

namespace lastrow {

/// The activations of one step. They are allocated once, so a forward allocates nothing.
class Workspace {
 public:
  Workspace(const ModelConfig& config, Backend& backend, int64_t max_tokens, int64_t max_logit_rows);
  int64_t max_tokens() const { return x.shape()[0]; }
  int64_t max_logit_rows() const { return logits.shape()[0]; }
  /// Makes room for the masses of a step (StepPlan::wants_mass): `max_elems` is the largest
  /// n_seqs · keys_per_seq. Call it once, before the first step.
  void make_mass(const ModelConfig& config, Backend& backend, int64_t max_elems);
  /// The masses of all layers of a step, without gaps: [n_layers · n_seqs, keys_per_seq] of the plan. `on_host`:
  /// room on the host to download them to. Throws ShapeError if there is no room.
  TensorView masses(const StepPlan& plan, bool on_host = false);
  /// Makes the scratch for the rotated keys of a layer (StepPlan::new_positions). Call it once, before the first
  /// step. Needs rotated_keys_bytes of the backend's memory.
  void make_rotated_keys(const CacheSpec& cache, Backend& backend);
  /// The bytes that make_rotated_keys allocates, for activations of this type.
  static int64_t rotated_keys_bytes(const CacheSpec& cache, DType activation_dtype);
  /// The bytes that the constructor allocates in the backend's memory, for activations of this type.
  static int64_t bytes(const ModelConfig& config, DType activation_dtype, int64_t max_tokens,
                       int64_t max_logit_rows);

  Tensor x;         // [max_tokens, model_dim]              residual stream
  Tensor normed;    // [max_tokens, model_dim]
  Tensor q;         // [max_tokens, n_q_heads·head_dim]
  Tensor k, v;      // [max_tokens, n_kv_heads·head_dim]
  Tensor attended;  // [max_tokens, n_q_heads·head_dim]
  Tensor lse;       // [max_tokens, n_q_heads]
  Tensor delta;     // [max_tokens, model_dim]              what a sublayer adds to x
  Tensor gate, up;  // [max_tokens, ffn_dim]                gate: empty if the architecture has none
  Tensor hidden;    // [max_tokens, ffn_dim]
  Tensor last;      // [max_logit_rows, model_dim]          rows that need logits; last_normed: after the norm
  Tensor last_normed;
  Tensor logits;           // [max_logit_rows, vocab_size]
  Tensor mass, host_mass;  // [n_layers, max_elems]       empty unless make_mass was called
  // [n_blocks, n_kv_heads, block_len, head_dim]   of the current layer; empty unless make_rotated_keys was called
  Tensor rotated_keys;
};

class Decoder {
 public:
  Decoder(const Model& model, Backend& backend);
  /// The bytes that the constructor allocates in the backend's memory: the weights, and the RoPE table if the
  /// model has one.
  static int64_t bytes(const ModelConfig& config, DType activation_dtype);

  const ModelConfig& config() const { return config_; }

  /// Runs every layer on the tokens of the batch, and appends their K and V rows to storage.
  /// Returns logits [n_logit_rows, vocab_size], a view of the workspace.
  /// Throws ShapeError if the step is larger than the workspace. Checks *cancel before each layer, and throws
  /// Cancelled if it is true.
  TensorView forward(Backend& backend, const Batch& batch, KvStorage& storage, Workspace& workspace,
                     const std::atomic<bool>* cancel = nullptr) const;

 private:
  /// The weights of a norm or of a linear layer. The bias is empty if the architecture has none.
  struct Weights {
    Tensor weight;
    Tensor bias;  // [first dimension of weight]
  };
  struct Layer {
    Weights attn_norm;               // [model_dim]
    Weights q_proj, k_proj, v_proj;  // [n_heads·head_dim, model_dim]
    Weights o_proj;                  // [model_dim, n_q_heads·head_dim]
    Weights ffn_norm;                // [model_dim]
    Weights gate_proj, up_proj;      // [ffn_dim, model_dim]   gate: empty if the architecture has none
    Weights down_proj;               // [model_dim, ffn_dim]
  };
  static Weights upload(const Model& model, Backend& backend, const std::string& name);
  static Layer upload_layer(const Model& model, Backend& backend, int layer);
  void norm(Backend& backend, Site site, ConstTensorView x, const Weights& w, TensorView out) const;
  void attention_block(Backend& backend, const Batch& batch, KvStorage& storage, Workspace& w,
                       int32_t layer) const;
  void ffn_block(Backend& backend, Workspace& w, int64_t n_tokens, int32_t layer) const;

  ModelConfig config_;
  Tensor embedding_;  // [vocab_size, model_dim]
  Tensor positions_;  // [max_seq_len, model_dim]; empty unless positions are learned
  Weights final_norm_;
  Tensor lm_head_;  // empty if tied
  RopeTable rope_;  // empty without RoPE
  std::vector<Layer> layers_;
};

/// The cosines and sines of the angles position · theta^(−2d/head_dim). They are computed in double
/// precision, then the backend converts them.
RopeTable make_rope_table(const ModelConfig& config, Backend& backend);

}  // namespace lastrow
