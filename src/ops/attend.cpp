#include "ops/attend.h"

#include <algorithm>
#include <cmath>

namespace lastrow {

void require_queries(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                     const AttendSpec& spec, ConstTensorView lse) {
  require_layer(site, storage);
  require_rank("q", q, 3);
  const int64_t n_q_heads = q.dim(1);
  if (n_q_heads == 0 || n_q_heads % storage.spec().n_kv_heads != 0)
    throw ShapeError(
        "n_q_heads {} is not a multiple of n_kv_heads {}: each K/V head must serve a whole group", n_q_heads,
        storage.spec().n_kv_heads);
  require_shape("q", q.shape(), {batch.plan->n_tokens(), n_q_heads, storage.spec().head_dim});
  require_shape("lse", lse.shape(), {q.dim(0), n_q_heads});
  const auto& [score, mask] = spec;
  if (!(score.soft_cap >= 0) || std::isinf(score.soft_cap))
    throw ShapeError("soft_cap is {}: give a number above 0, or 0 for none", score.soft_cap);
  if (score.alibi_heads != 0 && score.alibi_heads != n_q_heads)
    throw ShapeError("ALiBi slopes for {} heads, but q has {}: set alibi_heads to n_q_heads, or to 0",
                     score.alibi_heads, n_q_heads);
  if (mask.window < 0 || mask.sinks < 0)
    throw ShapeError("window {}, sinks {}: neither may be negative", mask.window, mask.sinks);
}

void Attend::check() const {
  require_queries(site, q, storage, batch, spec, lse);
  require_shape("attend output", out.shape(), q.shape());
  if (!keys.empty()) require_rotated(keys, storage);
}

namespace {

/// The sum of count(q_len, kv_len, causal, most_keys) over the sequences of the step.
int64_t sum_over_sequences(const StepPlan& plan, MaskRule mask,
                           int64_t count(int64_t q_len, int64_t kv_len, bool causal, int64_t most_keys)) {
  int64_t sum = 0;
  for (int32_t i = 0; i < plan.n_seqs(); ++i)
    sum += count(plan.q_len(i), plan.kv_len[i], mask.causal, mask.most_keys());
  return sum;
}

}  // namespace

int64_t more_key_bytes(const StepPlan& plan, int32_t i, MaskRule mask, const KvStorage& storage) {
  if (!storage.has_open_blocks() || plan.open_blocks.empty()) return 0;
  const CacheSpec& spec = storage.spec();
  const BlockTable table = block_table(plan, i);
  const auto n_rows =
      static_cast<int32_t>(cost::visible_rows(plan.q_len(i), plan.kv_len[i], mask.causal, mask.most_keys()));
  int64_t bytes = 0;  // of one head
  for (int32_t s = plan.kv_len[i] - n_rows; s < plan.kv_len[i];) {
    const int32_t n_here = std::min(plan.kv_len[i] - s, run_from(table, s));
    const bool is_open = plan.open_blocks[table.blocks[entry_of(table.block_len, s)]] >= 0;
    bytes += is_open ? int64_t{n_here} * spec.head_dim * (cost::kF32Bytes - 1) : spec.channel_scales_bytes();
    s += n_here;
  }
  return spec.n_kv_heads * bytes;
}

cost::AttendSize attend_size(ConstTensorView q, const KvStorage& storage, const Batch& batch,
                             const AttendSpec& spec) {
  int64_t more_k_bytes = 0;
  for (int32_t i = 0; i < batch.plan->n_seqs(); ++i)
    more_k_bytes += more_key_bytes(*batch.plan, i, spec.mask, storage);
  return {.visible_cells = sum_over_sequences(*batch.plan, spec.mask, cost::visible_cells),
          .kv_rows = sum_over_sequences(*batch.plan, spec.mask, cost::visible_rows),
          .n_tokens = q.dim(0),
          .n_q_heads = q.dim(1),
          .n_kv_heads = storage.spec().n_kv_heads,
          .head_dim = q.dim(2),
          .k = storage.row_format(RowKind::k),
          .v = storage.row_format(RowKind::v),
          .more_k_bytes = more_k_bytes,
          .activation_elem_bytes = elem_bytes(q.dtype())};
}

int64_t Attend::score_cells() const {
  return sum_over_sequences(*batch.plan, spec.mask, cost::visible_cells) * q.dim(1);
}

OpCost Attend::cost() const {
  cost::AttendSize size = attend_size(q, storage, batch, spec);
  size.keys_in_scratch = !keys.empty();
  if (size.keys_in_scratch) size.k = {.elem_bytes = elem_bytes(keys.dtype())};
  return cost::attend(size);
}

}  // namespace lastrow
