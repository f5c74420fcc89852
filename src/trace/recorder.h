// The record of a TracingBackend in host memory: events, tensors and K/V rows.
//
//   Recorder recorder({.probe = true});            what to keep
//   TracingBackend tracing(backend, recorder);     trace/tracing.h
//   recorder.set_step(8);                          optional: the number of the next step in the history
//   …a step through `tracing`…
//   StepTensors t = recorder.tensors(8);           q, K, V, scores, probs … of every recorded layer
//   recorder.events(8)                             its operations, in order
//
// Each begin_step opens a step. Steps are numbered 0, 1, 2, … unless set_step gives the next step another
// number. When a step opens, all steps with the same or a larger number are forgotten. So the record is
// always one history, even if the session steps back.
//   keep = latest   a step replaces the step before it (viewer)
//   keep = all      all steps are kept; a K or V row is stored again only if its bits changed (trace files)
//
// * Do not use returned views or spans after the next begin_step, set_step or clear.
// * Open a Recorder::Transaction around steps that may fail.
// * Do not use a recorder from two threads at the same time.
//
// If something does not fit in max_bytes, the recorder leaves it out, and also everything that comes after
// it. Then truncated() is true until clear() (with keep = latest, until the next step).
//
// Tensors are f32 on the host, or f64 if the backend computes in f64. A recorded tensor is identified by
// (step, layer, name). The name of an operation's output is its Site's name. The operands of attention have
// the names below.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "cache/kv_cache.h"
#include "trace/event.h"
#include "trace/kv_log.h"

namespace lastrow {

/// Names of the recorded operands of attend. Its output has the Site's name.
namespace recorded {
inline constexpr const char* kQ = "attend.q";            // [n_tokens, n_q_heads, head_dim] after RoPE
inline constexpr const char* kK = "attend.k";            // [kv_len, n_kv_heads, head_dim]; keep = latest
inline constexpr const char* kV = "attend.v";            // as attend.k; for keep = all see kv()
inline constexpr const char* kLse = "attend.lse";        // [n_tokens, n_q_heads]
inline constexpr const char* kScores = "attend.scores";  // [n_q_heads, q_len, kv_len]; one for each sequence
inline constexpr const char* kProbs = "attend.probs";    // [n_q_heads, q_len, kv_len]; one for each sequence
}  // namespace recorded

struct RecordOptions {
  enum class Keep : uint8_t { latest, all };

  Keep keep = Keep::latest;
  std::vector<int32_t> layers = {};   // keep tensors and rows of these layers (−1: outside); empty: all
  std::vector<std::string> ops = {};  // also keep the outputs with these Site names; "*": all outputs
  bool attention = true;              // keep q, K, V, out and lse; the residual stream; the logits
  bool probe = false;                 // keep scores and probs of all heads (needs attention)
  bool events = true;                 // keep events of all layers, because Lineage needs them
  int64_t max_bytes = int64_t{256} << 20;  // for events, tensors and rows together
};

/// One layer of one sequence in one step. A view is empty if the tensor was not recorded.
struct LayerTensors {
  ConstTensorView q;         // [q_len, n_q_heads, head_dim]    after RoPE and pokes, as attend read it
  ConstTensorView k, v;      // [kv_len, n_kv_heads, head_dim]  stored rows, decoded, by index; K after RoPE.
                             // kv_len is that of the layer's own plan (StepPlan::of_layer)
  ConstTensorView scores;    // [n_q_heads, q_len, kv_len]      scaled; −∞ where masked
  ConstTensorView probs;     // [n_q_heads, q_len, kv_len]      0 where masked
  ConstTensorView out;       // [q_len, n_q_heads, head_dim]
  ConstTensorView lse;       // [q_len, n_q_heads]
  ConstTensorView residual;  // [q_len, model_dim]              residual stream after the layer
};

/// One sequence of one step. Row t of a tensor is token t of the sequence in this step.
struct StepTensors {
  int32_t step = -1;
  std::vector<int32_t> tokens, positions;  // [q_len]
  int32_t kv_len = 0;                      // of the layers that hold every row
  ConstTensorView embedded;                // [q_len, model_dim]
  std::vector<LayerTensors> layers;        // [n_layers of the storage]
  ConstTensorView logits;                  // [rows of this sequence, vocab_size]
  std::vector<Tensor> assembled;           // the memory of k and v with keep = all
};

class Recorder {
 public:
  explicit Recorder(RecordOptions options = {});

  const RecordOptions& options() const { return options_; }
  void set_step(int32_t step);
  /// Forgets everything. Do not call it while a transaction is open.
  void clear();

  class Transaction;

  /// The recorded steps, ascending.
  std::vector<int32_t> steps() const;
  bool has_step(int32_t step) const { return steps_.contains(step); }
  int32_t latest_step() const;  // −1: none yet
  /// The plan of the step. Throws UsageError for a step that is not recorded.
  const StepPlan& plan(int32_t step) const;
  std::span<const Event> events(int32_t step) const;
  /// The rows that the cache forgot at the end of the step, in the order in which it forgot them.
  std::span<const EvictedRow> evicted(int32_t step) const;
  /// nullptr if it was not recorded. `sequence` is an index in the plan. Only tensors of a single sequence
  /// have one other than 0: scores, probs, and (keep = latest) K and V.
  const Tensor* find(int32_t step, int32_t layer, std::string_view name, int32_t sequence = 0) const;
  /// All tensors of one sequence of a step. `sequence` is an index in the plan.
  StepTensors tensors(int32_t step, int32_t sequence = 0) const;

  struct Entry {
    int32_t step, layer, sequence;
    std::string name;
    Tensor tensor;
  };
  /// All recorded tensors of a step, in the order of recording.
  std::span<const Entry> entries(int32_t step) const;
  const KvLog& kv() const { return kv_; }

  /// The spec of the storage in the latest step.
  const CacheSpec& cache_spec() const { return spec_; }
  bool truncated() const { return truncated_; }
  int64_t bytes() const { return bytes_ + kv_.bytes(); }

  // ---- for sessions
  /// Adds what the cache forgot when it committed the latest step (KvCache::evicted).
  void add_evicted(std::span<const EvictedRow> rows);

  // ---- for TracingBackend
  void open_step(const StepPlan& plan, const CacheSpec& spec);
  double now_us() const;
  bool keeps_layer(int32_t layer) const;
  bool keeps_op(std::string_view name) const;
  /// Whether n_bytes more fit. If not, nothing more is kept from now on, and truncated() becomes true.
  bool room_for(int64_t n_bytes);
  void add_event(Event event);
  /// Downloads `device` through `backend` if there is room.
  void add_tensor(Backend& backend, int32_t layer, std::string_view name, int32_t sequence,
                  ConstTensorView device);
  /// Adds host rows [n_slots, n_kv_heads, head_dim] of one sequence, in the order of their indices.
  void add_rows(int32_t layer, RowKind kind, int32_t sequence, std::span<const int64_t> slots, Tensor rows);
  void add_host(int32_t layer, std::string_view name, int32_t sequence, Tensor tensor);

 private:
  struct Step {
    StepPlan plan;
    std::vector<Event> events;
    std::vector<Entry> entries;
    std::vector<EvictedRow> evicted;
    int64_t bytes = 0;
  };
  /// What a transaction needs to restore the recorder.
  struct Aside {
    std::map<int32_t, Step> steps;
    KvLog kv;
    CacheSpec spec;
    int32_t next_step;
    bool truncated;
    int32_t first_new = std::numeric_limits<int32_t>::max();  // the first step that the transaction opened
  };
  const Step& at(int32_t step) const;
  void forget_from(int32_t step);
  Tensor assemble(int32_t step, int32_t layer, RowKind kind, int32_t sequence) const;
  ConstTensorView sequence_logits(int32_t step, int32_t sequence) const;

  RecordOptions options_;
  std::map<int32_t, Step> steps_;
  KvLog kv_;
  CacheSpec spec_;
  int32_t next_step_ = 0;
  int64_t bytes_ = 0;  // bytes of steps_
  bool truncated_ = false;
  Aside* aside_ = nullptr;  // the open transaction's; nullptr: none is open
  std::chrono::steady_clock::time_point start_;
};

/// For steps that may fail. Until keep(), it holds all that these steps replace; this memory does not count
/// for max_bytes. Without keep(), the destructor restores the recorder as it was at the start.
///
///   Recorder::Transaction recording(recorder);
///   …steps, any number…
///   recording.keep();
///
/// A recorder can have only one open transaction, and must not be moved while it is open.
class Recorder::Transaction {
 public:
  explicit Transaction(Recorder& recorder);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  void keep();

 private:
  void undo();

  Recorder& recorder_;
  Aside aside_;
};

}  // namespace lastrow
