// The task that a device gets for an attention problem, and a short description of the problem.
#pragma once

#include <algorithm>
#include <string>

#include "gpu/parts/attend_call.h"
#include "judge/attend_case.h"

namespace lastrow::judge {

inline gpu::AttendTask task_of(const AttendCase& c, const Layout& l) {
  gpu::AttendShape s{.n_q_heads = c.n_q_heads,
                     .n_kv_heads = c.n_kv_heads,
                     .head_dim = c.head_dim,
                     .kv_dtype = c.kv_dtype,
                     .n_tokens = l.plan.n_tokens(),
                     .n_seqs = l.plan.n_seqs(),
                     .block_len = l.spec.block_len,
                     .blocks_per_seq = l.plan.blocks_per_seq,
                     .n_blocks = l.spec.n_blocks,
                     .table_sinks = c.table_sinks,
                     .sinks_apart = gpu::has_sinks_apart(c.mask, c.table_sinks),
                     .finishes_scores = c.soft_cap > 0 || c.alibi};
  for (const auto& [q_len, kv_len] : c.sequences) {
    s.max_q_len = std::max(s.max_q_len, q_len);
    s.max_kv_len = std::max(s.max_kv_len, kv_len);
  }
  return {s, {}, {.n_splits = c.n_splits}};
}

/// "bf16" if K and V have one type, else "k=int8,v=fp8".
inline std::string types_name(KvDtypes types) {
  return types.same() ? std::string(name_of(types.k)) : kv_dtypes_name(types);
}

/// "bf16, heads 8:2, head_dim 64, 16-token blocks shuffled, queries/keys 1/33 5/7, window 5".
inline std::string describe(const AttendCase& c) {
  std::string text = fmt::format("{}, heads {}:{}, head_dim {}, ", types_name(c.kv_dtype), c.n_q_heads,
                                 c.n_kv_heads, c.head_dim);
  text += c.block_len == 0
              ? "contiguous"
              : fmt::format("{}-token blocks{}", c.block_len, c.block_order == 0 ? "" : " shuffled");
  text += ", queries/keys";
  for (const auto& [q_len, kv_len] : c.sequences) text += fmt::format(" {}/{}", q_len, kv_len);
  if (!c.mask.causal) text += ", no mask";
  if (c.mask.window > 0) text += fmt::format(", window {}", c.mask.window);
  if (c.mask.sinks > 0) text += fmt::format(", {} sinks", c.mask.sinks);
  if (c.table_sinks > 0 || c.table_first > 0)
    text += fmt::format(", tables of {} sinks and from place {}", c.table_sinks, c.table_first);
  if (c.forgotten > 0) text += fmt::format(", {} positions forgotten", c.forgotten);
  if (c.soft_cap > 0) text += fmt::format(", soft cap {:g}", c.soft_cap);
  if (c.alibi) text += ", ALiBi";
  if (c.n_splits > 0) text += fmt::format(", {} split{}", c.n_splits, c.n_splits == 1 ? "" : "s");
  if (c.score_scale != 1) text += fmt::format(", scores × {:g}", c.score_scale);
  return text;
}

}  // namespace lastrow::judge
