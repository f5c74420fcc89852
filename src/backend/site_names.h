// What the decoder calls each of its operations, in the order in which they run.
//
// A Site carries one of these names; counters, traces, the viewer and profilers recognise an operation by
// it. The one forward uses no other name, so whoever asks for a name of this list finds it in every step.
#pragma once

namespace lastrow::site {

// Outside the layers (Site::layer is −1).
inline constexpr const char* kEmbed = "embed";
// In each layer.
inline constexpr const char* kAttnNorm = "attn_norm";
inline constexpr const char* kQProj = "q_proj";
inline constexpr const char* kKProj = "k_proj";
inline constexpr const char* kVProj = "v_proj";
inline constexpr const char* kRopeQ = "rope_q";
inline constexpr const char* kRopeK = "rope_k";
inline constexpr const char* kAppend = "append";
inline constexpr const char* kAttend = "attend";
inline constexpr const char* kOProj = "o_proj";
inline constexpr const char* kAddAttn = "add_attn";
inline constexpr const char* kFfnNorm = "ffn_norm";
inline constexpr const char* kGateProj = "gate_proj";
inline constexpr const char* kUpProj = "up_proj";
inline constexpr const char* kSwiglu = "swiglu";
inline constexpr const char* kDownProj = "down_proj";
inline constexpr const char* kAddFfn = "add_ffn";
// Outside the layers again.
inline constexpr const char* kGatherRows = "gather_rows";
inline constexpr const char* kFinalNorm = "final_norm";
inline constexpr const char* kLmHead = "lm_head";
inline constexpr const char* kArgmax = "argmax";

}  // namespace lastrow::site
