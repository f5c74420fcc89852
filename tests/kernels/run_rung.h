// One attention problem through one rung under the emulator, beside the judge on the same stored rows.
//
//   Ran r = run_rung(emulated::rung("k05"), c, {.check = true});   r.out, r.lse, r.traffic
//   expect_rung(rung, c)     runs it under all checks, judges it by the tolerance rule, names case and error
//   attend_by_hand(rung, shape, q, k, v, out, lse)     on arrays that a test wrote out
//   run_rung(rung, c, {}, [](gpu::AttendShape& s) { s.n_splits = 3; })      a shape other than the case's own
#pragma once

#include <doctest/doctest.h>

#include "backend/judged_case.h"
#include "gpu/kernels/ladder.h"
#include "gpu/simt/device.h"

namespace lastrow::testing {

struct Ran {
  AttendResult result;
  std::vector<float> scratch;  // NaN where nothing was written
  std::vector<simt::KernelTraffic> traffic;
};

inline gpu::AttendShape shape_of(const AttendCase& c, const Layout& l) {
  gpu::AttendShape s{.n_q_heads = c.n_q_heads,
                     .n_kv_heads = c.n_kv_heads,
                     .head_dim = c.head_dim,
                     .kv_dtype = c.kv_dtype,
                     .n_tokens = l.plan.n_tokens(),
                     .n_seqs = l.plan.n_seqs(),
                     .block_len = l.spec.block_len,
                     .blocks_per_seq = l.plan.blocks_per_seq,
                     .n_blocks = l.spec.n_blocks};
  for (const auto& [q_len, kv_len] : c.sequences) {
    s.max_q_len = std::max(s.max_q_len, q_len);
    s.max_kv_len = std::max(s.max_kv_len, kv_len);
  }
  return s;
}

/// One query token of a sequence whose K/V are one block, on plain arrays of the host, which are the emulated
/// device's: for problems that are written out by hand. KV is float, or uint16_t for the bits of f16 or bf16.
/// q, out [n_q_heads, head_dim]   k, v [max_kv_len, n_kv_heads, head_dim]   lse [n_q_heads]   scale 1
template <typename KV>
void attend_by_hand(const emulated::Rung& rung, const gpu::AttendShape& shape, const std::vector<float>& q,
                    const std::vector<KV>& k, const std::vector<KV>& v, std::vector<float>& out,
                    std::vector<float>& lse) {
  const int32_t q_start[] = {0, 1}, lens[] = {shape.max_kv_len}, seq[] = {0}, table[] = {0};
  std::vector<float> scratch(static_cast<size_t>(rung.scratch_elems(shape)), NAN);
  simt::Device device(1);
  rung.launch({.shape = shape,
               .spec = {1.0f, {}},
               .q = q.data(),
               .k = k.data(),
               .v = v.data(),
               .k_scales = nullptr,
               .v_scales = nullptr,
               .q_start = q_start,
               .kv_len = lens,
               .seq_of_token = seq,
               .block_tables = table,
               .out = out.data(),
               .lse = lse.data(),
               .scratch = scratch.data()},
              &device);
}

/// What a test states of a shape beyond its case: a split count, a capacity above the lengths.
using Adjust = void (*)(gpu::AttendShape& shape);
inline void as_it_is(gpu::AttendShape&) {}

/// On rows stored in host memory, which is the emulated device's.
template <typename A = Adjust>
Ran run_rung(const emulated::Rung& rung, const AttendCase& c, const Layout& l, const KvStorage& storage,
             const Tensor& q, simt::Watch watch, const A& adjust = as_it_is) {
  gpu::AttendShape shape = shape_of(c, l);
  adjust(shape);
  Tensor out = Tensor::host(DType::f32, q.shape());
  Tensor lse = Tensor::host(DType::f32, {l.plan.n_tokens(), c.n_q_heads});
  std::vector<int32_t> seq_of_token;
  for (int32_t i = 0; i < shape.n_seqs; ++i) seq_of_token.insert(seq_of_token.end(), l.plan.q_len(i), i);
  // Nothing may count on what lay in these before.
  std::vector<float> scratch(static_cast<size_t>(rung.scratch_elems(shape)),
                             std::numeric_limits<float>::quiet_NaN());
  std::fill_n(out.data<float>(), out.size(), std::numeric_limits<float>::quiet_NaN());
  std::fill_n(lse.data<float>(), lse.size(), std::numeric_limits<float>::quiet_NaN());

  const auto scales = [&](RowKind kind) {
    const ConstTensorView view = storage.scales(0, kind);
    return view.empty() ? nullptr : view.data<float>();
  };
  simt::Device device(1);
  device.watch(watch);
  rung.launch({.shape = shape,
               .spec = case_spec(c),
               .q = q.data<float>(),
               .k = storage.rows(0, RowKind::k).raw(),
               .v = storage.rows(0, RowKind::v).raw(),
               .k_scales = scales(RowKind::k),
               .v_scales = scales(RowKind::v),
               .q_start = l.plan.q_start.data(),
               .kv_len = l.plan.kv_len.data(),
               .seq_of_token = seq_of_token.data(),
               .block_tables = l.plan.block_tables.data(),
               .out = out.data<float>(),
               .lse = lse.data<float>(),
               .scratch = scratch.data()},
              &device);
  NaiveBackend<float> host;
  return {{to_doubles(host, out.view()), to_doubles(host, lse.view())}, std::move(scratch), device.traffic()};
}

template <typename A = Adjust>
Ran run_rung(const emulated::Rung& rung, const AttendCase& c, simt::Watch watch, const A& adjust = as_it_is) {
  const Layout l = lay_out(c);
  NaiveBackend<float> host;
  return run_rung(rung, c, l, *fill_storage(host, c, l), case_queries(c, l), watch, adjust);
}

inline std::string describe(const emulated::Rung& rung, const AttendCase& c) {
  std::string text =
      fmt::format("{} {} heads {}:{} head_dim {} block {} order {} sequences", rung.name, name_of(c.kv_dtype),
                  c.n_q_heads, c.n_kv_heads, c.head_dim, c.block_len, c.block_order);
  for (const auto& [q_len, kv_len] : c.sequences) text += fmt::format(" {}/{}", q_len, kv_len);
  return text;
}

/// Within the tolerance rule, on the stored rows, for out and lse.
template <typename A = Adjust>
void expect_rung(const emulated::Rung& rung, const AttendCase& c, const A& adjust = as_it_is) {
  const std::string what = describe(rung, c);
  INFO(what);
  const JudgedCase judged = judge(c);
  const Ran ran = run_rung(rung, c, judged.layout, *judged.storage, judged.q, {.check = true}, adjust);
  const Verdict v = verdict(judged, ran.result);
  const std::string text = v.to_string();
  CHECK_MESSAGE(v.ok(), text);
}

}  // namespace lastrow::testing
