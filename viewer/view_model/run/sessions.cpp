#include "viewer/view_model/run/sessions.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/stop.h"
#include "registry/registry.h"
#include "viewer/view_model/describe/described_once.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/poke_effect.h"
#include "viewer/view_model/describe/strips.h"
#include "viewer/view_model/describe/value_scales.h"
#include "viewer/view_model/run/machine_roof.h"
#include "viewer/view_model/run/open_model.h"

namespace lastrow::view {

namespace {

constexpr int kCalibrationSteps = 4;  // decode steps that, with the prefill, fix the value scales
constexpr int64_t kCalibrationBytes = int64_t{32} << 20;  // at most this much of these steps is kept

std::shared_ptr<const Model> stoppable_load(const std::string& name, const std::atomic<bool>& stop) {
  const StopScope scope(&stop);
  return open_model(name);
}

TimesMean times_of(const BackendInfo& backend) {
  if (backend.emulator != nullptr) return TimesMean::emulation;
  if (!backend.in_host_memory) return TimesMean::gpu_speed;
  return backend.is_fast ? TimesMean::cpu_speed : TimesMean::plain_loops;
}

}  // namespace

// ---- opening

void Sessions::open(const Goal& goal) {
  const bool same_model = setup_ && setup_->model_name == goal.model;
  progress_.start(same_model ? fmt::format("Starting {}", goal.backend)
                             : fmt::format("Loading {}", goal.model));
  std::shared_ptr<const Model> model =
      same_model ? setup_->model : stoppable_load(goal.model, progress_.stop);
  auto generation = std::make_unique<Generation>(goal, model, progress_, limits_);
  Data prefill;
  auto setup = make_setup(goal, std::move(model), *generation, prefill);
  // Nothing has thrown. What follows replaces the old sessions.
  generation_ = std::move(generation);
  setup_ = std::move(setup);
  plain_ = std::move(prefill);
  poked_.reset();
}

/// Runs the first steps, because the value scales are made from them. If the prefill is too large to keep
/// whole, it runs only once, and `prefill` gets what was kept of it.
std::shared_ptr<const Setup> Sessions::make_setup(const Goal& goal, std::shared_ptr<const Model> model,
                                                  Generation& generation, Data& prefill) const {
  auto setup = std::make_shared<Setup>();
  setup->model = std::move(model);
  setup->model_name = goal.model;
  setup->backend = goal.backend;
  setup->times = times_of(generation.twin().cached().backend_info());
  setup->prompt = goal.prompt;
  setup->sampling = goal.sampling;
  setup->cache = goal.cache;
  setup->spec = generation.twin().cached().cache().spec();
  setup->prompt_len = generation.twin().cached().prompt_len();
  setup->n_prefill_steps = generation.twin().cached().n_prefill_steps();
  setup->max_seq_len = generation.twin().cached().max_seq_len();
  const int steps = std::min(setup->n_prefill_steps - 1 + kCalibrationSteps, setup->last_possible_step());
  std::vector<std::shared_ptr<const StepData>> seen;
  int64_t held = 0;
  for (int step = 0; step <= steps && held <= kCalibrationBytes; ++step) {
    if (step > 0 && setup->uses_new_positions() && !generation.whole(step)) break;  // run() refuses it
    generation.run(step, {}, valid_focus(goal.focus, setup->config(), setup->n_tokens_at(step)).layer);
    const Data data = generation.take();
    seen.push_back(generation.with_samples(*data));
    held += data->bytes();
    if (data->whole) {
      generation.remember(*data);
      continue;
    }
    if (step == 0) prefill = data;
    break;  // a step of this size takes long enough
  }
  setup->scales = value_scales(*setup, seen);
  return setup;
}

// ---- steps

/// The whole step, or the rows in focus of a step that is too large to keep whole.
Sessions::Data Sessions::full_step(Goal& goal, const std::vector<Poke>& pokes) {
  Generation& g = *generation_;
  if (!g.whole(goal.step)) return large_step(goal, pokes);
  // Without pokes it runs again even if it is there: the screen shows what this step gives now.
  if (!goal.pokes.empty() && pokes.empty() && plain_ && plain_->step == goal.step) return plain_;
  g.run(goal.step, pokes, -1);
  const std::shared_ptr<StepData> data = g.take();
  if (!pokes.empty()) return data;
  g.measure(*data);
  g.remember(*data);
  return plain_ = data;
}

/// Runs the step only if the rows of the layer in focus are not there.
Sessions::Data Sessions::large_step(Goal& goal, const std::vector<Poke>& pokes) {
  Generation& g = *generation_;
  Data& kept = pokes.empty() ? plain_ : poked_;
  const auto layer = static_cast<size_t>(goal.focus.layer);
  if (!kept || kept->step != goal.step || kept->pokes != pokes || !kept->sides[1].layers[layer].recorded) {
    g.run(goal.step, pokes, goal.focus.layer);
    kept = g.take();
  }
  if (goal.focus.head < 0) goal.focus.head = most_focused_head(*setup_, *kept, goal.focus.layer);
  return kept = g.with_focus(*kept, goal.focus);
}

/// The step before, to compare rows with. Null at prefill, or if either step is too large to keep whole.
Sessions::Data Sessions::step_before(const Goal& goal) {
  if (goal.step == 0 || !generation_->whole(goal.step) || !generation_->whole(goal.step - 1)) return nullptr;
  std::vector<Poke> since;
  for (const Poke& p : goal.pokes)
    if (p.when == Poke::When::since) since.push_back(p);
  return generation_->rows_of(goal.step - 1, since);
}

Snapshot Sessions::snapshot_at(Goal& goal) {
  Snapshot snapshot;
  snapshot.setup = setup_;
  const bool known = goal.step <= generation_->last_step();
  if (known && goal.pokes.empty()) snapshot.previous = step_before(goal);
  snapshot.unpoked = full_step(goal, {});  // first: only a run without pokes chooses tokens
  if (!known || !goal.pokes.empty()) snapshot.previous = step_before(goal);
  snapshot.now = goal.pokes.empty() ? snapshot.unpoked : full_step(goal, goal.pokes);
  if (goal.pokes.empty() || snapshot.now->whole) poked_.reset();
  const DecodeSession& cached = generation_->twin().cached();
  snapshot.history.assign(cached.tokens().begin(), cached.tokens().end());
  snapshot.last_step = cached.last_step();
  snapshot.context_full = snapshot.now->n_tokens >= setup_->max_seq_len;
  snapshot.reads = generation_->reads(goal.step);
  snapshot.evicted = generation_->evicted(goal.step);
  snapshot.costs = generation_->costs().steps();
  if (goal.measure_machine && !roof_) roof_ = measure_machine_roof(progress_);
  snapshot.roof = roof_;
  snapshot.once = describe_once(snapshot);
  return snapshot;
}

int64_t Sessions::bytes() const {
  return held_bytes({plain_.get(), poked_.get()}) + (generation_ ? generation_->remembered_bytes() : 0);
}

Outcome Sessions::reach(Goal goal) {
  Outcome outcome;
  progress_.start("");
  try {
    if (!setup_ || setup_->model_name != goal.model || setup_->prompt != goal.prompt ||
        setup_->backend != goal.backend || !(setup_->sampling == goal.sampling) ||
        !(setup_->cache == goal.cache)) {
      open(goal);
      goal.pokes.clear();  // they belong to another run
    }
    const int last_possible = setup_->last_possible_step();
    if (goal.step > last_possible) {
      goal.step = last_possible;
      outcome.error = fmt::format("the context of {} tokens is full at {}: start again with a shorter prompt",
                                  setup_->max_seq_len, step_text(*setup_, last_possible));
    }
    goal.step = std::max(0, goal.step);
    std::erase_if(goal.pokes,
                  [&](const Poke& p) { return !is_in_force(p, goal.step, setup_->n_tokens_at(goal.step)); });
    goal.focus = valid_focus(goal.focus, setup_->config(), setup_->n_tokens_at(goal.step));
    outcome.snapshot = snapshot_at(goal);
  } catch (const Cancelled&) {
    outcome.cancelled = true;
    outcome.error = "cancelled: the step on the screen has not changed";
  } catch (const std::exception& e) {
    outcome.error = e.what();
  }
  outcome.goal = std::move(goal);
  return outcome;
}

}  // namespace lastrow::view
