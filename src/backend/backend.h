// The interface that every implementation of the decoder's operations shares, and nothing else.
//
//   Tensor w = backend.upload(weights);                     once
//   auto storage = backend.make_storage(cache_spec);        once
//   const Batch& batch = backend.begin_step(plan, *storage);   each step: one upload, does the block copies
//   backend.embed(…); backend.rms_norm(…); …                operations on views, each labelled by its Site
//   backend.download(logits, host);                         one download
//
// * Do not keep a Batch past the next begin_step.
// * Outputs are overwritten and must not alias inputs, except where "in place" is said.
// * Tensors hold the backend's activation type, in the backend's memory; only upload and download cross over.
// * Watching and meddling are decorators (trace/): an implementation knows nothing of them.
//
// Shapes are written at each operation; n_tokens counts the packed tokens of the step. Every operation throws
// ShapeError for operands that do not fit. Costs of each are in cost/op_cost.h.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "attention/mask.h"
#include "backend/storage.h"
#include "cache/step_plan.h"
#include "core/function_ref.h"
#include "core/tensor.h"

namespace lastrow {

/// Where in the model an operation happens; the name also labels traces and profiler ranges.
struct Site {
  int32_t layer;     // −1 outside the layers
  const char* name;  // static string: "q_proj", "attend", …
};

/// The arrays of a StepPlan in the backend's memory, at addresses that stay the same from step to step.
struct Batch {
  const StepPlan* plan;         // host side: counts, lengths
  const int32_t* tokens;        // [n_tokens]
  const int32_t* positions;     // [n_tokens]
  const int32_t* q_start;       // [n_seqs + 1]
  const int32_t* kv_len;        // [n_seqs]
  const int32_t* block_tables;  // [n_seqs, blocks_per_seq]
  const int64_t* append_slots;  // [n_tokens]
  const int32_t* logit_rows;    // [n_rows]
};

/// Cosines and sines of the RoPE angles, made once on the host in double precision and uploaded.
struct RopeTable {
  Tensor cos, sin;  // [max_seq_len, head_dim / 2]
  bool interleaved = false;
};

/// Rows and heads that a probe looks at. Rows are packed tokens of one sequence.
struct ProbeSelection {
  int32_t first_head, n_heads;
  int32_t first_row, n_rows;
};

struct BackendInfo {
  std::string name;         // "eigen", "naive", "naive-f64", "cuda", …
  std::string description;  // one line for people
  DType activation_dtype;
  int32_t n_threads;
  std::string attend_kernel{};  // of the last attend; why not the one asked for; "" where there is no choice
  int64_t n_replayed = 0;       // calls of replay that ran a record, not ops
  bool in_host_memory = true;   // do its tensors share the host's memory?
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual BackendInfo info() const = 0;

  // ---- memory
  /// Uninitialised, in the backend's memory and activation type (ids: i32).
  virtual Tensor make_tensor(Shape shape, std::optional<DType> dtype = {}) = 0;
  /// A host tensor of any floating type, converted to the activation type.
  virtual Tensor upload(ConstTensorView host) = 0;
  /// To a host tensor of the same shape, converting to its type. Waits for the work before it.
  virtual void download(ConstTensorView from, TensorView host) = 0;
  /// From a host tensor into an existing tensor of the same shape.
  virtual void write(ConstTensorView host, TensorView to) = 0;

  // ---- K/V storage
  virtual std::unique_ptr<KvStorage> make_storage(const CacheSpec& spec) = 0;
  /// All heads of the rows at `slots`, from / to a host tensor [n_slots, n_kv_heads, head_dim].
  virtual void read_rows(const KvStorage& storage, int32_t layer, RowKind kind,
                         std::span<const int64_t> slots, TensorView host) = 0;
  virtual void write_rows(KvStorage& storage, int32_t layer, RowKind kind, std::span<const int64_t> slots,
                          ConstTensorView host) = 0;
  virtual void copy_blocks(KvStorage& storage, std::span<const BlockCopy> copies) = 0;

  // ---- a step
  virtual const Batch& begin_step(const StepPlan& plan, KvStorage& storage) = 0;
  /// Runs ops, which calls operations of the step that was begun and nothing else. A GPU may record them, and
  /// run the record instead of ops in later steps of the same key, storage and sizes. So under one key ops
  /// must call the same operations on the same tensors; what differs is in the batch alone. Same bits as ops.
  virtual void replay(int64_t key, FunctionRef<void()> ops) = 0;

  /// out[t,:] = table[tokens[t],:].   table [vocab_size, model_dim]   out [n_tokens, model_dim]
  virtual void embed(Site site, ConstTensorView table, const Batch& batch, TensorView out) = 0;
  /// out[t,:] = weight ⊙ x[t,:] / √(mean(x[t,:]²) + eps).   x, out [n_rows, dim]   weight [dim]
  virtual void rms_norm(Site site, ConstTensorView x, ConstTensorView weight, float eps, TensorView out) = 0;
  /// out = x · weightᵀ (+ bias).   x [n_rows, in]   weight [out, in]   bias [out] or empty
  /// out [n_rows, out]
  virtual void linear(Site site, ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                      TensorView out) = 0;
  /// Turns each head of x by its token's angle, in place.   x [n_tokens, n_heads, head_dim]
  virtual void rope(Site site, const RopeTable& table, const Batch& batch, TensorView x) = 0;
  /// Stores the new rows at the plan's append slots of layer site.layer.
  /// k, v [n_tokens, n_kv_heads, head_dim]
  virtual void append(Site site, ConstTensorView k, ConstTensorView v, const Batch& batch,
                      KvStorage& storage) = 0;
  /// Attends each query to the stored keys that its mask lets it see.
  ///   out[t,h,:] = Σ_s softmax_s(scale · q[t,h,:]·k[s,g,:]) v[s,g,:],  g = h / group_size
  /// q, out [n_tokens, n_q_heads, head_dim]   q already rotated
  /// lse    [n_tokens, n_q_heads]   natural log; −∞ where a query sees no key (its out is 0)
  /// A row whose visible scores are all −∞ (q·k may overflow) counts as one that sees no key; a score of +∞
  /// or NaN makes its row's out and lse NaN. Slots that are masked or unused may hold NaN. Throws ShapeError
  /// if n_q_heads % n_kv_heads != 0. Cost: 4·head_dim flop for each head and visible (t, s); reads each
  /// cached row once per K/V head. Source: Vaswani et al. 2017, eq. 1; grouped queries: Ainslie et al. 2023.
  virtual void attend(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                      const AttendSpec& spec, TensorView out, TensorView lse) = 0;
  /// What attend saw, for chosen heads and rows: its scaled scores, and the softmax of these scores.
  /// scores, probs  [selection.n_heads, selection.n_rows, kv_len of the rows' sequence]
  /// lse_distance   [selection.n_heads, selection.n_rows], or empty if nobody wants it
  /// score is −∞ and p 0 where masked; p is 0 throughout a row that sees nothing, and NaN at the visible keys
  /// of a row with a score of +∞ or NaN. Else 0 ≤ p ≤ 1 and Σ p = 1, however large the scores are.
  /// lse_distance is |lse of these scores − lse|, where `lse` is what attend wrote: it sums q · k in another
  /// order. Of values that are both −∞ or both NaN it is 0.
  virtual void probe(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                     const AttendSpec& spec, ConstTensorView lse, const ProbeSelection& selection,
                     TensorView scores, TensorView probs, TensorView lse_distance) = 0;
  /// out = silu(gate) ⊙ up, silu(x) = x / (1 + e^−x).   all [n_rows, ffn_dim]
  virtual void swiglu(Site site, ConstTensorView gate, ConstTensorView up, TensorView out) = 0;
  /// x += y, in place.   both [n_rows, dim]
  virtual void add(Site site, ConstTensorView y, TensorView x) = 0;
  /// out[i,:] = x[logit_rows[i],:].   x [n_tokens, dim]   out [n_rows, dim]
  virtual void gather_rows(Site site, ConstTensorView x, const Batch& batch, TensorView out) = 0;
  /// ids[i] = index of the largest logit, the first of equals.   logits [n_rows, vocab_size]
  /// ids [n_rows] i32
  virtual void argmax(Site site, ConstTensorView logits, TensorView ids) = 0;
};

}  // namespace lastrow
