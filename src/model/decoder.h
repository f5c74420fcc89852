// The one forward of the project: a decoder of either architecture (model/config.h), written once in terms of
// Backend.
//
//   Decoder decoder(model, backend);                                   uploads the weights
//   Workspace workspace(decoder.config(), backend, max_tokens, max_logit_rows);
//   const Batch& batch = backend.begin_step(plan, storage);
//   TensorView logits = decoder.forward(backend, batch, storage, workspace);
//
// Prefill, decode and recompute are this same call with other tokens and another cache: with a cache, the
// tokens are the new ones and storage already holds the rows of the past; without, storage is emptied first
// and the tokens are the whole prefix. Nothing in here knows which it is.
//
// The backend passed to forward may be a decorator over the one that holds the weights. forward calls
// operations alone, so it may be what a backend replays: a step that is replayed asks *cancel nothing, and
// its logits are in the workspace.
#pragma once

#include <atomic>
#include <vector>

#include "backend/backend.h"
#include "model/model.h"

namespace lastrow {

/// Thrown by forward when it is asked to stop; the step is to be aborted.
struct Cancelled : Error {
  using Error::Error;
};

/// The activations of one step, made once: a forward allocates nothing.
class Workspace {
 public:
  Workspace(const ModelConfig& config, Backend& backend, int64_t max_tokens, int64_t max_logit_rows);
  int64_t max_tokens() const { return x.shape()[0]; }
  int64_t max_logit_rows() const { return logits.shape()[0]; }
  /// What the constructor asks the backend's memory for, in activations of this type.
  static int64_t bytes(const ModelConfig& config, DType activation_dtype, int64_t max_tokens,
                       int64_t max_logit_rows);

  Tensor x;         // [max_tokens, model_dim]              residual stream
  Tensor normed;    // [max_tokens, model_dim]
  Tensor q;         // [max_tokens, n_q_heads·head_dim]
  Tensor k, v;      // [max_tokens, n_kv_heads·head_dim]
  Tensor attended;  // [max_tokens, n_q_heads·head_dim]
  Tensor lse;       // [max_tokens, n_q_heads]
  Tensor delta;     // [max_tokens, model_dim]              what a sublayer adds to x
  Tensor gate, up;  // [max_tokens, ffn_dim]                gate: only where the architecture has one
  Tensor hidden;    // [max_tokens, ffn_dim]
  Tensor last;      // [max_logit_rows, model_dim]          rows that need logits, then the same normed
  Tensor last_normed;
  Tensor logits;  // [max_logit_rows, vocab_size]
};

class Decoder {
 public:
  Decoder(const Model& model, Backend& backend);
  /// What the constructor asks the backend's memory for: weights, and the RoPE table if the model has one.
  static int64_t bytes(const ModelConfig& config, DType activation_dtype);

  const ModelConfig& config() const { return config_; }

  /// Runs every layer on the batch's tokens; appends their K and V rows to storage on the way.
  /// Returns logits [n_logit_rows, vocab_size], a view of the workspace.
  /// Throws ShapeError if the step is larger than the workspace, Cancelled before a layer once *cancel holds.
  TensorView forward(Backend& backend, const Batch& batch, KvStorage& storage, Workspace& workspace,
                     const std::atomic<bool>* cancel = nullptr) const;

 private:
  /// Of a norm or a linear layer. The bias is empty where the architecture has none.
  struct Weights {
    Tensor weight;
    Tensor bias;  // [first dimension of weight]
  };
  struct Layer {
    Weights attn_norm;               // [model_dim]
    Weights q_proj, k_proj, v_proj;  // [n_heads·head_dim, model_dim]
    Weights o_proj;                  // [model_dim, n_q_heads·head_dim]
    Weights ffn_norm;                // [model_dim]
    Weights gate_proj, up_proj;      // [ffn_dim, model_dim]   gate: only where the architecture has one
    Weights down_proj;               // [model_dim, ffn_dim]
  };
  static Weights upload(const Model& model, Backend& backend, const std::string& name);
  static Layer upload_layer(const Model& model, Backend& backend, int layer);
  void norm(Backend& backend, Site site, ConstTensorView x, const Weights& w, TensorView out) const;
  void attention_block(Backend& backend, const Batch& batch, KvStorage& storage, Workspace& w,
                       int32_t layer) const;
  void ffn_block(Backend& backend, Workspace& w, int64_t n_tokens, int32_t layer) const;

  ModelConfig config_;
  AttendSpec attend_spec_;
  Tensor embedding_;  // [vocab_size, model_dim]
  Tensor positions_;  // [max_seq_len, model_dim], empty under RoPE
  Weights final_norm_;
  Tensor lm_head_;  // empty if tied
  RopeTable rope_;  // empty where positions are learned
  std::vector<Layer> layers_;
};

/// Angles position · theta^(−2d/head_dim), in double precision, then converted by the backend.
RopeTable make_rope_table(const ModelConfig& config, Backend& backend);

}  // namespace lastrow
