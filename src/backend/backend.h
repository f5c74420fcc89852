// The interface of every implementation of the decoder's operations. This header holds nothing else.
//
//   Tensor w = backend.upload(weights);                        once
//   auto storage = backend.make_storage(cache_spec);           once
//   const Batch& batch = backend.begin_step(plan, *storage);   each step: one upload, and the block copies
//   backend.run(Linear{site, x, w, {}, out}); …                operations on views, each labelled by its Site
//   backend.download(logits, host);                            one download
//
// * Do not use a Batch after the next begin_step.
// * Outputs are overwritten. They must not alias inputs, unless the operation says "in place".
// * Tensors have the backend's activation type and are in the backend's memory. Only upload, download and
//   write convert from or to host tensors.
// * An implementation contains no code that records or changes operations. Decorators do that (trace/).
//
// ops/ says what each operation computes, the shapes of its operands, and its cost.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/function_ref.h"
#include "core/tensor.h"
#include "ops/op.h"

namespace lastrow {

namespace simt {
class Device;  // gpu/simt/device.h
}

struct BackendInfo {
  std::string name;         // "eigen", "naive", "naive-f64", "cuda", …
  std::string description;  // one line for people
  DType activation_dtype;
  int32_t n_threads;
  std::string attend_kernel{};  // which kernel ran the last attend; if not the forced one, why; "": no choice
  int64_t n_replayed = 0;       // calls of replay that ran a record instead of ops
  bool in_host_memory = true;   // its tensors are in the host's memory
  bool is_fast = false;         // built for speed, so its times say something about the machine
  bool row_by_row = false;      // a row of a result has the same bits, whatever is computed beside it
  const simt::Device* emulator =
      nullptr;  // the emulated GPU that its kernels run on, while the backend lives
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual BackendInfo info() const = 0;

  // ---- memory
  /// An uninitialised tensor in the backend's memory. `dtype`: i32 for ids; without it, the activation type.
  virtual Tensor make_tensor(Shape shape, std::optional<DType> dtype = {}) = 0;
  /// Copies a host tensor of any floating type, and converts it to the activation type.
  virtual Tensor upload(ConstTensorView host) = 0;
  /// Copies to a host tensor of the same shape, and converts to its type. Waits for all earlier work.
  virtual void download(ConstTensorView from, TensorView host) = 0;
  /// Copies a host tensor into an existing tensor of the same shape.
  virtual void write(ConstTensorView host, TensorView to) = 0;

  // ---- K/V storage
  virtual std::unique_ptr<KvStorage> make_storage(const CacheSpec& spec) = 0;
  /// Copy the rows at `slots`, all K/V heads, to or from a host tensor [n_slots, n_kv_heads, head_dim].
  virtual void read_rows(const KvStorage& storage, int32_t layer, RowKind kind,
                         std::span<const int64_t> slots, TensorView host) = 0;
  virtual void write_rows(KvStorage& storage, int32_t layer, RowKind kind, std::span<const int64_t> slots,
                          ConstTensorView host) = 0;
  /// Copies whole blocks in every layer of group 0 (CacheSpec::group). No sequences share blocks of group 1.
  virtual void copy_blocks(KvStorage& storage, std::span<const BlockCopy> copies) = 0;

  // ---- a step
  virtual const Batch& begin_step(const StepPlan& plan, KvStorage& storage) = 0;
  /// Runs ops, which calls operations of the current step and does nothing else. A GPU may record them. In a
  /// later step with the same key, storage and sizes it may then run the record instead of ops. So with the
  /// same key, ops must always call the same operations on the same tensors; only the contents of the batch
  /// may differ. A record gives the same bits as ops.
  virtual void replay(int64_t key, FunctionRef<void()> ops) = 0;

  /// Runs one operation of the current step. Every operation (ops/op.h) goes through this function. Throws
  /// ShapeError if an operand does not fit; then nothing has changed.
  virtual void run(const Op& op) = 0;
};

}  // namespace lastrow
