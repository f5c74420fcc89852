// The decorator that records: it forwards each operation, times it, and records the rows that it uses.
//
//   Recorder recorder(options);                  what to keep
//   TracingBackend tracing(backend, recorder);   the innermost decorator, so that it sees what really runs
//   …steps through `tracing`…
//
// After each attend it downloads the tensors that the options ask for. With options.probe it also probes the
// inner backend with the same operands, for all heads and rows. This waits for the device, so a traced step
// takes longer than an untraced one.
//
// It recognises a tensor by its address. A view into a known tensor belongs to that tensor, with a row
// offset. If freed memory is used again for rows of the same size, the id stays and the versions count on.
// The versions of slots belong to a storage, which is recognised by its address in the same way.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "trace/forwarding.h"
#include "trace/recorder.h"

namespace lastrow {

class TracingBackend final : public WatchingBackend {
 public:
  TracingBackend(Backend& inner, Recorder& recorder) : WatchingBackend(inner), recorder_(recorder) {}

  Recorder& recorder() const { return recorder_; }

  Tensor make_tensor(Shape shape, std::optional<DType> dtype = {}) override;
  Tensor upload(ConstTensorView host) override;
  void write_rows(KvStorage& storage, int32_t layer, RowKind kind, std::span<const int64_t> slots,
                  ConstTensorView host) override;
  void copy_blocks(KvStorage& storage, std::span<const BlockCopy> copies) override;
  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override;
  void run(const Op& op) override;

 private:
  struct Known {
    int64_t bytes;      // size, from the address
    int64_t row_bytes;  // size of one row
    int32_t id;
    int64_t version;  // number of writes so far
  };
  struct Place {
    Known* tensor;
    int64_t first_row;  // the row at which the view begins
  };
  Place locate(ConstTensorView view);
  RowSpan read_span(ConstTensorView view);
  RowSpan written_span(ConstTensorView view);
  /// Appends the slots to `spans`. Consecutive slots with the same version form one span. With `write`, the
  /// slots get their next version first. `space`: k, v or rotated.
  void slot_spans(std::vector<RowSpan>& spans, const KvStorage& storage, int32_t layer, RowSpace space,
                  std::span<const int64_t> slots, bool write);

  template <typename Run>
  Event timed(OpKind op, Site site, Run run);
  void record(Event event, const Op& op);
  template <typename Looking>
  void add_visible_rows(Event& event, const Looking& op, std::initializer_list<RowSpace> spaces);
  void add_sealed_rows(Event& event, const KvStorage& storage);
  void add_held_rows(Event& event, const KvStorage& storage);
  void record_block_copies(double start_us, double duration_us, const KvStorage& storage,
                           std::span<const BlockCopy> copies);
  void keep_output(Site site, ConstTensorView out);
  void keep_attention(const Attend& op);
  bool keep_stored_rows(const Attend& op, int32_t sequence, RowKind kind);
  bool keep_probe(const Attend& op, int32_t sequence);

  Recorder& recorder_;
  std::map<const std::byte*, Known> known_;  // by first address; they do not overlap
  int32_t next_id_ = 0;
  using SlotVersions = std::vector<std::vector<int64_t>>;  // [2·layer + kind][slot]   writes so far
  std::map<const KvStorage*, SlotVersions> slot_versions_;
};

}  // namespace lastrow
