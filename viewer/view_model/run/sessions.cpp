#include "viewer/view_model/run/sessions.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/stop.h"
#include "registry/registry.h"
#include "viewer/view_model/describe/poke_effect.h"
#include "viewer/view_model/describe/value_scales.h"
#include "viewer/view_model/run/machine_roof.h"
#include "viewer/view_model/run/step_copy.h"

namespace lastrow::view {

namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kRecordBytes = 192 * kMiB;  // per side; beyond it a layer is shown as "too large to record"
constexpr int64_t kPlainBytes = 96 * kMiB;    // of steps kept for comparing
constexpr int64_t kTimedWeights = 32 * kMiB;  // a larger model gets no second pair of sessions for timing
constexpr int kCalibrationSteps = 4;          // decode steps that, with the prefill, fix the value scales
constexpr int kTimings = 5;
constexpr int kRepeats = 2;          // of a step whose time looks disturbed
constexpr double kSlowStepUs = 2e4;  // a slower step is timed once

std::shared_ptr<const Model> stoppable_load(const std::string& name, const std::atomic<bool>& stop) {
  const StopScope scope(&stop);
  return load_model(name);
}

}  // namespace

void Sessions::note_reads() {
  const auto step = static_cast<size_t>(twin_->current_step());
  const std::array<const DecodeSession*, 2> sessions = {&twin_->cached(), &twin_->recompute()};
  for (size_t side = 0; side < 2; ++side) {
    if (reads_[side].size() <= step) reads_[side].resize(step + 1);
    reads_[side][step] = copy_read(*sessions[side]);
  }
}

void Sessions::remember(std::shared_ptr<const StepData> data) {
  const int step = data->step;
  plain_[step] = std::move(data);
  int64_t held = 0;
  for (const auto& [s, d] : plain_) held += d->bytes();
  while (held > kPlainBytes && plain_.size() > 2) {  // forgets the farthest step first
    auto far = std::abs(plain_.begin()->first - step) > std::abs(std::prev(plain_.end())->first - step)
                   ? plain_.begin()
                   : std::prev(plain_.end());
    held -= far->second->bytes();
    plain_.erase(far);
  }
}

/// Runs to a step under the pokes in force. It chooses new tokens only while no poke is in force.
void Sessions::run_to(int step) {
  const int first = twin_->current_step();
  const int known = twin_->current_step() < 0 ? -1 : twin_->cached().last_step();
  if (step <= known) {
    progress_.say(step == 0 ? "Running prefill …" : fmt::format("Running decode {} …", step), -1);
    twin_->go_to(step);
    return;
  }
  if (known >= 0 && twin_->current_step() != known) twin_->go_to(known);
  while (twin_->current_step() < step) {
    const int at = twin_->current_step() + 1;
    progress_.say(at == 0 ? "Running prefill …" : fmt::format("Running decode {} of {} …", at, step),
                  static_cast<double>(at - first) / std::max(1, step - first + 1));
    twin_->advance();
    note_reads();
    costs_.note_work(*twin_, timing_ == nullptr);
    if (twin_->current_step() >= step - 1) remember(copy_step(*twin_));
  }
}

void Sessions::run_without_pokes(int step) {
  if (!twin_->cached().pokes().empty()) twin_->set_pokes({});
  run_to(step);
}

/// The step without pokes: remembered, or run again.
std::shared_ptr<const StepData> Sessions::plain_step(int step) {
  if (const auto it = plain_.find(step); it != plain_.end()) return it->second;
  run_without_pokes(step);
  auto data = copy_step(*twin_);
  remember(data);
  return data;
}

std::shared_ptr<TwinSession> Sessions::start_twin(const Goal& goal, std::shared_ptr<const Model> model,
                                                  const std::vector<int32_t>& prompt, bool record) const {
  const StopScope scope(&progress_.stop);
  SessionOptions options;
  options.stop = &progress_.stop;
  if (record) {
    options.record = RecordOptions{};
    options.record->probe = true;
    options.record->max_bytes = kRecordBytes;
  }
  auto twin = std::make_shared<TwinSession>(std::move(model), make_backend(goal.backend),
                                            make_backend(goal.backend), options);
  twin->start(prompt);
  return twin;
}

void Sessions::open(const Goal& goal) {
  const bool same_model = setup_ && setup_->model_name == goal.model;
  progress_.say(
      same_model ? fmt::format("Starting {} …", goal.backend) : fmt::format("Loading {} …", goal.model), -1);
  std::shared_ptr<const Model> model =
      same_model ? setup_->model : stoppable_load(goal.model, progress_.stop);
  const std::vector<int32_t> prompt = model->tokenizer().encode(goal.prompt);
  const std::shared_ptr<TwinSession> twin = start_twin(goal, model, prompt, true);
  std::shared_ptr<TwinSession> timing;
  if (model->weight_bytes() <= kTimedWeights) {
    timing = start_twin(goal, model, prompt, false);
    timing->advance();
  }

  // If anything so far throws, the old sessions are untouched. What follows replaces them, and puts them back
  // if it throws.
  auto old = std::tuple(twin_, timing_, setup_, plain_, reads_, costs_);
  twin_ = twin;
  timing_ = timing;
  plain_.clear();
  reads_ = {};
  costs_ = {};
  if (timing_) costs_.note_time(*timing_);
  try {
    setup_ = std::make_shared<const Setup>(make_setup(goal, std::move(model)));
  } catch (...) {
    std::tie(twin_, timing_, setup_, plain_, reads_, costs_) = std::move(old);
    throw;
  }
}

/// Runs the first steps, because the value scales are made from them.
Setup Sessions::make_setup(const Goal& goal, std::shared_ptr<const Model> model) {
  Setup setup;
  setup.model = std::move(model);
  setup.model_name = goal.model;
  setup.backend = goal.backend;
  setup.prompt = goal.prompt;
  setup.prompt_len = twin_->cached().prompt_len();
  setup.max_seq_len = twin_->cached().max_seq_len();
  const int steps = std::min(kCalibrationSteps, setup.max_seq_len - setup.prompt_len);
  std::vector<std::shared_ptr<const StepData>> seen;
  for (int step = 0; step <= steps; ++step) {
    run_to(step);
    seen.push_back(plain_.at(step));
  }
  setup.scales = value_scales(setup, seen);
  return setup;
}

/// The same data, with the median time of several runs without recording if there are sessions for timing.
std::shared_ptr<const StepData> Sessions::timed(std::shared_ptr<const StepData> data) {
  if (!timing_ || data->timed) return data;
  progress_.say("Measuring the time …", -1);
  if (timing_->cached().last_step() < data->step) timing_->go_to(timing_->cached().last_step());
  while (timing_->cached().last_step() < data->step) {
    timing_->advance();
    costs_.note_time(*timing_);
    const int step = timing_->current_step();
    for (int again = 0; again < kRepeats && costs_.looks_disturbed(step); ++again) {
      timing_->go_to(step);
      costs_.note_time(*timing_);
    }
  }
  std::array<std::vector<double>, 2> times;
  timing_->go_to(data->step);
  const int runs = timing_->recompute().record().wall_us > kSlowStepUs ? 1 : kTimings;
  for (int i = 0; i < runs; ++i) {
    timing_->go_to(data->step);
    times[0].push_back(timing_->cached().record().wall_us);
    times[1].push_back(timing_->recompute().record().wall_us);
  }
  auto out = std::make_shared<StepData>(*data);
  out->timed = true;
  for (size_t side = 0; side < 2; ++side) {
    std::sort(times[side].begin(), times[side].end());
    out->sides[side].wall_us = times[side][static_cast<size_t>(runs / 2)];
  }
  costs_.note_median(out->step, {out->sides[0].wall_us, out->sides[1].wall_us});
  remember(out);
  return out;
}

std::shared_ptr<const StepData> Sessions::poked_step(int step, const std::vector<Poke>& pokes) {
  const auto in_force = twin_->cached().pokes();
  if (!std::equal(pokes.begin(), pokes.end(), in_force.begin(), in_force.end())) {
    progress_.say("Running with the poke …", -1);
    twin_->set_pokes(pokes);
  }
  if (twin_->current_step() != step) run_to(step);
  return copy_step(*twin_);
}

Snapshot Sessions::snapshot_at(const Goal& goal) {
  Snapshot snapshot;
  snapshot.setup = setup_;
  snapshot.unpoked = timed(plain_step(goal.step));
  std::vector<Poke> since;
  for (const Poke& p : goal.pokes)
    if (p.when == Poke::When::since) since.push_back(p);
  if (goal.step > 0)
    snapshot.previous = since.empty() ? plain_step(goal.step - 1) : poked_step(goal.step - 1, since);
  if (goal.pokes.empty()) {
    // Run again even if it is remembered: the screen shows what this step gives now.
    run_without_pokes(goal.step);
    auto now = std::make_shared<StepData>(*copy_step(*twin_));
    for (size_t side = 0; side < 2; ++side) now->sides[side].wall_us = snapshot.unpoked->sides[side].wall_us;
    now->timed = snapshot.unpoked->timed;
    remember(now);
    snapshot.now = snapshot.unpoked = now;
  } else {
    snapshot.now = poked_step(goal.step, goal.pokes);
  }
  const auto tokens = twin_->cached().tokens();
  snapshot.history.assign(tokens.begin(), tokens.end());
  snapshot.last_step = twin_->cached().last_step();
  snapshot.context_full = snapshot.now->n_tokens >= setup_->max_seq_len;
  for (size_t side = 0; side < 2; ++side) {
    const size_t n = std::min(static_cast<size_t>(goal.step) + 1, reads_[side].size());
    snapshot.reads[side].assign(reads_[side].begin(), reads_[side].begin() + static_cast<std::ptrdiff_t>(n));
  }
  snapshot.costs = costs_.steps();
  if (goal.measure_machine && !roof_) roof_ = measure_machine_roof(progress_);
  snapshot.roof = roof_;
  return snapshot;
}

Outcome Sessions::reach(Goal goal) {
  Outcome outcome;
  try {
    if (!setup_ || setup_->model_name != goal.model || setup_->prompt != goal.prompt ||
        setup_->backend != goal.backend) {
      open(goal);
      goal.pokes.clear();  // they belong to another run
    }
    const int last_possible = setup_->max_seq_len - setup_->prompt_len;
    if (goal.step > last_possible) {
      goal.step = last_possible;
      outcome.error =
          fmt::format("the context of {} tokens is full at decode {}: start again with a shorter prompt",
                      setup_->max_seq_len, last_possible);
    }
    goal.step = std::max(0, goal.step);
    std::erase_if(goal.pokes,
                  [&](const Poke& p) { return !is_in_force(p, goal.step, setup_->prompt_len + goal.step); });
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
