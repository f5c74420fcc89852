// Backend over kernels: the same text for a GPU and for the emulated one, which differ in their Runtime.
//
// Activations are f32 in device memory; K/V rows are of the cache's dtype. Nothing crosses over to the host
// within a step. Which rung of the ladder attends is chosen by shape unless one is forced; a forced one that
// cannot take a call gives way to the chosen one, and info().attend_kernel says so.
//
// replay(key, ops), of a step and key that it does not know, runs ops directly: that loads kernels and grows
// the scratch. The second time ops is recorded, and from then on the record is run, without ops. Grids and
// splits are made from bounds (step_bounds.h), the same in all three cases, so the bits are the same too.
#pragma once

#include "gpu/backend/runtime.h"
#include "gpu/backend/step_records.h"
#include "gpu/parts/attend_call.h"

namespace lastrow::LASTROW_TARGET {

class DeviceBackend final : public Backend {
 public:
  /// n_threads: CPU threads that compute, where kernels run on the CPU; 0: all cores.
  explicit DeviceBackend(const gpu::DeviceOptions& options, int32_t n_threads = 0);
  ~DeviceBackend() override;

  Runtime& runtime() { return *runtime_; }
  const Runtime& runtime() const { return *runtime_; }

  BackendInfo info() const override;
  Tensor make_tensor(Shape shape, std::optional<DType> dtype = {}) override;
  Tensor upload(ConstTensorView host) override;
  void download(ConstTensorView from, TensorView host) override;
  void write(ConstTensorView host, TensorView to) override;

  std::unique_ptr<KvStorage> make_storage(const CacheSpec& spec) override;
  void read_rows(const KvStorage& storage, int32_t layer, RowKind kind, std::span<const int64_t> slots,
                 TensorView host) override;
  void write_rows(KvStorage& storage, int32_t layer, RowKind kind, std::span<const int64_t> slots,
                  ConstTensorView host) override;
  void copy_blocks(KvStorage& storage, std::span<const BlockCopy> copies) override;

  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override;
  void replay(int64_t key, FunctionRef<void()> ops) override;

  void run(const Op& op) override;

 private:
  struct Compute;  // one function an operation
  void attend(const Attend& op);
  void probe(const Probe& op);
  void score_mass(const ScoreMass& op);
  template <typename Looking>
  gpu::AttendCall attend_call(const Looking& op);
  const float* slopes(const ScoreRule& score);
  struct Placed;  // where the arrays of a plan are in staging_
  Placed stage(const StepPlan& plan);
  Batch batch_of(const StepPlan& plan, const Placed& at, const Batch* of_windowed) const;
  void record(KeptStep& step, FunctionRef<void()> ops);
  void require_not_recording(const char* what) const;
  void put(Site site, const float* rows, RowKind kind, const int64_t* slots, int32_t n, KvStorage& storage);
  void put_open(Site site, const float* keys, const int64_t* open_slots, int32_t n, KvStorage& storage);
  Tensor upload_open_blocks(const KvStorage& storage);
  void decode_channels(gpu::AttendCall& call);
  float* grown(Tensor& scratch, int64_t n_elems);

  std::unique_ptr<Runtime> runtime_;
  StepRecords records_;
  StepKey step_key_;  // of the last begin_step; without the caller's part
  bool recording_ = false;
  int64_t n_replayed_ = 0;
  std::string forced_kernel_, attend_kernel_;
  Batch batch_{}, windowed_batch_{};
  const int32_t* seq_of_token_ = nullptr;  // [n_tokens], beside the batch's arrays
  Tensor step_;                            // the step's arrays, one after the other
  std::vector<std::byte> staging_;         // the same on the host
  Tensor slopes_;                          // [n_q_heads], of the last score with ALiBi
  Tensor scratch_;                         // of the largest attend so far
  Tensor decoded_keys_;                    // of a layer of the largest storage with open blocks so far
};

}  // namespace lastrow::LASTROW_TARGET
