// A Site says where in the model an operation runs: its layer and its name.
//
//   backend.run(Linear{{layer, site::kQProj}, x, weight, {}, q});
//
// Counters, traces, the viewer and profilers recognise an operation by its Site. The forward uses only the
// names below, in this order. No model has all of these operations. Every step runs those that the model has;
// a step without logits ends after the last layer. The decoder does not run argmax: callers may.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace lastrow {

struct Site {
  int32_t layer;     // −1 outside the layers
  const char* name;  // static string: "q_proj", "attend", …
};

/// The names, in the order in which the operations run.
namespace site {

// Before the layers (Site::layer is −1).
inline constexpr const char* kEmbed = "embed";
inline constexpr const char* kEmbedPositions = "embed_positions";
// In each layer.
inline constexpr const char* kAttnNorm = "attn_norm";
inline constexpr const char* kQProj = "q_proj";
inline constexpr const char* kKProj = "k_proj";
inline constexpr const char* kVProj = "v_proj";
inline constexpr const char* kRopeQ = "rope_q";
inline constexpr const char* kRopeK = "rope_k";
inline constexpr const char* kAppend = "append";
inline constexpr const char* kRotateKeys = "rotate_keys";  // if the cache uses new positions, after kAppend
inline constexpr const char* kAttend = "attend";
inline constexpr const char* kScoreMass = "score_mass";  // if the plan wants it
inline constexpr const char* kSealKeys = "seal_keys";    // if the plan seals blocks
inline constexpr const char* kOProj = "o_proj";
inline constexpr const char* kAddAttn = "add_attn";
inline constexpr const char* kFfnNorm = "ffn_norm";
inline constexpr const char* kGateProj = "gate_proj";
inline constexpr const char* kUpProj = "up_proj";
inline constexpr const char* kSwiglu = "swiglu";
inline constexpr const char* kGelu = "gelu";
inline constexpr const char* kDownProj = "down_proj";
inline constexpr const char* kAddFfn = "add_ffn";
// After the layers (−1 again).
inline constexpr const char* kGatherRows = "gather_rows";
inline constexpr const char* kFinalNorm = "final_norm";
inline constexpr const char* kLmHead = "lm_head";
inline constexpr const char* kArgmax = "argmax";

/// The operations before layer 0. The input of layer 0 is the output of the last of these that the model has.
inline constexpr const char* kEmbeddings[] = {kEmbed, kEmbedPositions};
inline bool is_embedding(std::string_view name) {
  return std::find(std::begin(kEmbeddings), std::end(kEmbeddings), name) != std::end(kEmbeddings);
}

}  // namespace site
}  // namespace lastrow
