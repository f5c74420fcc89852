// What a TracingBackend saw: events, and the tensors and K/V rows that were asked for, in host memory.
//
//   Recorder recorder({.probe = true});            what to keep
//   TracingBackend tracing(backend, recorder);     trace/tracing.h
//   recorder.set_step(8);                          optional: the index of the next step in the history
//   …a step through `tracing`…
//   StepTensors t = recorder.tensors(8);           q, K, V, scores, probs … of every recorded layer
//   recorder.events(8)                             its operations in order
//
// Each begin_step opens a step. Steps count up from 0; set_step gives the next one another index, and when it
// opens every step at or after that index is forgotten, so a history that steps back stays one history.
// With keep = latest (viewer) a step replaces the one before it; with keep = all (trace files) steps add up,
// and a K or V row is stored again only where its bits differ.
//
// * Do not keep views, or the spans returned, past the next begin_step, set_step or clear.
// * What does not fit max_bytes is left out, from the first thing that did not fit on: truncated() then
//   says so, and stays true until clear() (keep = latest: until the next step).
// * Around steps that may fail, open a Recorder::Transaction. Not for two threads at once.
//
// Tensors are f32 on the host, f64 if the backend computes in f64. A recorded tensor is known by (step,
// layer, name): an operation's output goes by its Site's name, attention's operands by the names below.
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
#include "trace/event.h"
#include "trace/kv_log.h"

namespace lastrow {

/// Names under which attend's operands are recorded, beside the Site's own name for its output.
namespace recorded {
inline constexpr const char* kQ = "attend.q";            // [n_tokens, n_q_heads, head_dim] after RoPE
inline constexpr const char* kK = "attend.k";            // [kv_len, n_kv_heads, head_dim]; keep = latest
inline constexpr const char* kV = "attend.v";            // only: else the rows are in kv()
inline constexpr const char* kLse = "attend.lse";        // [n_tokens, n_q_heads]
inline constexpr const char* kScores = "attend.scores";  // [n_q_heads, q_len, kv_len]; one for each sequence
inline constexpr const char* kProbs = "attend.probs";    // [n_q_heads, q_len, kv_len]; one for each sequence
}  // namespace recorded

struct RecordOptions {
  enum class Keep : uint8_t { latest, all };

  Keep keep = Keep::latest;
  std::vector<int32_t> layers = {};   // whose tensors and K/V rows are kept (−1: outside them); empty: all
  std::vector<std::string> ops = {};  // Site names whose outputs are kept besides; "*": every one
  bool attention = true;              // q, K, V, out and lse at each attend; residual stream; logits
  bool probe = false;                 // scores and probs of all heads, through the inner backend's probe
  bool events = true;                 // all layers: lineage needs them
  int64_t max_bytes = int64_t{256} << 20;  // of events, tensors and rows together
};

/// One layer of one sequence in one step. Views are empty where nothing was recorded.
struct LayerTensors {
  ConstTensorView q;       // [q_len, n_q_heads, head_dim]    after RoPE, as attend read it (poked, if poked)
  ConstTensorView k, v;    // [kv_len, n_kv_heads, head_dim]  stored rows, decoded, by index; K after RoPE
  ConstTensorView scores;  // [n_q_heads, q_len, kv_len]      scaled; −∞ where masked
  ConstTensorView probs;   // [n_q_heads, q_len, kv_len]      0 where masked
  ConstTensorView out;     // [q_len, n_q_heads, head_dim]
  ConstTensorView lse;     // [q_len, n_q_heads]
  ConstTensorView residual;  // [q_len, model_dim]              the stream as the layer leaves it
};

/// One sequence of one step. Row t of a tensor is token t of the sequence in this step.
struct StepTensors {
  int32_t step = -1;
  std::vector<int32_t> tokens, positions;  // [q_len]
  int32_t kv_len = 0;
  ConstTensorView embedded;          // [q_len, model_dim]
  std::vector<LayerTensors> layers;  // [n_layers of the storage]
  ConstTensorView logits;            // [rows of this sequence, vocab_size]
  std::vector<Tensor> assembled;     // holds what had to be put together (K and V with keep = all)
};

class Recorder {
 public:
  explicit Recorder(RecordOptions options = {});

  const RecordOptions& options() const { return options_; }
  void set_step(int32_t step);
  /// Forgets everything. Not while a transaction is open.
  void clear();

  class Transaction;

  /// Steps recorded, ascending.
  std::vector<int32_t> steps() const;
  bool has_step(int32_t step) const { return steps_.contains(step); }
  int32_t latest_step() const;  // −1: none yet
  /// The plan that the step was begun with. Throws UsageError for a step that is not recorded.
  const StepPlan& plan(int32_t step) const;
  std::span<const Event> events(int32_t step) const;
  /// nullptr if it was not recorded. `sequence` is a place in the plan; only scores and probs have several.
  const Tensor* find(int32_t step, int32_t layer, std::string_view name, int32_t sequence = 0) const;
  /// Everything about one sequence of a step, by its place in the plan.
  StepTensors tensors(int32_t step, int32_t sequence = 0) const;

  struct Entry {
    int32_t step, layer, sequence;
    std::string name;
    Tensor tensor;
  };
  /// Every recorded tensor of a step, in the order of recording.
  std::span<const Entry> entries(int32_t step) const;
  const KvLog& kv() const { return kv_; }

  /// Of the storage of the latest step.
  const CacheSpec& cache_spec() const { return spec_; }
  bool truncated() const { return truncated_; }
  int64_t bytes() const { return bytes_ + kv_.bytes(); }

  // ---- for TracingBackend
  void open_step(const StepPlan& plan, const CacheSpec& spec);
  double now_us() const;
  bool keeps_layer(int32_t layer) const;
  bool keeps_op(std::string_view name) const;
  /// Is there room for n_bytes more? If not, nothing more is kept from now on: truncated().
  bool room_for(int64_t n_bytes);
  void add_event(Event event);
  /// Downloads through `backend`, if there is room.
  void add_tensor(Backend& backend, int32_t layer, std::string_view name, int32_t sequence,
                  ConstTensorView device);
  /// Host rows [n_slots, n_kv_heads, head_dim] of one sequence, in index order.
  void add_rows(int32_t layer, RowKind kind, int32_t sequence, std::span<const int64_t> slots, Tensor rows);
  void add_host(int32_t layer, std::string_view name, int32_t sequence, Tensor tensor);

 private:
  struct Step {
    StepPlan plan;
    std::vector<Event> events;
    std::vector<Entry> entries;
    int64_t bytes = 0;
  };
  /// What a transaction needs to put everything back.
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

  RecordOptions options_;
  std::map<int32_t, Step> steps_;
  KvLog kv_;
  CacheSpec spec_;
  int32_t next_step_ = 0;
  int64_t bytes_ = 0;  // of steps_
  bool truncated_ = false;
  Aside* aside_ = nullptr;  // of the open transaction
  std::chrono::steady_clock::time_point start_;
};

/// Around steps that may fail: until keep() everything that they replace is put aside, in memory beyond
/// max_bytes. Without keep() the destructor makes the recorder what it was when the transaction began.
///
///   Recorder::Transaction recording(recorder);
///   …steps, any number…
///   recording.keep();
///
/// One at a time. The recorder must not be moved meanwhile.
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
