#include "model/decoder.h"

#include <cmath>

#include "ops/site.h"

namespace lastrow {

Workspace::Workspace(const ModelConfig& c, Backend& backend, int64_t max_tokens, int64_t max_logit_rows)
    : x(backend.make_tensor({max_tokens, c.model_dim})),
      normed(backend.make_tensor({max_tokens, c.model_dim})),
      q(backend.make_tensor({max_tokens, c.n_q_heads * c.head_dim})),
      k(backend.make_tensor({max_tokens, c.n_kv_heads * c.head_dim})),
      v(backend.make_tensor({max_tokens, c.n_kv_heads * c.head_dim})),
      attended(backend.make_tensor({max_tokens, c.n_q_heads * c.head_dim})),
      lse(backend.make_tensor({max_tokens, c.n_q_heads})),
      delta(backend.make_tensor({max_tokens, c.model_dim})),
      gate(backend.make_tensor({c.gates_ffn() ? max_tokens : 0, c.ffn_dim})),
      up(backend.make_tensor({max_tokens, c.ffn_dim})),
      hidden(backend.make_tensor({max_tokens, c.ffn_dim})),
      last(backend.make_tensor({max_logit_rows, c.model_dim})),
      last_normed(backend.make_tensor({max_logit_rows, c.model_dim})),
      logits(backend.make_tensor({max_logit_rows, c.vocab_size})) {}

void Workspace::make_mass(const ModelConfig& c, Backend& backend, int64_t max_elems) {
  mass = backend.make_tensor({c.n_layers, max_elems});
  host_mass = Tensor::host(DType::f32, {c.n_layers, max_elems});
}

void Workspace::make_rotated_keys(const CacheSpec& cache, Backend& backend) {
  rotated_keys = backend.make_tensor({cache.n_blocks, cache.n_kv_heads, cache.block_len, cache.head_dim});
}

int64_t Workspace::rotated_keys_bytes(const CacheSpec& cache, DType activation_dtype) {
  return cache.layer_rows(0) * cache.head_dim * static_cast<int64_t>(size_of(activation_dtype));
}

TensorView Workspace::masses(const StepPlan& plan, bool on_host) {
  Tensor& all = on_host ? host_mass : mass;
  const int64_t n_layers = all.empty() ? 0 : all.shape()[0], n_rows = n_layers * plan.n_seqs();
  if (all.empty() || n_rows * plan.keys_per_seq() > all.size())
    throw ShapeError("the masses of {} sequences of {} keys in a workspace for {} in a layer: call make_mass",
                     plan.n_seqs(), plan.keys_per_seq(), all.empty() ? 0 : all.shape()[1]);
  return all.view()
      .reshaped({all.size()})
      .rows(0, n_rows * plan.keys_per_seq())
      .reshaped({n_rows, plan.keys_per_seq()});
}

int64_t Workspace::bytes(const ModelConfig& c, DType activation_dtype, int64_t max_tokens,
                         int64_t max_logit_rows) {
  const int64_t q_dim = int64_t{c.n_q_heads} * c.head_dim, kv_dim = int64_t{c.n_kv_heads} * c.head_dim;
  const int64_t of_token = 3 * int64_t{c.model_dim} + 2 * q_dim + 2 * kv_dim + c.n_q_heads +
                           (c.gates_ffn() ? 3 : 2) * int64_t{c.ffn_dim};
  const int64_t of_logit_row = 2 * int64_t{c.model_dim} + c.vocab_size;
  return (max_tokens * of_token + max_logit_rows * of_logit_row) *
         static_cast<int64_t>(size_of(activation_dtype));
}

int64_t Decoder::bytes(const ModelConfig& c, DType activation_dtype) {
  // Half of them cosines, half sines.
  const int64_t angles = c.has_rope() ? int64_t{c.max_seq_len} * c.head_dim : 0;
  return (n_params(shape_of(c)) + angles) * static_cast<int64_t>(size_of(activation_dtype));
}

RopeTable make_rope_table(const ModelConfig& c, Backend& backend) {
  const int64_t half = c.head_dim / 2;
  Tensor cos = Tensor::host(DType::f64, {c.max_seq_len, half}),
         sin = Tensor::host(DType::f64, {c.max_seq_len, half});
  for (int64_t position = 0; position < c.max_seq_len; ++position)
    for (int64_t d = 0; d < half; ++d) {
      const double angle = static_cast<double>(position) *
                           std::pow(double{c.rope_theta}, -2.0 * static_cast<double>(d) / c.head_dim);
      cos.data<double>()[position * half + d] = std::cos(angle);
      sin.data<double>()[position * half + d] = std::sin(angle);
    }
  return {backend.upload(cos.view()), backend.upload(sin.view()), c.rope_pairing == RopePairing::interleaved};
}

Decoder::Decoder(const Model& model, Backend& backend) : config_(model.config()) {
  embedding_ = backend.upload(model.weight("model.embed_tokens.weight"));
  final_norm_ = upload(model, backend, "model.norm.weight");
  if (!config_.tied_embeddings) lm_head_ = backend.upload(model.weight("lm_head.weight"));
  if (config_.learns_positions()) positions_ = backend.upload(model.weight("model.embed_positions.weight"));
  if (config_.has_rope()) rope_ = make_rope_table(config_, backend);
  for (int i = 0; i < config_.n_layers; ++i) {
    stop_if_asked();
    layers_.push_back(upload_layer(model, backend, i));
  }
}

Decoder::Weights Decoder::upload(const Model& model, Backend& backend, const std::string& name) {
  Weights w{backend.upload(model.weight(name)), {}};
  if (model.config().has_biases()) w.bias = backend.upload(model.weight(bias_name(name)));
  return w;
}

Decoder::Layer Decoder::upload_layer(const Model& model, Backend& backend, int layer) {
  const auto weights = [&](const char* tail) { return upload(model, backend, weight_name(layer, tail)); };
  return {.attn_norm = weights("input_layernorm.weight"),
          .q_proj = weights("self_attn.q_proj.weight"),
          .k_proj = weights("self_attn.k_proj.weight"),
          .v_proj = weights("self_attn.v_proj.weight"),
          .o_proj = weights("self_attn.o_proj.weight"),
          .ffn_norm = weights("post_attention_layernorm.weight"),
          .gate_proj = model.config().gates_ffn() ? weights("mlp.gate_proj.weight") : Weights{},
          .up_proj = weights("mlp.up_proj.weight"),
          .down_proj = weights("mlp.down_proj.weight")};
}

TensorView Decoder::forward(Backend& backend, const Batch& batch, KvStorage& storage, Workspace& w,
                            const std::atomic<bool>* cancel) const {
  const int64_t n_tokens = batch.plan->n_tokens(), n_rows = batch.plan->n_logit_rows();
  if (n_tokens > w.max_tokens() || n_rows > w.max_logit_rows())
    throw ShapeError(
        "a step of {} tokens and {} logit rows in a workspace for {} and {}: make the Workspace larger",
        n_tokens, n_rows, w.max_tokens(), w.max_logit_rows());
  const TensorView x = w.x.view().rows(0, n_tokens);
  const TensorView last = w.last.view().rows(0, n_rows), last_normed = w.last_normed.view().rows(0, n_rows);
  const TensorView logits = w.logits.view().rows(0, n_rows);

  backend.run(Embed{{-1, site::kEmbed}, embedding_, batch, x});
  if (config_.learns_positions())
    backend.run(EmbedPositions{{-1, site::kEmbedPositions}, positions_, batch, x});
  for (int32_t layer = 0; layer < config_.n_layers; ++layer) {
    if (cancel != nullptr && cancel->load(std::memory_order_relaxed))
      throw Cancelled("cancelled before layer {}: nothing has changed", layer);
    attention_block(backend, batch, storage, w, layer);
    ffn_block(backend, w, n_tokens, layer);
  }
  if (n_rows == 0) return logits;
  backend.run(GatherRows{{-1, site::kGatherRows}, x, batch, last});
  norm(backend, {-1, site::kFinalNorm}, last, final_norm_, last_normed);
  backend.run(
      Linear{{-1, site::kLmHead}, last_normed, config_.tied_embeddings ? embedding_ : lm_head_, {}, logits});
  return logits;
}

void Decoder::norm(Backend& backend, Site site, ConstTensorView x, const Weights& w, TensorView out) const {
  if (config_.architecture == Architecture::gpt2)
    backend.run(LayerNorm{site, x, w.weight, w.bias, config_.norm_eps, out});
  else
    backend.run(RmsNorm{site, x, w.weight, config_.norm_eps, out});
}

/// x += o_proj · attention(norm(x)), keeping this step's K and V rows on the way.
void Decoder::attention_block(Backend& backend, const Batch& batch, KvStorage& storage, Workspace& w,
                              int32_t layer) const {
  const Layer& weights = layers_[static_cast<size_t>(layer)];
  const int64_t n_tokens = batch.plan->n_tokens();
  const Shape q_shape{n_tokens, config_.n_q_heads, config_.head_dim};
  const Shape kv_shape{n_tokens, config_.n_kv_heads, config_.head_dim};
  const TensorView x = w.x.view().rows(0, n_tokens), normed = w.normed.view().rows(0, n_tokens);
  const TensorView q = w.q.view().rows(0, n_tokens), k = w.k.view().rows(0, n_tokens),
                   v = w.v.view().rows(0, n_tokens);
  const TensorView attended = w.attended.view().rows(0, n_tokens), lse = w.lse.view().rows(0, n_tokens);
  const TensorView delta = w.delta.view().rows(0, n_tokens);

  norm(backend, {layer, site::kAttnNorm}, x, weights.attn_norm, normed);
  backend.run(Linear{{layer, site::kQProj}, normed, weights.q_proj.weight, weights.q_proj.bias, q});
  backend.run(Linear{{layer, site::kKProj}, normed, weights.k_proj.weight, weights.k_proj.bias, k});
  backend.run(Linear{{layer, site::kVProj}, normed, weights.v_proj.weight, weights.v_proj.bias, v});
  const bool rotates_keys = config_.has_rope() && batch.plan->uses_new_positions();
  if (config_.has_rope()) backend.run(Rope{{layer, site::kRopeQ}, rope_, batch, q.reshaped(q_shape)});
  if (config_.has_rope() && !rotates_keys)
    backend.run(Rope{{layer, site::kRopeK}, rope_, batch, k.reshaped(kv_shape)});
  const Batch& own = batch.of_layer(layer);
  backend.run(Append{{layer, site::kAppend}, k.reshaped(kv_shape), v.reshaped(kv_shape), own, storage});
  if (rotates_keys) backend.run(RotateKeys{{layer, site::kRotateKeys}, rope_, own, storage, w.rotated_keys});
  const AttendSpec spec = attend_spec(config_, layer, own.plan->window, own.plan->window_sinks);
  backend.run(Attend{.site = {layer, site::kAttend},
                     .q = q.reshaped(q_shape),
                     .storage = storage,
                     .batch = own,
                     .spec = spec,
                     .out = attended.reshaped(q_shape),
                     .lse = lse,
                     .keys = rotates_keys ? w.rotated_keys.view() : ConstTensorView{}});
  if (batch.plan->wants_mass)
    backend.run(
        ScoreMass{.site = {layer, site::kScoreMass},
                  .q = q.reshaped(q_shape),
                  .lse = lse,
                  .storage = storage,
                  .batch = own,
                  .spec = spec,
                  .mass = w.masses(*batch.plan).rows(layer * batch.plan->n_seqs(), batch.plan->n_seqs())});
  if (!own.plan->seals.empty()) backend.run(SealKeys{{layer, site::kSealKeys}, own, storage});
  backend.run(Linear{{layer, site::kOProj}, attended, weights.o_proj.weight, weights.o_proj.bias, delta});
  backend.run(Add{{layer, site::kAddAttn}, delta, x});
}

/// x += down_proj · h(norm(x)), each row by itself, with
///   h(y) = silu(gate_proj · y) ⊙ up_proj · y    (Llama)
///   h(y) = gelu(up_proj · y)                    (GPT-2)
void Decoder::ffn_block(Backend& backend, Workspace& w, int64_t n_tokens, int32_t layer) const {
  const Layer& weights = layers_[static_cast<size_t>(layer)];
  const TensorView x = w.x.view().rows(0, n_tokens), normed = w.normed.view().rows(0, n_tokens);
  const TensorView up = w.up.view().rows(0, n_tokens), hidden = w.hidden.view().rows(0, n_tokens),
                   delta = w.delta.view().rows(0, n_tokens);

  norm(backend, {layer, site::kFfnNorm}, x, weights.ffn_norm, normed);
  if (config_.gates_ffn()) {
    const TensorView gate = w.gate.view().rows(0, n_tokens);
    backend.run(Linear{{layer, site::kGateProj}, normed, weights.gate_proj.weight, {}, gate});
    backend.run(Linear{{layer, site::kUpProj}, normed, weights.up_proj.weight, {}, up});
    backend.run(Swiglu{{layer, site::kSwiglu}, gate, up, hidden});
  } else {
    backend.run(Linear{{layer, site::kUpProj}, normed, weights.up_proj.weight, weights.up_proj.bias, up});
    backend.run(Gelu{{layer, site::kGelu}, up, hidden});
  }
  backend.run(
      Linear{{layer, site::kDownProj}, hidden, weights.down_proj.weight, weights.down_proj.bias, delta});
  backend.run(Add{{layer, site::kAddFfn}, delta, x});
}

}  // namespace lastrow
