#include "lessons/support/claims.h"

#include <algorithm>

#include "core/error.h"

namespace lastrow::lessons {
namespace {

constexpr CommonClaim kClaims[] = {
    {1, "At step m+1 only q[m+1] is needed; past queries appear nowhere"},
    {2, "The causal mask is the reason why past queries are not needed"},
    {3, "K and V of a token never change once they are computed"},
    {4, "The output needs every past value"},
    {5, "Without a cache n(n+1)/2 rows of K and V are projected in all, with it n"},
    {6, "Attention falls from O(n²) to O(n) a step, projections from O(n) to O(1)"},
    {7, "One decode step is: project, concatenate, attend, update"},
    {8, "Training uses all queries at once and needs no cache"},
    {9, "Only the last token's row goes through MLP and LM head"},
    {10, "Prefill is compute-bound, decode is bound by memory bandwidth"},
    {11, "Cache bytes = 2 · layers · K/V heads · head_dim · tokens · batch · size"},
    {12, "A 7B model with MHA at 2,048 tokens in fp16: about 1 GB"},
    {13, "The same at batch 64 and 8,192 tokens: about 32 GB"},
    {14, "Llama-3-70B at 8k tokens and batch 32, with 32 layers: about 275 GB"},
    {15, "MHA to GQA to MQA shrinks the cache by n_q_heads / n_kv_heads"},
    {16, "GQA costs little quality"},
    {17, "INT8 K/V halves memory for less than 0.5 % of perplexity"},
    {18, "Contiguous reservation wastes 30 to 60 % of the memory; paging ends that"},
    {19, "A shared prefix cuts the time to the first token"},
    {20, "A sliding window bounds the cache"},
    {21, "Eviction trades recall for capacity"},
    {22, "At long context and large batch the cache outgrows the weights"},
    {23, "Cached and recomputed outputs are identical"},
    {24, "The cache always makes decoding faster"},
    {25, "k_j depends on token j's embedding and the weights only"},
    {26, "Queries are dynamic, keys and values static"},
    {27, "The cache cuts flop but raises memory traffic; without it memory is O(1)"},
    {28, "A textbook attention module with a cache and no mask is right"},
};

}  // namespace

std::string_view name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::holds:
      return "holds";
    case Verdict::holds_if:
      return "holds if";
    case Verdict::wrong:
      return "wrong";
  }
  LASTROW_CHECK(false, "verdict {}", static_cast<int>(verdict));
}

std::span<const CommonClaim> common_claims() { return kClaims; }

std::string_view claim_text(int number) {
  const auto found =
      std::find_if(std::begin(kClaims), std::end(kClaims), [&](const auto& c) { return c.number == number; });
  if (found == std::end(kClaims))
    throw UsageError("there is no claim {}; they are numbered 1 to {}", number, std::size(kClaims));
  return found->text;
}

}  // namespace lastrow::lessons
