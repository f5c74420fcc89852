// The forward of a decoder a second time, as plainly as it can be written: the judge of model/decoder.h.
//
//   PlainDecoder plain;                                            sizes by hand, and where weights are found
//   plain.weight = [&](const std::string& name) { return model.weight(name); };
//   std::vector<double> logits = plain_forward(plain, tokens);     [n_tokens, vocab_size]
//
// All backends run the same decoder. If it gives a norm another layer's weights, every backend is wrong in the
// same way, and comparing them shows nothing. This forward shares no code with model/ or with a backend: it has
// its own loops, its own angles and its own names of weights. There is no cache, no batch and no thread, and
// all arithmetic is in double precision. It is slow: use it for small models.
//
// * Do not call anything of model/ or backend/ from here, and do not make this faster.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace lastrow::judge {

/// What a published checkpoint says of a Llama-style decoder, or of a GPT-2.
struct PlainDecoder {
  bool gpt2 = false;  // LayerNorm, learned positions, GELU and biases, in place of RMSNorm, RoPE and SwiGLU
  int64_t n_layers = 0, model_dim = 0, n_q_heads = 0, n_kv_heads = 0, head_dim = 0, ffn_dim = 0,
          vocab_size = 0;
  double norm_eps = 1e-5;
  double rope_theta = 10000;
  bool interleaved = false;  // RoPE turns (2d, 2d + 1) together, else (d, d + head_dim/2)
  bool tied = true;          // the LM head is the embedding table
  /// By its name, for example "model.layers.0.mlp.up_proj.weight": [out, in] in host memory, of any floating
  /// type. Names are those of Llama's checkpoints; a GPT-2 has biases beside them ("….up_proj.bias"), and
  /// "model.embed_positions.weight".
  std::function<ConstTensorView(const std::string& name)> weight;
};

/// The logits after every token; token t is at position t.
/// Throws ShapeError for a weight of the wrong shape, or a token outside the vocabulary.
/// Sources: Touvron et al. 2023, "LLaMA", section 2.2, with grouped queries (Ainslie et al. 2023); Radford et al.
/// 2019, section 2.3 (GPT-2).
std::vector<double> plain_forward(const PlainDecoder& decoder, std::span<const int32_t> tokens);

}  // namespace lastrow::judge
