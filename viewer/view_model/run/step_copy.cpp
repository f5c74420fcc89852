#include "viewer/view_model/run/step_copy.h"

#include <utility>

namespace lastrow::view {

namespace {

std::vector<float> to_floats(ConstTensorView view) {
  std::vector<float> out;
  if (view.empty()) return out;
  out.resize(static_cast<size_t>(view.size()));
  convert(view, TensorView(out.data(), view.shape()));
  return out;
}

SideData copy_side(const DecodeSession& session) {
  const StepTensors tensors = session.recorder().tensors(session.current_step());
  SideData side;
  side.q_len = session.record().q_len;
  side.first_position = session.record().kv_len - side.q_len;
  side.logits.assign(session.logits().begin(), session.logits().end());
  side.next_token = session.next_token();
  side.record = session.record();
  side.wall_us = session.record().wall_us;
  for (size_t i = 0; i < session.pokes().size(); ++i) side.reports.push_back(session.poke_report(i));
  for (int32_t i = 0; i < side.record.kv_len; ++i) side.slots.push_back(session.slot(i));
  for (const LayerTensors& t : tensors.layers) {
    LayerData l{to_floats(t.q),     to_floats(t.k),   to_floats(t.v),   to_floats(t.scores),
                to_floats(t.probs), to_floats(t.out), to_floats(t.lse), false};
    l.recorded = !l.q.empty() && !l.k.empty() && !l.v.empty() && !l.scores.empty() && !l.probs.empty() &&
                 !l.out.empty() && !l.lse.empty();
    if (!l.recorded) l = {};
    side.layers.push_back(std::move(l));
  }
  side.layers.resize(static_cast<size_t>(session.model().config().n_layers));
  return side;
}

}  // namespace

std::shared_ptr<const StepData> copy_step(const TwinSession& twin) {
  auto data = std::make_shared<StepData>();
  const DecodeSession& cached = twin.cached();
  data->step = cached.current_step();
  data->n_tokens = cached.n_tokens_at(data->step);
  data->tokens.assign(cached.tokens().begin(), cached.tokens().begin() + data->n_tokens);
  data->pokes.assign(cached.pokes().begin(), cached.pokes().end());
  data->sides = {copy_side(cached), copy_side(twin.recompute())};
  return data;
}

AttendRead copy_read(const DecodeSession& session) {
  for (const Event& e : session.recorder().events(session.current_step()))
    if (e.op == kind_of<Attend>) return {session.record().q_len, session.record().kv_len, e.mask};
  return {session.record().q_len, session.record().kv_len, {}};
}

}  // namespace lastrow::view
