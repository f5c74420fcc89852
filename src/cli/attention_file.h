// Attention on anyone's tensors, from file to file.
//
//   AttentionInput input = read_attention_input("qkv.safetensors", {});   checked whole: shapes, types, metadata
//   AttentionOutput output = attend(input, backend, with_probe, progress);
//   write_attention_output(input, output, file);                          an AtomicFile; then file.commit()
//
// The file is safetensors, or .npz by its name. Its tensors, others being ignored:
//   q      f32, f16 or bf16              [q_len, n_q_heads, head_dim]
//   k, v   f32, f16, bf16, fp8 or int8   [kv_len, n_kv_heads, head_dim]   both of one type
//   k_scale, v_scale                     f32 [kv_len, n_kv_heads], with int8, and with fp8 if there: code · scale
// In the layout bhsd they are [batch, heads, tokens, head_dim], scales [batch, heads, tokens]: one problem for
// each of the batch, and outputs in that layout too.
//
// K and V are stored as their type, or as `kv_dtype` says; q is widened to f32. Metadata: "causal" ("true" or
// "false", default true), "scale" (a number, default 1/√head_dim), "window" (keys, default 0: no window).
// The queries are the last q_len of the sequence (attention/mask.h): causal query t sees the keys up to index
// kv_len − q_len + t. Where kv_len < q_len the first queries see nothing: out 0, lse −∞. Lengths may be 0.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "backend/backend.h"
#include "core/function_ref.h"
#include "io/atomic_file.h"

namespace lastrow::cli {

struct InputOptions {
  bool bhsd = false;
  std::optional<DType> kv_dtype{};  // that K and V are stored in; none: as they are in the file
  std::optional<int32_t> window{};  // instead of the metadata's
};

struct AttentionInput {
  std::string source;
  bool bhsd = false;
  int64_t n_batch = 1, q_len = 0, kv_len = 0;
  Tensor q;     // f32 [n_batch · q_len, n_q_heads, head_dim]
  Tensor k, v;  // f32 [n_batch · kv_len, n_kv_heads, head_dim]   decoded
  DType kv_dtype = DType::f32;
  AttendSpec spec{};
};

/// f32, whatever the backend computes in.
struct AttentionOutput {
  Tensor out;                // [n_batch · q_len, n_q_heads, head_dim]
  Tensor lse;                // [n_batch · q_len, n_q_heads]
  Tensor scores{}, probs{};  // [n_batch · n_q_heads, q_len, kv_len]   empty without probe
  Tensor lse_distance{};     // [n_batch · n_q_heads, q_len]           empty without probe
};

/// Throws FileError for a file that is damaged or does not hold what is described above, CapacityError for
/// one that is larger than the memory there is.
AttentionInput read_attention_input(const std::filesystem::path& path, const InputOptions& options);

/// `on_progress(done, total)` is called from time to time, in units of work. Throws CapacityError for a probe
/// that would not fit kMaxProbeBytes, and where there is not memory enough for the work.
AttentionOutput attend(const AttentionInput& input, Backend& backend, bool probe,
                       FunctionRef<void(int64_t, int64_t)> on_progress);
inline constexpr int64_t kMaxProbeBytes = int64_t{4} << 30;  // scores and probs together

/// The caller commits the file.
void write_attention_output(const AttentionInput& input, const AttentionOutput& output, AtomicFile& file);

}  // namespace lastrow::cli
