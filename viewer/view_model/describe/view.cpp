#include "viewer/view_model/describe/view.h"

#include "viewer/view_model/describe/cost_curves.h"
#include "viewer/view_model/describe/described_once.h"
#include "viewer/view_model/describe/inspector.h"
#include "viewer/view_model/describe/legend.h"
#include "viewer/view_model/describe/pane.h"
#include "viewer/view_model/describe/poke_menu.h"
#include "viewer/view_model/describe/poke_story.h"
#include "viewer/view_model/describe/sampling.h"
#include "viewer/view_model/describe/strips.h"
#include "viewer/view_model/describe/transport.h"

namespace lastrow::view {

namespace {

void add_pokes(const Snapshot& snapshot, const Selection& at, ViewState& view) {
  view.n_pokes = static_cast<int>(snapshot.now->pokes.size());
  if (view.n_pokes == 0) return;
  view.pokes_text = pokes_text(snapshot);
  for (PaneState& pane : view.panes) pane.badges.push_back(poke_badge(snapshot, pane.side, at));
  view.panes[static_cast<size_t>(Mode::recompute)].difference = poke_difference(snapshot);
}

}  // namespace

void fill_view(const Snapshot& snapshot, const Selection& at, ViewState& view, OverviewCache& overviews) {
  const Setup& setup = *snapshot.setup;
  const StepData& step = *snapshot.now;
  view.ready = true;
  view.model = setup.model_name;
  view.backend = setup.backend;
  view.prompt = setup.prompt;
  view.n_layers = setup.config().n_layers;
  view.layer = at.layer;
  view.head = at.head;
  view.head_dim = setup.config().head_dim;
  view.n_tokens = step.n_tokens;
  view.max_seq_len = setup.max_seq_len;
  view.window = window_of(step.n_tokens, at.room, at.first_token);
  view.transport = build_transport(snapshot, at);
  const auto once = described(snapshot);
  view.tokens = once->tokens;
  view.next = once->next;
  view.sampling = sampling_state(snapshot);
  view.spelt_words = once->spelt_words;
  view.same_next_token = step.side(Mode::cached).next_token == step.side(Mode::recompute).next_token;
  view.next_summary = once->next_summary;
  view.next_visible = reached(at.beat, Beat::next);
  view.heads = head_strip(snapshot, at);
  view.model_strip = model_strip(snapshot, at);
  view.panes = {build_pane(snapshot, Mode::cached, at), build_pane(snapshot, Mode::recompute, at)};
  if (!view.window.whole())
    for (PaneState& pane : view.panes) pane.overview = overviews.get(snapshot, pane.side, at);
  view.costs = once->costs;
  view.costs_title = "whole step, all layers and heads";
  view.tab = at.costs.tab;
  view.cost_curves = cost_curves(snapshot, at.costs);
  view.tabs = tab_chips(view.cost_curves, at.costs);
  view.legend = build_legend(snapshot, at, view.panes);
  view.crosshair = build_crosshair(snapshot, at);
  view.inspector = build_inspector(snapshot, at);
  if (at.menu) view.poke_menu = build_poke_menu(snapshot, at, *at.menu);
  add_pokes(snapshot, at, view);
}

}  // namespace lastrow::view
