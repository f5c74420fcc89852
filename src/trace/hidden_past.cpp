#include "trace/hidden_past.h"

#include <algorithm>

#include "trace/host_dtype.h"
#include "trace/plan_edits.h"

namespace lastrow {
namespace {

/// Several new tokens that follow stored rows: a later chunk, or a second turn.
bool is_turn(const StepPlan& plan, int32_t i) { return has_past(plan, i) && plan.q_len(i) > 1; }

AttendSpec only_new(AttendSpec spec, int32_t t) {
  spec.mask.sinks = 0;  // they are part of the past
  spec.mask.window = spec.mask.window > 0 ? std::min(spec.mask.window, t + 1) : t + 1;
  return spec;
}

Tensor downloaded(Backend& backend, ConstTensorView x) {
  Tensor host = Tensor::host(host_dtype(x.dtype()), x.shape());
  backend.download(x, host.view());
  return host;
}

}  // namespace

void HiddenPast::run(const Op& op) {
  if (const auto* a = std::get_if<Attend>(&op)) return attend(*a);
  if (const auto* p = std::get_if<Probe>(&op)) return probe(*p);
  inner().run(op);
}

void HiddenPast::attend(const Attend& op) {
  inner().run(op);  // correct for all sequences except the turns
  const StepPlan& plan = *op.batch.plan;
  int32_t longest = 0;
  for (int32_t i = 0; i < plan.n_seqs(); ++i)
    if (is_turn(plan, i)) longest = std::max(longest, plan.q_len(i));
  if (longest == 0) return;
  Tensor out = downloaded(inner(), op.out), lse = downloaded(inner(), op.lse);
  for (int32_t t = 0; t < longest; ++t) {
    Attend narrow = op;
    narrow.spec = only_new(op.spec, t);
    inner().run(narrow);
    for (int32_t i = 0; i < plan.n_seqs(); ++i) {
      if (!is_turn(plan, i) || t >= plan.q_len(i)) continue;
      const int64_t row = plan.q_start[i] + t;
      inner().download(op.out.rows(row, 1), out.view().rows(row, 1));
      inner().download(op.lse.rows(row, 1), lse.view().rows(row, 1));
    }
  }
  inner().write(out.view(), op.out);
  inner().write(lse.view(), op.lse);
}

void HiddenPast::probe(const Probe& op) {
  const StepPlan& plan = *op.batch.plan;
  const int32_t i = op.sequence();
  if (!is_turn(plan, i)) return inner().run(op);
  const int32_t n_rows = op.selection.n_rows, n_cells = op.selection.n_heads * n_rows;
  const int64_t kv_len = plan.kv_len[i];
  const auto row_of = [&](TensorView x, int64_t cell) {  // of [n_heads, n_rows, kv_len]
    return x.reshaped({n_cells, kv_len}).rows(cell, 1).reshaped({1, 1, kv_len});
  };
  for (int32_t cell = 0; cell < n_cells; ++cell) {
    const int32_t row = op.selection.first_row + cell % n_rows;
    Probe one = op;
    one.spec = only_new(op.spec, row - plan.q_start[i]);
    one.selection = {op.selection.first_head + cell / n_rows, 1, row, 1};
    one.scores = row_of(op.scores, cell);
    one.probs = row_of(op.probs, cell);
    if (!op.lse_distance.empty()) one.lse_distance = op.lse_distance.reshaped({n_cells, 1}).rows(cell, 1);
    inner().run(one);
  }
}

}  // namespace lastrow
