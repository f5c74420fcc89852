#include "trace/named_faults.h"

#include <algorithm>

#include "core/error.h"
#include "trace/faults.h"
#include "trace/hidden_past.h"
#include "trace/length_faults.h"
#include "trace/owning.h"
#include "trace/plan_edits.h"
#include "trace/prefix_faults.h"

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
    {"empty-rows", "decode reads the whole static cache: the empty rows behind the text count as keys",
     "step 1, layer 0, attend"},
    {"block-tail", "the tail of the last block is not masked: stale rows in it count as keys",
     "step 1, layer 0, attend", "paged"},
    {"chunk-positions", "in each chunk of a prefill, positions count from the start of the chunk",
     "step 1, layer 0, rope_q", "chunks"},
    {"padded-positions",
     "in decode every sequence gets the position of the longest, as if padded on the left",
     "step 1, layer 0, rope_q", "batch"},
    {"block-alone-key", "a cached block is found by its own tokens alone, not also by those before it",
     "step 1, layer 1, attend", "prefix"},
    {"unread-prefix", "after a prefix hit, the prefill does not read the rows that it shares",
     "step 1, layer 0, attend", "prefix"},
    {"second-turn", "the mask of a second turn covers its own tokens only, and so hides the past",
     "step 1, layer 0, attend", "chunks"},
    {"inherited-window", "a layer with full attention inherits the window of the layer before it",
     "step 1, layer 1, attend", "window"},
    {"window-rolled-early",
     "old rows leave the window before the attention of a chunk, so its first queries lose keys",
     "step 1, layer 0, attend", "forgetting"},
    {"ring-short", "the window of the cache is one key too short: the last query does not see its oldest key",
     "step 0, layer 0, attend", "forgetting"},
    {"offset-kept", "new tokens are rotated by the number of rows that are kept, not of the tokens seen",
     "step 1, layer 0, rope_q", "forgetting"},
    {"mixed-positions", "the query is rotated at its new position, but the keys at those in the text",
     "step 1, layer 0, attend", "new-positions"},
    {"token-scales",
     "each row of K is stored in int8 with one scale, not with a scale for each channel of its block",
     "step 0, layer 0, attend", "int8-channel"},
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

/// Where K should have a scale for each channel of a block, every row has one scale. So no block is open.
class TokenScales final : public WatchingBackend {
 public:
  using WatchingBackend::WatchingBackend;

  std::unique_ptr<KvStorage> make_storage(const CacheSpec& spec) override {
    CacheSpec changed = spec;
    if (has_channel_scales(spec.dtype_k)) changed.dtype_k = DType::i8;
    changed.longest_step = changed.n_open_blocks = 0;
    return inner().make_storage(changed);
  }
  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override {
    plan_ = plan;
    plan_.open_blocks.clear();
    plan_.open_slots.clear();
    plan_.seals.clear();
    return inner().begin_step(plan_, storage);
  }

 private:
  StepPlan plan_;
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

using SequenceFault = std::function<void(StepPlan&, int32_t i)>;

/// Changes each sequence that continues stored rows, in decode as in later chunks.
PlanFault for_each_with_past(SequenceFault change) {
  return [change = std::move(change)](StepPlan& plan) {
    for (int32_t i = 0; i < plan.n_seqs(); ++i)
      if (has_past(plan, i)) change(plan, i);
  };
}

/// Counts a sequence as long as the longest of its step, as a batch that is padded on the left does.
void share_positions(StepPlan& plan) {
  const int32_t longest = plan.n_seqs() > 0 ? *std::ranges::max_element(plan.kv_len) : 0;
  for (int32_t i = 0; i < plan.n_seqs(); ++i)
    if (has_past(plan, i)) number_from(plan, i, longest - plan.q_len(i));
}

/// Keeps as many rows as the window of the last query has, as if the chunk were already over.
void roll_early(StepPlan& plan, int32_t i) {
  if (plan.window == 0 || plan.q_len(i) < 2) return;
  const int32_t too_many = plan.kv_len[i] - plan.window - plan.window_sinks;
  const int32_t old = past_of(plan, i) - plan.table_sinks;
  if (const int32_t n = std::min(too_many, old); n > 0) forget_oldest(plan, i, n);
}

/// Counts the keys of the cache's window without the query's own. A window of one key stays, because 0 means none.
void shorten_window(StepPlan& plan) {
  if (plan.window > 1) --plan.window;
}

/// Gives each layer without a window that of the layer before it.
AttendFault inherit_window() {
  auto window = std::make_shared<int32_t>(0);  // of the last layer that has one; 0: none yet in this step
  return [window](Site site, AttendSpec& spec) {
    if (site.layer == 0) *window = 0;
    if (spec.mask.window > 0) *window = spec.mask.window;
    spec.mask.window = *window;
  };
}

std::string names() {
  std::string list;
  for (const Fault& fault : kFaults) list += (list.empty() ? "" : ", ") + std::string(fault.name);
  return list;
}

/// The change of the plan, for the faults that change nothing else. Empty for all others.
PlanFault plan_fault(const std::string& name) {
  if (name == "position-zero")
    return for_each_with_past([](StepPlan& plan, int32_t i) { number_from(plan, i, 0); });
  if (name == "offset-twice")
    return for_each_with_past([](StepPlan& plan, int32_t i) { number_from(plan, i, 2 * past_of(plan, i)); });
  if (name == "mask-top-left")
    return for_each_with_past([](StepPlan& plan, int32_t i) { plan.kv_len[i] = plan.q_len(i); });
  if (name == "chunk-positions")
    return for_each_with_past([](StepPlan& plan, int32_t i) {
      if (plan.q_len(i) > 1) number_from(plan, i, 0);
    });
  if (name == "padded-positions") return share_positions;
  if (name == "window-rolled-early") return for_each_with_past(roll_early);
  if (name == "ring-short") return shorten_window;
  if (name == "mixed-positions")
    return [](StepPlan& plan) {
      if (plan.uses_new_positions()) plan.new_key_positions = plan.key_positions;
    };
  if (name == "offset-kept")
    return for_each_with_past([](StepPlan& plan, int32_t i) { number_from(plan, i, past_of(plan, i)); });
  return {};
}

}  // namespace

std::span<const Fault> faults() { return kFaults; }

std::unique_ptr<Backend> with_fault(const std::string& name, std::unique_ptr<Backend> backend,
                                    int32_t group_size) {
  using enum UnmaskedTail::Tail;
  if (PlanFault change = plan_fault(name)) return tampered(std::move(backend), std::move(change));
  if (name == "early-length") return std::make_unique<Owning<EarlyLength>>(std::move(backend));
  if (name == "repeat-kv") return std::make_unique<Owning<RepeatedHeads>>(std::move(backend), group_size);
  if (name == "stale-rows") return std::make_unique<Owning<StaleRows>>(std::move(backend));
  if (name == "scale-twice")
    return tampered(std::move(backend), {},
                    [](Site, AttendSpec& spec) { spec.score.scale *= spec.score.scale; });
  if (name == "window-short") {
    auto kv_len = std::make_shared<int32_t>(0);
    return tampered(
        std::move(backend), [kv_len](StepPlan& plan) { *kv_len = plan.kv_len[0]; },
        [kv_len](Site, AttendSpec& spec) {
          if (*kv_len > 1 && spec.mask.window == 0) spec.mask.window = *kv_len - 1;
        });
  }
  if (name == "inherited-window") return tampered(std::move(backend), {}, inherit_window());
  if (name == "empty-rows") return std::make_unique<Owning<UnmaskedTail>>(std::move(backend), zeros);
  if (name == "block-tail") return std::make_unique<Owning<UnmaskedTail>>(std::move(backend), stale);
  if (name == "block-alone-key") return std::make_unique<Owning<BlockAloneKey>>(std::move(backend));
  if (name == "token-scales") return std::make_unique<Owning<TokenScales>>(std::move(backend));
  if (name == "unread-prefix") return std::make_unique<Owning<UnreadPrefix>>(std::move(backend));
  if (name == "second-turn") return std::make_unique<Owning<HiddenPast>>(std::move(backend));
  throw UsageError("there is no fault '{}'; choose one of: {}", name, names());
}

}  // namespace lastrow
