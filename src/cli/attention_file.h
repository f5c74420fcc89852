// Attention on the user's own tensors, from file to file.
//
//   AttentionInput input = read_attention_input("qkv.safetensors", {});    checks shapes, types and metadata
//   AttentionOutput output = attend(input, backend, with_probe, progress);
//   write_attention_output(input, output, file);                           into an AtomicFile
//   file.commit();
//
// The file is safetensors, or .npz if its name ends so. It holds these tensors; others are ignored:
//
//   q                   [q_len, n_q_heads, head_dim]      f32, f16 or bf16
//   k, v                [kv_len, n_kv_heads, head_dim]    each f32, f16, bf16, fp8 or int8
//   k_scale, v_scale    [kv_len, n_kv_heads]              f32; needed with int8, optional with fp8
//
// Several sequences may be packed one after the other, without padding, and K and V may be in blocks:
//
//   kv_len              [n_seqs]                          i32: the keys of each sequence
//   q_len or q_start    [n_seqs] or [n_seqs + 1]          i32: the queries of each, or where each begins
//   block_table         [n_seqs, blocks_per_seq]          i32: the blocks of each, −1 where it has fewer
//
// With a block_table, k and v are [n_blocks, n_kv_heads, block_len, head_dim], and scales are [n_blocks,
// n_kv_heads, block_len]. A block may occur more than once. Slots that no sequence uses may hold anything.
//
// With scales, an element is code · scale. In the layout bhsd, tensors are [batch, heads, tokens, head_dim],
// scales are [batch, heads, tokens], and outputs have this layout too. The elements of the batch are separate
// problems.
//
// q is converted to f32. K and V are stored in their own types, or in `kv_dtypes`. The metadata may hold:
//
//   causal, scale, soft_cap, alibi, window, sinks       as in cli/attention_rules.h
//
// The queries of a sequence are its last q_len tokens (attention/mask.h): if causal, query t sees the keys
// up to index kv_len − q_len + t. If kv_len < q_len, the first queries see no key: out is 0 and lse is −∞.
// Lengths may be 0.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "backend/backend.h"
#include "cli/attention_rules.h"
#include "cli/packing.h"
#include "core/function_ref.h"
#include "io/atomic_file.h"

namespace lastrow::cli {

struct InputOptions {
  bool bhsd = false;
  std::optional<KvDtypes> kv_dtypes{};  // how to store K and V; empty: as in the file
  RuleOptions rules{};                  // replace the metadata
};

struct AttentionInput {
  std::string source;
  bool bhsd = false;
  int64_t n_batch = 1;  // problems with the same packing, one after the other
  Packing packing{};    // of each problem
  Tensor q;             // f32 [n_batch · n_tokens, n_q_heads, head_dim]
  Tensor k, v;          // f32 [n_batch · n_rows, n_kv_heads, head_dim]: row i is in packing.slots[i]; scaled
  KvDtypes kv_dtypes{};
  AttendSpec spec{};
};

/// Always f32, whatever type the backend computes in.
struct AttentionOutput {
  Tensor out;  // [n_batch · n_tokens, n_q_heads, head_dim]
  Tensor lse;  // [n_batch · n_tokens, n_q_heads]
  // The others are empty without probe. Behind the keys of a shorter sequence, scores are −∞ and probs are 0.
  Tensor scores{}, probs{};  // [n_batch · n_q_heads, n_tokens, max_kv_len]
  Tensor lse_distance{};     // [n_batch · n_q_heads, n_tokens]
};

/// Throws FileError for a file that is damaged or does not hold what is described above, and CapacityError
/// for one that is larger than the free memory.
AttentionInput read_attention_input(const std::filesystem::path& path, const InputOptions& options);

/// Calls on_progress(done, total) from time to time, in units of work. Throws CapacityError if scores and
/// probs would take more than kMaxProbeBytes, or if memory is missing.
AttentionOutput attend(const AttentionInput& input, Backend& backend, bool probe,
                       FunctionRef<void(int64_t, int64_t)> on_progress);
inline constexpr int64_t kMaxProbeBytes = int64_t{4} << 30;  // scores and probs together

/// The caller commits the file.
void write_attention_output(const AttentionInput& input, const AttentionOutput& output, AtomicFile& file);

}  // namespace lastrow::cli
