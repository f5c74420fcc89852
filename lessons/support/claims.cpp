#include "lessons/support/claims.h"

#include <algorithm>

#include "core/error.h"

namespace lastrow::lessons {
namespace {

constexpr CommonClaim kClaims[] = {
    {1, "Step m+1 needs only q[m+1]; past queries are not used"},
    {2, "Past queries are not needed because of the causal mask"},
    {3, "K and V of a token never change once they are computed"},
    {4, "The output needs every past value"},
    {5, "n tokens need n(n+1)/2 projected rows of K and V without a cache, n with it"},
    {6, "With a cache a step costs O(n) instead of O(n²) in attention, O(1) instead of O(n) in projections"},
    {7, "A decode step is: project, concatenate, attend, update"},
    {8, "Training uses all queries at once and needs no cache"},
    {9, "Only the last token's row goes through the MLP and the LM head"},
    {10, "Prefill is limited by compute, decode by memory bandwidth"},
    {11, "Cache bytes = 2 · layers · K/V heads · head_dim · tokens · batch · size"},
    {12, "The cache of a 7B model with MHA, 2,048 tokens in fp16: about 1 GB"},
    {13, "The same with batch 64 and 8,192 tokens: about 32 GB"},
    {14, "Llama-3-70B with 8k tokens, batch 32 and 32 layers: about 275 GB"},
    {15, "GQA and MQA make the cache smaller by n_q_heads / n_kv_heads"},
    {16, "GQA costs little quality"},
    {17, "INT8 K/V halves the memory and raises perplexity by less than 0.5 %",
     "`lastrow eval --all` measures both; its last lines say what is true here"},
    {18, "Contiguous reservation wastes 30 to 60 % of the memory; paging avoids that",
     "lesson 8, “Memory for tokens that do not exist”: the waste depends on the lengths of the texts"},
    {19, "A shared prefix cuts the time to the first token",
     "`lastrow generate --prompts FILE --cache paged --share-prefix` measures it with and without sharing"},
    {20, "A sliding window bounds the size of the cache",
     "`lastrow eval --cache window:w=64` measures the bytes, and what forgetting costs in perplexity"},
    {21, "Eviction trades recall for capacity",
     "`lastrow eval --cache budget:rows=64,policy=heavy` measures the bytes and the perplexity"},
    {22, "With long contexts and large batches the cache is larger than the weights"},
    {23, "Cached and recomputed outputs are identical"},
    {24, "The cache always makes decoding faster"},
    {25, "k_j depends only on token j's embedding and the weights"},
    {26, "Queries are dynamic, keys and values are static"},
    {27, "The cache saves flop and adds traffic; without it memory is O(1)"},
    {28, "A textbook attention module with a cache and no mask is correct"},
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

std::string verdict_text(const Finding& finding) {
  if (finding.condition.empty()) return std::string(name_of(finding.verdict));
  return fmt::format("{}{}{}", name_of(finding.verdict), finding.verdict == Verdict::wrong ? ": " : " ",
                     finding.condition);
}

std::span<const CommonClaim> common_claims() { return kClaims; }

std::string_view claim_text(int number) {
  const auto found =
      std::find_if(std::begin(kClaims), std::end(kClaims), [&](const auto& c) { return c.number == number; });
  if (found == std::end(kClaims))
    throw UsageError("there is no claim {}: the claims have the numbers 1 to {}", number, std::size(kClaims));
  return found->text;
}

}  // namespace lastrow::lessons
