// Attention on anyone's tensors, from file to file.
//
//   AttentionInput input = read_attention_input("qkv.safetensors");   checked whole: shapes, types, metadata
//   AttentionOutput output = attend(input, backend, with_probe, progress);
//   write_attention_output(output, "out.safetensors");                whole or not at all
//
// Tensors of the input, f32: q [q_len, n_q_heads, head_dim], k and v [kv_len, n_kv_heads, head_dim]; others
// are ignored. Metadata: "causal" ("true" or "false", default true), "scale" (a number, default 1/√head_dim).
// The queries are the last q_len of the sequence (attention/mask.h): causal query t sees the keys up to index
// kv_len − q_len + t. Where kv_len < q_len the first queries see nothing: out 0, lse −∞. Lengths may be 0.
#pragma once

#include <filesystem>

#include "backend/backend.h"
#include "core/function_ref.h"
#include "io/atomic_file.h"
#include "io/safetensors.h"

namespace lastrow::cli {

struct AttentionInput {
  SafetensorsFile file;  // holds what the views show
  ConstTensorView q;     // [q_len, n_q_heads, head_dim]
  ConstTensorView k, v;  // [kv_len, n_kv_heads, head_dim]
  AttendSpec spec;
};

/// f32, whatever the backend computes in.
struct AttentionOutput {
  Tensor out;                // [q_len, n_q_heads, head_dim]
  Tensor lse;                // [q_len, n_q_heads]
  Tensor scores{}, probs{};  // [n_q_heads, q_len, kv_len]   empty without probe
};

/// Throws FileError for a file that is damaged or does not hold what is described above, CapacityError for
/// one that is larger than the memory there is.
AttentionInput read_attention_input(const std::filesystem::path& path);

/// `on_progress(done, total)` is called from time to time, in units of work. Throws CapacityError for a probe
/// that would not fit kMaxProbeBytes, and where there is not memory enough for the work.
AttentionOutput attend(const AttentionInput& input, Backend& backend, bool probe,
                       FunctionRef<void(int64_t, int64_t)> on_progress);
inline constexpr int64_t kMaxProbeBytes = int64_t{4} << 30;  // scores and probs together

/// The caller commits the file.
void write_attention_output(const AttentionOutput& output, AtomicFile& file);

}  // namespace lastrow::cli
