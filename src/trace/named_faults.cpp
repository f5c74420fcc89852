#include "trace/named_faults.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "trace/faults.h"
#include "trace/owning.h"

namespace lastrow {
namespace {

constexpr Fault kFaults[] = {
    {"position-zero", "in decode the new token is rotated as if it were at position 0",
     "step 1, layer 0, rope_q"},
    {"offset-twice", "the length of the past is added to the new token's position twice",
     "step 1, layer 0, rope_q"},
    {"early-length", "layer 0 already counts the new rows, so later layers append them after a gap",
     "step 0, layer 1, attend"},
    {"repeat-kv", "K and V are repeated for each query head before they are stored", ""},
    {"stale-rows", "a reset does not set the length to 0: old rows stay visible", "step 0, layer 0, attend"},
    {"mask-top-left", "the causal mask is aligned top-left: query t sees keys up to t only",
     "step 1, layer 0, attend"},
    {"scale-twice", "scores are multiplied by 1/sqrt(head_dim) twice", "step 0, layer 0, attend"},
    {"window-short", "the window begins one key too late: the last query does not see key 0",
     "step 0, layer 0, attend"},
};

bool is_decode(const StepPlan& plan, int32_t i) { return plan.q_len(i) < plan.kv_len[i]; }

/// Gives the new tokens of sequence i the positions first, first + 1, …
void number_from(StepPlan& plan, int32_t i, int32_t first) {
  for (int32_t t = 0; t < plan.q_len(i); ++t) plan.positions[plan.q_start[i] + t] = first + t;
}

/// Stores the new rows of sequence i at indices that are larger by `shift`. If the sequence's blocks have not
/// so much room, the shift is smaller.
void append_later(StepPlan& plan, int32_t i, int32_t shift) {
  const BlockTable table{plan.block_tables.data() + int64_t{i} * plan.blocks_per_seq, plan.blocks_per_seq,
                         plan.block_len};
  const int32_t q_len = plan.q_len(i), capacity = plan.blocks_per_seq * plan.block_len;
  shift = std::min(shift, capacity - plan.kv_len[i]);
  plan.kv_len[i] += shift;
  for (int32_t t = 0; t < q_len; ++t)
    plan.append_slots[plan.q_start[i] + t] = slot_of(table, plan.kv_len[i] - q_len + t);
}

/// Sets all rows of the layers from first_layer on to 0, as many programs do at the start. So a row that a
/// fault never writes is read as 0.
void clear(Backend& backend, KvStorage& storage, int32_t first_layer) {
  const CacheSpec& spec = storage.spec();
  std::vector<int64_t> slots(static_cast<size_t>(spec.n_blocks) * static_cast<size_t>(spec.block_len));
  std::iota(slots.begin(), slots.end(), 0);
  const Tensor zeros =
      Tensor::host(DType::f32, {static_cast<int64_t>(slots.size()), spec.n_kv_heads, spec.head_dim});
  for (int32_t layer = first_layer; layer < spec.n_layers; ++layer)
    for (const RowKind kind : {RowKind::k, RowKind::v})
      backend.write_rows(storage, layer, kind, slots, zeros.view());
}

/// After a reset, the length of the previous conversation still counts.
class StaleRows final : public WatchingBackend {
 public:
  using WatchingBackend::WatchingBackend;

  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override {
    if (storage_ != &storage) clear(inner(), storage, 0);
    storage_ = &storage;
    plan_ = plan;
    if (!is_decode(plan, 0) && held_ > 0) append_later(plan_, 0, held_);
    held_ = plan.kv_len[0];
    return inner().begin_step(plan_, storage);
  }

 private:
  StepPlan plan_;
  const KvStorage* storage_ = nullptr;  // the storage of the last step
  int32_t held_ = 0;                    // rows of the previous conversation
};

/// From layer 1 on, operations get a batch whose kv_len counts the new rows of this step twice.
class EarlyLength final : public WatchingBackend {
 public:
  using WatchingBackend::WatchingBackend;

  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override {
    plan_ = plan;
    storage_ = &storage;
    late_ = nullptr;
    if (!is_decode(plan, 0)) clear(inner(), storage, 1);
    return inner().begin_step(plan, storage);
  }
  void run(const Op& op) override {
    Op seen = op;
    std::visit(
        [this](auto& o) {
          if constexpr (requires { o.batch; }) o.batch = seen_batch(o.site, o.batch);
        },
        seen);
    inner().run(seen);
  }

 private:
  const Batch& seen_batch(Site site, const Batch& batch) {
    if (site.layer == 0 || (site.layer < 0 && late_ == nullptr)) return batch;
    if (late_ == nullptr) {
      append_later(plan_, 0, plan_.q_len(0));
      plan_.block_copies.clear();  // the first begin_step has done them
      late_ = &inner().begin_step(plan_, *storage_);
    }
    return *late_;
  }
  StepPlan plan_;
  KvStorage* storage_ = nullptr;
  const Batch* late_ = nullptr;  // of this step, from layer 1 on
};

/// The cache holds n_q_heads rows of K and of V per token, although n_kv_heads would be enough.
class RepeatedHeads final : public WatchingBackend {
 public:
  RepeatedHeads(Backend& inner, int32_t group_size) : WatchingBackend(inner), group_size_(group_size) {}

  std::unique_ptr<KvStorage> make_storage(const CacheSpec& spec) override {
    CacheSpec larger = spec;
    larger.n_kv_heads *= group_size_;
    return inner().make_storage(larger);
  }
  void run(const Op& op) override {
    const auto* append = std::get_if<Append>(&op);
    if (append == nullptr) return inner().run(op);
    const Tensor more_k = repeated(append->k), more_v = repeated(append->v);
    inner().run(Append{append->site, more_k, more_v, append->batch, append->storage});
  }
  /// If `host` has as many heads as the storage, it gets all of them. If it has the model's n_kv_heads, it
  /// gets one head of each group.
  void read_rows(const KvStorage& storage, int32_t layer, RowKind kind, std::span<const int64_t> slots,
                 TensorView host) override {
    const int64_t n_heads = storage.spec().n_kv_heads, head_dim = storage.spec().head_dim;
    if (host.dim(1) == n_heads) return inner().read_rows(storage, layer, kind, slots, host);
    Tensor all = Tensor::host(host.dtype(), {host.dim(0), n_heads, head_dim});
    inner().read_rows(storage, layer, kind, slots, all.view());
    const int64_t n = host.dim(0) * host.dim(1);
    for (int64_t i = 0; i < n; ++i)
      convert(all.view().reshaped({n * group_size_, head_dim}).rows(i * group_size_, 1),
              host.reshaped({n, head_dim}).rows(i, 1));
  }
  void write_rows(KvStorage& storage, int32_t layer, RowKind kind, std::span<const int64_t> slots,
                  ConstTensorView host) override {
    if (host.dim(1) == storage.spec().n_kv_heads)
      return inner().write_rows(storage, layer, kind, slots, host);
    const Tensor more = repeated_on_host(host);
    inner().write_rows(storage, layer, kind, slots, more.view());
  }

 private:
  /// [n_rows, n_kv_heads, head_dim] → [n_rows, n_kv_heads · group_size, head_dim], in host memory.
  Tensor repeated_on_host(ConstTensorView rows) const {
    const int64_t n = rows.dim(0) * rows.dim(1), head_dim = rows.dim(2);
    Tensor more = Tensor::host(rows.dtype(), {rows.dim(0), rows.dim(1) * group_size_, head_dim});
    for (int64_t i = 0; i < n * group_size_; ++i)
      convert(rows.reshaped({n, head_dim}).rows(i / group_size_, 1),
              more.view().reshaped({n * group_size_, head_dim}).rows(i, 1));
    return more;
  }
  Tensor repeated(ConstTensorView rows) {
    Tensor host = Tensor::host(rows.dtype(), rows.shape());
    inner().download(rows, host.view());
    return inner().upload(repeated_on_host(host.view()).view());
  }

  int32_t group_size_;
};

using PlanFault = std::function<void(StepPlan&)>;
using AttendFault = std::function<void(Site, AttendSpec&)>;

std::unique_ptr<Backend> tampered(std::unique_ptr<Backend> backend, PlanFault on_plan,
                                  AttendFault on_attend = {}) {
  auto owning = std::make_unique<Owning<FaultingBackend>>(std::move(backend));
  owning->decorator().on_plan(std::move(on_plan));
  owning->decorator().on_attend(std::move(on_attend));
  return owning;
}

PlanFault for_each_decode(std::function<void(StepPlan&, int32_t)> change) {
  return [change = std::move(change)](StepPlan& plan) {
    for (int32_t i = 0; i < plan.n_seqs(); ++i)
      if (is_decode(plan, i)) change(plan, i);
  };
}

std::string names() {
  std::string list;
  for (const Fault& fault : kFaults) list += (list.empty() ? "" : ", ") + std::string(fault.name);
  return list;
}

}  // namespace

std::span<const Fault> faults() { return kFaults; }

std::unique_ptr<Backend> with_fault(const std::string& name, std::unique_ptr<Backend> backend,
                                    int32_t group_size) {
  if (name == "position-zero")
    return tampered(std::move(backend),
                    for_each_decode([](StepPlan& plan, int32_t i) { number_from(plan, i, 0); }));
  if (name == "offset-twice")
    return tampered(std::move(backend), for_each_decode([](StepPlan& plan, int32_t i) {
                      number_from(plan, i, 2 * (plan.kv_len[i] - plan.q_len(i)));
                    }));
  if (name == "early-length") return std::make_unique<Owning<EarlyLength>>(std::move(backend));
  if (name == "repeat-kv") return std::make_unique<Owning<RepeatedHeads>>(std::move(backend), group_size);
  if (name == "stale-rows") return std::make_unique<Owning<StaleRows>>(std::move(backend));
  if (name == "mask-top-left")
    return tampered(std::move(backend),
                    for_each_decode([](StepPlan& plan, int32_t i) { plan.kv_len[i] = plan.q_len(i); }));
  if (name == "scale-twice")
    return tampered(std::move(backend), {}, [](Site, AttendSpec& spec) { spec.scale *= spec.scale; });
  if (name == "window-short") {
    auto kv_len = std::make_shared<int32_t>(0);
    return tampered(
        std::move(backend), [kv_len](StepPlan& plan) { *kv_len = plan.kv_len[0]; },
        [kv_len](Site, AttendSpec& spec) {
          if (*kv_len > 1 && spec.mask.window == 0) spec.mask.window = *kv_len - 1;
        });
  }
  throw UsageError("there is no fault '{}'; choose one of: {}", name, names());
}

}  // namespace lastrow
