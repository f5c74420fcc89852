// What a pane is made from: one side of a step, in the layer and the head that are selected.
#pragma once

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"

namespace lastrow::view {

/// Keeps references to the snapshot and the selection.
struct PaneSource {
  PaneSource(const Snapshot& of_step, Mode of_side, const Selection& selection)
      : snapshot(of_step),
        setup(*of_step.setup),
        config(of_step.setup->config()),
        step(*of_step.now),
        data(of_step.now->side(of_side)),
        held(data.held(selection.layer)),
        side(of_side),
        at(selection),
        kv_head(selection.head / config.group_size()),
        n(of_step.now->n_tokens) {}

  const Snapshot& snapshot;
  const Setup& setup;
  const ModelConfig& config;
  const StepData& step;
  const SideData& data;
  const HeldRows& held;  // in the layer that is shown
  const Mode side;
  const Selection& at;
  const int kv_head;
  const int n;  // tokens
};

}  // namespace lastrow::view
