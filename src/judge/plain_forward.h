// A second forward of a decoder, written as plainly as possible: the judge of model/decoder.h.
//
//   PlainDecoder plain;                                            set the sizes by hand, and the weights:
//   plain.weight = [&](const std::string& name) { return model.weight(name); };
//   std::vector<double> logits = plain_forward(plain, tokens);     [n_tokens, vocab_size]
//
// All backends run the same decoder. If the decoder gives a norm the weights of another layer, all backends
// are wrong in the same way, and comparing them shows nothing. So this forward shares no code with model/ or
// with a backend: it has its own loops, its own RoPE angles and its own names of weights. It has no cache, no
// batch and no threads, and computes in double precision. It is slow: use it for small models.
//
// * Do not call code of model/ or backend/ from here.
// * Do not make this faster.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace lastrow::judge {

/// The sizes and weights of a published checkpoint: a Llama-style decoder or a GPT-2.
struct PlainDecoder {
  bool gpt2 = false;  // has LayerNorm, learned positions, GELU and biases instead of RMSNorm, RoPE and SwiGLU
  int64_t n_layers = 0, model_dim = 0, n_q_heads = 0, n_kv_heads = 0, head_dim = 0, ffn_dim = 0,
          vocab_size = 0;
  double norm_eps = 1e-5;
  double rope_theta = 10000;
  bool interleaved = false;  // RoPE rotates the pairs (2d, 2d + 1); else (d, d + head_dim/2)
  bool tied = true;          // the LM head is the embedding table
  bool alibi = false;        // no RoPE; scores fall with the distance. ScoreRule's slopes are f32: with up to
                             // 8 heads they are exact
  double soft_cap = 0;       // 0: none
  int64_t window = 0, window_period = 1;  // keys that a token sees in layers 0, period, …; 0: all
  /// Returns a weight by its name, for example "model.layers.0.mlp.up_proj.weight": [out, in] in host memory,
  /// of any floating type. The names are those of Llama's checkpoints. A GPT-2 also has biases
  /// ("….up_proj.bias") and "model.embed_positions.weight".
  std::function<ConstTensorView(const std::string& name)> weight;
};

/// The logits after each token, [n_tokens, vocab_size]. Token t is at position t.
/// Throws ShapeError for a weight of the wrong shape, or a token outside the vocabulary.
/// Sources: Touvron et al. 2023, "LLaMA", section 2.2, with grouped queries (Ainslie et al. 2023); Radford et
/// al. 2019, section 2.3 (GPT-2); Press et al. 2022 (ALiBi); Gemma Team 2024, "Gemma 2" (soft cap, windows).
std::vector<double> plain_forward(const PlainDecoder& decoder, std::span<const int32_t> tokens);

}  // namespace lastrow::judge
