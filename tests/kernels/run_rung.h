// Runs one attention problem on one rung under the emulator, and compares it with the judge on the same
// stored rows.
//
//   Ran r = run_rung(emulated::rung("k05"), c, {.check = true});   r.out, r.lse, r.traffic
//   expect_rung(rung, c)     runs it under all checks, applies the tolerance rule, names the case and error
//   const auto [out, lse] = attend_by_hand(rung, shape, spec, q, k, v);    on numbers that a test wrote out
//   run_rung(rung, c, {}, [](gpu::AttendTask& t) { t.tuning.n_splits = 3; })      a task other than the case's own
#pragma once

#include <doctest/doctest.h>

#include "gpu/driver/case_shape.h"
#include "gpu/ladder/ladder.h"
#include "gpu/simt/device.h"
#include "judge/judged_case.h"

namespace lastrow::testing {

using namespace judge;

struct Ran {
  AttendResult result;
  std::vector<float> scratch;  // NaN where nothing was written
  std::vector<simt::KernelTraffic> traffic;
};

/// The result of a rung for one sequence whose K/V are one block, on numbers that the test gives.
struct ByHand {
  std::vector<float> out;  // [n_tokens, n_q_heads, head_dim]
  std::vector<float> lse;  // [n_tokens, n_q_heads]
};

/// q [n_tokens, n_q_heads, head_dim]   k, v [n_kv_heads, block_len, head_dim], narrowed to shape.kv_dtype.
inline ByHand attend_by_hand(const emulated::Rung& rung, const gpu::AttendTask& task, const AttendSpec& spec,
                             const std::vector<float>& q, const std::vector<float>& k,
                             const std::vector<float>& v) {
  REQUIRE(rung.supports(task) == "");
  const gpu::AttendShape& shape = task.shape;
  const auto stored = [&](const std::vector<float>& rows, std::vector<float>& scales) {
    const Shape n{static_cast<int64_t>(rows.size())};
    Tensor narrow = Tensor::host(shape.kv_dtype.k, n);
    if (shape.kv_dtype != DType::i8) {
      convert(ConstTensorView(rows.data(), n), narrow.view());
      return narrow;
    }
    for (int64_t i = 0; i < n[0]; i += shape.head_dim)
      scales.push_back(encode_row(&rows[static_cast<size_t>(i)], shape.head_dim, narrow.data<int8_t>() + i));
    return narrow;
  };
  std::vector<float> k_scales, v_scales;
  const Tensor k_stored = stored(k, k_scales), v_stored = stored(v, v_scales);
  const int32_t q_start[] = {0, shape.n_tokens}, kv_len[] = {shape.max_kv_len}, table[] = {0};
  const std::vector<int32_t> seq_of_token(static_cast<size_t>(shape.n_tokens), 0);
  std::vector<float> scratch(static_cast<size_t>(rung.scratch_elems(task)), NAN);
  ByHand result{std::vector<float>(q.size(), NAN),
                std::vector<float>(static_cast<size_t>(shape.n_tokens * shape.n_q_heads), NAN)};
  simt::Device device(1);
  device.limit_seconds(0);  // a test has its own limit, and sanitizers make it slow
  rung.launch({.task = task,
               .spec = spec,
               .q = q.data(),
               .k = k_stored.view().raw(),
               .v = v_stored.view().raw(),
               .k_scales = k_scales.empty() ? nullptr : k_scales.data(),
               .v_scales = v_scales.empty() ? nullptr : v_scales.data(),
               .q_start = q_start,
               .kv_len = kv_len,
               .seq_of_token = seq_of_token.data(),
               .block_tables = table,
               .out = result.out.data(),
               .lse = result.lse.data(),
               .scratch = scratch.data()},
              &device);
  return result;
}

/// The rungs that are judged by the rule for exact products.
inline std::vector<const emulated::Rung*> exact_rungs() {
  std::vector<const emulated::Rung*> rungs;
  for (const emulated::Rung* rung : emulated::ladder())
    if (!rung->rounds) rungs.push_back(rung);
  return rungs;
}

/// The first of f32, f16 and bf16 that the rung takes in this shape.
inline DType widest_type(const emulated::Rung& rung, gpu::AttendTask task) {
  if (rung.rounds) task.tuning.n_parts = 1;
  for (const DType dtype : {DType::f32, DType::f16}) {
    task.shape.kv_dtype = dtype;
    if (rung.supports(task).empty()) return dtype;
  }
  return DType::bf16;
}

/// What a test changes in the task of its case: a split count, or a capacity above the lengths.
using Adjust = void (*)(gpu::AttendTask& task);
inline void as_it_is(gpu::AttendTask&) {}

/// Uses rows in host memory, which is also the memory of the emulated device.
template <typename A = Adjust>
Ran run_rung(const emulated::Rung& rung, const AttendCase& c, const Layout& l, const KvStorage& storage,
             const Tensor& q, simt::Watch watch, const A& adjust = as_it_is) {
  gpu::AttendTask task = task_of(c, l);
  adjust(task);
  const gpu::AttendShape& shape = task.shape;
  Tensor out = Tensor::host(DType::f32, q.shape());
  Tensor lse = Tensor::host(DType::f32, {l.plan.n_tokens(), c.n_q_heads});
  std::vector<int32_t> seq_of_token;
  for (int32_t i = 0; i < shape.n_seqs; ++i) seq_of_token.insert(seq_of_token.end(), l.plan.q_len(i), i);
  // NaN everywhere, so that a result shows if it depends on what was there before.
  std::vector<float> scratch(static_cast<size_t>(rung.scratch_elems(task)),
                             std::numeric_limits<float>::quiet_NaN());
  std::fill_n(out.data<float>(), out.size(), std::numeric_limits<float>::quiet_NaN());
  std::fill_n(lse.data<float>(), lse.size(), std::numeric_limits<float>::quiet_NaN());

  const auto scales = [&](RowKind kind) {
    const ConstTensorView view = storage.scales(0, kind);
    return view.raw();
  };
  const std::vector<float> slopes = case_slopes(c);
  const auto given = [](const auto& array) { return array.empty() ? nullptr : array.data(); };
  simt::Device device(1);
  device.limit_seconds(0);
  device.watch(watch);
  rung.launch({.task = task,
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
               .scratch = scratch.data(),
               .slopes = given(slopes),
               .table_first = given(l.plan.table_first),
               .positions = l.plan.positions.data(),
               .key_positions = given(l.plan.key_positions)},
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

/// Expects out and lse within the tolerance rule, on the stored rows.
template <typename A = Adjust>
void expect_rung(const emulated::Rung& rung, const AttendCase& c, const A& adjust = as_it_is) {
  const std::string what = fmt::format("{}: {}", rung.name, describe(c));
  INFO(what);
  const JudgedCase judged = judged_case(c);
  const Ran ran = run_rung(rung, c, judged.layout, *judged.storage, judged.q, {.check = true}, adjust);
  const Verdict v = verdict(judged, ran.result);
  const std::string text = v.to_string();
  CHECK_MESSAGE(v.ok(), text);
}

}  // namespace lastrow::testing
