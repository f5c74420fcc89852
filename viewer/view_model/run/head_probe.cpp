#include "viewer/view_model/run/head_probe.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "cache/make_cache.h"
#include "registry/registry.h"
#include "viewer/view_model/describe/held_rows.h"

namespace lastrow::view {

namespace {

constexpr int kRowsAtOnce = 64;

/// One layer of a step on a backend, ready for probes.
class OneLayer {
 public:
  OneLayer(Backend& backend, const ModelConfig& c, const SideData& side, int layer, const AttendSpec& spec,
           int n_tokens)
      : backend_(backend),
        spec_(spec),
        keys_(side.held(layer).keys),
        n_tokens_(n_tokens),
        cache_(make_cache(
            {},
            {.n_layers = 1, .n_kv_heads = c.n_kv_heads, .head_dim = c.head_dim, .max_seq_len = n_keys()})),
        storage_(backend.make_storage(cache_->spec())) {
    const LayerData& l = side.layers[static_cast<size_t>(layer)];
    std::vector<int64_t> slots(keys_.size());
    std::iota(slots.begin(), slots.end(), 0);
    backend.write_rows(*storage_, 0, RowKind::k, slots,
                       ConstTensorView(l.k.data(), {n_keys(), c.n_kv_heads, c.head_dim}));
    q_ = backend.upload(ConstTensorView(l.q.data(), {side.q_len, c.n_q_heads, c.head_dim}));
    lse_ = backend.upload(ConstTensorView(l.lse.data(), {side.q_len, c.n_q_heads}));
    if (n_keys() > side.q_len) cache_->commit(plan(n_keys() - side.q_len));
    step_ = plan(side.q_len);
    if (n_keys() != n_tokens) use_positions_of_keys(side);
    batch_ = &backend.begin_step(step_, *storage_);
  }

  /// scores and probs [n_rows, n_tokens] of one head, from a row of q on.
  void probe(int head, int first_row, int n_rows, float* scores, float* probs) {
    const Shape shape{1, n_rows, static_cast<int64_t>(keys_.size())};
    Tensor s = backend_.make_tensor(shape), p = backend_.make_tensor(shape);
    backend_.run(Probe{.site = {0, "probe"},
                       .q = q_,
                       .storage = *storage_,
                       .batch = *batch_,
                       .spec = spec_,
                       .lse = lse_,
                       .selection = {head, 1, first_row, n_rows},
                       .scores = s,
                       .probs = p});
    download_by_position(s.view(), n_rows, scores, -std::numeric_limits<float>::infinity());
    download_by_position(p.view(), n_rows, probs, 0);
  }

  /// The weights of all rows of q. The first is the row of token first_position.
  std::shared_ptr<const ReducedWeights> reduce(int head, int first_position, int q_len) {
    WeightReducer reducer(n_tokens_);
    std::vector<float> scores(static_cast<size_t>(kRowsAtOnce) * static_cast<size_t>(n_tokens_));
    std::vector<float> probs = scores;
    for (int row = 0; row < q_len; row += kRowsAtOnce) {
      const int n_rows = std::min(kRowsAtOnce, q_len - row);
      probe(head, row, n_rows, scores.data(), probs.data());
      for (int i = 0; i < n_rows; ++i)
        reducer.add_row(first_position + row + i, probs.data() + int64_t{i} * n_tokens_);
    }
    return std::make_shared<const ReducedWeights>(reducer.take());
  }

 private:
  int n_keys() const { return static_cast<int>(keys_.size()); }

  /// For a rule that goes by the distance of a query and a key.
  void use_positions_of_keys(const SideData& side) {
    step_.key_positions.clear();
    for (const PlacedRow& key : keys_) step_.key_positions.push_back(key.position);
    for (int t = 0; t < side.q_len; ++t) step_.positions[static_cast<size_t>(t)] = side.first_position + t;
  }

  /// From columns in the order of indices to columns in the order of positions.
  void download_by_position(ConstTensorView from, int n_rows, float* to, float elsewhere) {
    if (std::ssize(keys_) == n_tokens_) return backend_.download(from, TensorView(to, from.shape()));
    by_index_.resize(static_cast<size_t>(from.size()));
    backend_.download(from, TensorView(by_index_.data(), from.shape()));
    to_positions(by_index_.data(), n_rows, keys_, n_tokens_, elsewhere, to);
  }

  const StepPlan& plan(int n) {
    tokens_.assign(static_cast<size_t>(n), 0);
    const SequenceInput input{0, tokens_, LogitRows::none};
    return cache_->plan({&input, 1});
  }

  Backend& backend_;
  AttendSpec spec_;
  const std::vector<PlacedRow>& keys_;  // of the step
  int n_tokens_;
  std::vector<float> by_index_;
  StepPlan step_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<KvStorage> storage_;
  std::vector<int32_t> tokens_;
  Tensor q_, lse_;
  const Batch* batch_ = nullptr;
};

}  // namespace

HeadProbe::HeadProbe(const std::string& backend, const ModelConfig& config)
    : backend_(make_backend(backend)), config_(config) {}

std::shared_ptr<const FocusRows> HeadProbe::rows(const SideData& side, const AttendSpec& spec, int n_tokens,
                                                 const Focus& focus) {
  OneLayer layer(*backend_, config_, side, focus.layer, spec, n_tokens);
  auto out = std::make_shared<FocusRows>();
  const int end = std::min(focus.first_row + focus.n_rows, n_tokens);
  out->at = focus;
  out->at.first_row = std::clamp(focus.first_row, side.first_position, n_tokens);
  out->at.n_rows = std::max(0, end - out->at.first_row);
  out->scores = Floats(int64_t{out->at.n_rows} * n_tokens);
  out->probs = Floats(int64_t{out->at.n_rows} * n_tokens);
  if (out->at.n_rows > 0)
    layer.probe(focus.head, out->at.first_row - side.first_position, out->at.n_rows, out->scores.own(),
                out->probs.own());
  const bool same_head =
      side.focus && side.focus->at.layer == focus.layer && side.focus->at.head == focus.head;
  out->reduced = same_head ? side.focus->reduced : layer.reduce(focus.head, side.first_position, side.q_len);
  return out;
}

}  // namespace lastrow::view
