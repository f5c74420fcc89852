#include "backend/checks.h"

#include <algorithm>

namespace lastrow::checks {
namespace {

void require_layer(Site site, const KvStorage& storage) {
  if (site.layer < 0 || site.layer >= storage.spec().n_layers)
    throw ShapeError(
        "{}: layer {} of a cache with {} layers: make the storage from the model's own CacheSpec", site.name,
        site.layer, storage.spec().n_layers);
}

void require_rank(const char* name, ConstTensorView x, int rank) {
  if (x.shape().rank() != rank)
    throw ShapeError("{} has shape {}: expected {} dimensions", name, x.shape().to_string(), rank);
}

}  // namespace

void embed(ConstTensorView table, const Batch& batch, ConstTensorView out) {
  require_rank("embedding table", table, 2);
  require_shape("embedded tokens", out.shape(), {batch.plan->n_tokens(), table.dim(1)});
  for (int32_t token : batch.plan->tokens)
    if (token < 0 || token >= table.dim(0))
      throw ShapeError(
          "token {} is outside the vocabulary of {}: encode the text with the model's own tokenizer", token,
          table.dim(0));
}

void rms_norm(ConstTensorView x, ConstTensorView weight, ConstTensorView out) {
  require_rank("rms_norm input", x, 2);
  require_shape("rms_norm weight", weight.shape(), {x.dim(1)});
  require_shape("rms_norm output", out.shape(), x.shape());
}

void linear(ConstTensorView x, ConstTensorView weight, ConstTensorView bias, ConstTensorView out) {
  require_rank("linear input", x, 2);
  require_rank("linear weight", weight, 2);
  if (weight.dim(1) != x.dim(1))
    throw ShapeError("linear: weight {} does not take rows of {} elements: give it [out, {}]",
                     weight.shape().to_string(), x.dim(1), x.dim(1));
  if (!bias.empty()) require_shape("linear bias", bias.shape(), {weight.dim(0)});
  require_shape("linear output", out.shape(), {x.dim(0), weight.dim(0)});
}

void rope(const RopeTable& table, const Batch& batch, ConstTensorView x) {
  require_rank("rope input", x, 3);
  require_shape("rope input", x.shape(), {batch.plan->n_tokens(), x.dim(1), 2 * table.cos.shape()[1]});
  for (int32_t position : batch.plan->positions)
    if (position < 0 || position >= table.cos.shape()[0])
      throw ShapeError("position {} has no RoPE angle: the table was made for {} positions", position,
                       table.cos.shape()[0]);
}

void append(Site site, ConstTensorView k, ConstTensorView v, const Batch& batch, const KvStorage& storage) {
  require_layer(site, storage);
  const Shape expected{batch.plan->n_tokens(), storage.spec().n_kv_heads, storage.spec().head_dim};
  require_shape("new k", k.shape(), expected);
  require_shape("new v", v.shape(), expected);
}

void attend(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch, ConstTensorView out,
            ConstTensorView lse) {
  require_layer(site, storage);
  require_rank("q", q, 3);
  const int64_t n_q_heads = q.dim(1);
  if (n_q_heads == 0 || n_q_heads % storage.spec().n_kv_heads != 0)
    throw ShapeError(
        "n_q_heads {} is not a multiple of n_kv_heads {}: each K/V head must serve a whole group", n_q_heads,
        storage.spec().n_kv_heads);
  require_shape("q", q.shape(), {batch.plan->n_tokens(), n_q_heads, storage.spec().head_dim});
  require_shape("attend output", out.shape(), q.shape());
  require_shape("lse", lse.shape(), {q.dim(0), n_q_heads});
}

int32_t probe(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch, ConstTensorView lse,
              const ProbeSelection& selection, ConstTensorView scores, ConstTensorView probs,
              ConstTensorView lse_distance) {
  attend(site, q, storage, batch, q, lse);
  const auto& [first_head, n_heads, first_row, n_rows] = selection;
  if (first_head < 0 || n_heads < 0 || first_head + n_heads > q.dim(1) || first_row < 0 || n_rows < 0 ||
      first_row + n_rows > q.dim(0))
    throw ShapeError("probe of heads {}+{} and rows {}+{} reaches past q {}: select within it", first_head,
                     n_heads, first_row, n_rows, q.shape().to_string());
  const StepPlan& plan = *batch.plan;
  int32_t sequence = 0;
  while (sequence + 1 < plan.n_seqs() && plan.q_start[sequence + 1] <= first_row) ++sequence;
  if (n_rows > 0 && first_row + n_rows > plan.q_start[sequence + 1])
    throw ShapeError("probe of rows {}+{} spans two sequences: probe each by itself", first_row, n_rows);
  require_shape("probe scores", scores.shape(), {n_heads, n_rows, plan.kv_len[sequence]});
  require_shape("probe probs", probs.shape(), scores.shape());
  if (!lse_distance.empty()) require_shape("probe lse_distance", lse_distance.shape(), {n_heads, n_rows});
  return sequence;
}

void same_shape(const char* name, ConstTensorView x, ConstTensorView out) {
  require_shape(name, x.shape(), out.shape());
}

void gather_rows(ConstTensorView x, const Batch& batch, ConstTensorView out) {
  require_rank("gather_rows input", x, 2);
  require_shape("gathered rows", out.shape(), {batch.plan->n_logit_rows(), x.dim(1)});
}

void argmax(ConstTensorView logits, ConstTensorView ids) {
  require_rank("logits", logits, 2);
  require_shape("argmax ids", ids.shape(), {logits.dim(0)});
}

void rows(const KvStorage& storage, int32_t layer, std::span<const int64_t> slots, ConstTensorView host) {
  require_layer({layer, "rows"}, storage);
  const CacheSpec& spec = storage.spec();
  require_shape("cache rows", host.shape(),
                {static_cast<int64_t>(slots.size()), spec.n_kv_heads, spec.head_dim});
  for (int64_t slot : slots)
    if (slot < 0 || slot >= int64_t{spec.n_blocks} * spec.block_len)
      throw ShapeError("slot {} is outside a cache of {} slots: ask KvCache::slot", slot,
                       int64_t{spec.n_blocks} * spec.block_len);
}

void copy_blocks(const KvStorage& storage, std::span<const BlockCopy> copies) {
  const int32_t n = storage.spec().n_blocks;
  for (const auto& [from, to] : copies)
    if (from < 0 || from >= n || to < 0 || to >= n || from == to)
      throw ShapeError("block copy {} → {} in a cache of {} blocks: copy between two of them", from, to, n);
}

void plan(const StepPlan& plan, const KvStorage& storage) {
  const CacheSpec& spec = storage.spec();
  const size_t n_tokens = plan.tokens.size(), n_seqs = plan.kv_len.size();
  if (plan.positions.size() != n_tokens || plan.append_slots.size() != n_tokens ||
      plan.q_start.size() != n_seqs + 1 || plan.q_start.front() != 0 ||
      plan.q_start.back() != plan.n_tokens() || !std::is_sorted(plan.q_start.begin(), plan.q_start.end()) ||
      plan.block_tables.size() != n_seqs * static_cast<size_t>(plan.blocks_per_seq) ||
      plan.block_len != spec.block_len)
    throw ShapeError(
        "a plan of {} tokens and {} sequences does not fit itself or its storage: use KvCache::plan",
        n_tokens, n_seqs);
  const int64_t n_slots = int64_t{spec.n_blocks} * spec.block_len;
  for (int64_t slot : plan.append_slots)
    if (slot < 0 || slot >= n_slots)
      throw ShapeError("append slot {} is outside a cache of {} slots: use KvCache::plan", slot, n_slots);
  for (int32_t row : plan.logit_rows)
    if (row < 0 || row >= plan.n_tokens())
      throw ShapeError("logit row {} of {} tokens: use KvCache::plan", row, plan.n_tokens());
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    if (plan.kv_len[i] < 0 || plan.kv_len[i] > int64_t{plan.blocks_per_seq} * plan.block_len)
      throw ShapeError("kv_len {} does not fit {} blocks of {}: use KvCache::plan", plan.kv_len[i],
                       plan.blocks_per_seq, plan.block_len);
    for (int64_t b = 0; b * plan.block_len < plan.kv_len[i]; ++b) {
      const int32_t block = plan.block_tables[int64_t{i} * plan.blocks_per_seq + b];
      if (block < 0 || block >= spec.n_blocks)
        throw ShapeError("block {} of a cache of {} blocks: use KvCache::plan", block, spec.n_blocks);
    }
  }
}

}  // namespace lastrow::checks
