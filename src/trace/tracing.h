// The decorator that records: forwards each operation, times it, and notes what it read and wrote.
//
//   TracingBackend tracing(backend, recorder);   innermost of the decorators, so that it sees what was run
//
// Right after attend it downloads what the recorder asks for and, with options.probe, probes the inner
// backend with the same operands, all heads and rows. That waits for the device: timings of a traced step are
// those of a step that is watched.
//
// A tensor is known by its address: a view into the middle of a tensor that was seen whole (or made here) is
// the same tensor, further down. Memory handed out a second time keeps its id under a new version.
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
    int64_t bytes;      // from the address on
    int64_t row_bytes;  // of one step of the first dimension
    int32_t id;
    int64_t version;  // writes so far
  };
  struct Place {
    Known* tensor;
    int64_t first_row;  // of the view in it
  };
  Place locate(ConstTensorView view);
  RowSpan read_of(ConstTensorView view);
  RowSpan written(ConstTensorView view);
  /// Runs of consecutive slots of one version, appended to `spans`. `write` gives them their next version.
  void slot_spans(std::vector<RowSpan>& spans, const KvStorage& storage, int32_t layer, RowKind kind,
                  std::span<const int64_t> slots, bool write);

  template <typename Run>
  Event timed(OpKind op, Site site, Run run);
  void record(Event event, const Op& op);
  void add_visible_rows(Event& event, const Attend& op);
  void record_block_copies(double start_us, double duration_us, const KvStorage& storage,
                           std::span<const BlockCopy> copies);
  void keep_output(Site site, ConstTensorView out);
  void keep_attention(const Attend& op);
  bool keep_stored_rows(const Attend& op, int32_t sequence, RowKind kind);
  bool keep_probe(const Attend& op, int32_t sequence);

  Recorder& recorder_;
  std::map<const std::byte*, Known> known_;  // by first address; no two overlap
  int32_t next_id_ = 0;
  const KvStorage* storage_ = nullptr;               // whose slots the versions below are of
  std::vector<std::vector<int64_t>> slot_versions_;  // [2·layer + kind][slot], writes so far
};

}  // namespace lastrow
