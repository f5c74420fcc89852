// The interface that every implementation of the decoder's operations shares, and nothing else.
//
//   Tensor w = backend.upload(weights);                        once
//   auto storage = backend.make_storage(cache_spec);           once
//   const Batch& batch = backend.begin_step(plan, *storage);   each step: one upload, does the block copies
//   backend.run(Linear{site, x, w, {}, out}); …                operations on views, each labelled by its Site
//   backend.download(logits, host);                            one download
//
// * Do not keep a Batch past the next begin_step.
// * Outputs are overwritten and must not alias inputs, except where "in place" is said.
// * Tensors hold the backend's activation type, in the backend's memory; only upload and download cross over.
// * Watching and meddling are decorators (trace/): an implementation knows nothing of them.
//
// What an operation computes, with the shapes of its operands and its cost, stands with it in ops/.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/function_ref.h"
#include "core/tensor.h"
#include "ops/op.h"

namespace lastrow {

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

  /// Runs one operation of the step that was begun: the one door to all of them (ops/op.h). Throws ShapeError if
  /// an operand does not fit, and has then changed nothing.
  virtual void run(const Op& op) = 0;
};

}  // namespace lastrow
