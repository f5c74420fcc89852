#include "session/argument_checks.h"

#include "core/error.h"

namespace lastrow {

void require_in_vocabulary(std::span<const int32_t> tokens, const ModelConfig& config) {
  for (const int32_t token : tokens)
    if (token < 0 || token >= config.vocab_size)
      throw UsageError("token {} is outside the vocabulary, 0 to {}: encode texts with the model's tokenizer",
                       token, config.vocab_size - 1);
}

void require_in_model(const Poke& poke, const ModelConfig& config) {
  const bool is_query = poke.what == Poke::What::q;
  const int32_t n_heads = is_query ? config.n_q_heads : config.n_kv_heads;
  if (poke.layer < 0 || poke.layer >= config.n_layers)
    throw UsageError("poke in layer {}: the model has layers 0 to {}", poke.layer, config.n_layers - 1);
  if (poke.head < -1 || poke.head >= n_heads)
    throw UsageError("poke of {} head {}: that layer has heads 0 to {} (−1: all)", is_query ? "query" : "K/V",
                     poke.head, n_heads - 1);
}

}  // namespace lastrow
