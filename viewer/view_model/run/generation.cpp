#include "viewer/view_model/run/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "core/stop.h"
#include "registry/registry.h"
#include "session/session_cache.h"

namespace lastrow::view {

namespace {

constexpr int64_t kTimedWeights = int64_t{32} << 20;  // a larger model gets no sessions for timing
constexpr int kTimings = 5;
constexpr int kRepeats = 2;          // of a step whose time looks disturbed
constexpr double kSlowStepUs = 2e4;  // a slower step is timed once

constexpr StepWatch::Keep kNothing{};
constexpr StepWatch::Keep kRows{.rows = true};

/// The same step without scores and probs.
std::shared_ptr<const StepData> only_rows(const StepData& data) {
  auto out = std::make_shared<StepData>(data);
  for (SideData& side : out->sides)
    for (LayerData& l : side.layers) l.scores = l.probs = l.last_scores = l.last_probs = {};
  return out;
}

}  // namespace

Generation::Generation(const Goal& goal, std::shared_ptr<const Model> model, Progress& progress,
                       StepLimits limits)
    : progress_(progress), limits_(limits), backend_(goal.backend) {
  const StopScope scope(&progress.stop);
  const std::vector<int32_t> prompt = model->tokenizer().encode(goal.prompt);
  SessionOptions options;
  options.stop = &progress_.stop;
  options.sampling = goal.sampling;
  options.cache = goal.cache;
  // The viewer shows the prefill as one step, so a cache that limits steps must have room for the whole prompt. With
  // new positions each step feeds one token, those of the prompt too.
  const bool one_by_one = lastrow::uses_new_positions(goal.cache);
  watches_[1].joins_passes = one_by_one;
  if (limits_steps(goal.cache) && !one_by_one) options.chunk = static_cast<int32_t>(prompt.size());
  const auto start = [&](const SessionOptions& for_cached, AttendHook::Function for_recompute) {
    auto twin = std::make_unique<TwinSession>(model, make_backend(backend_), make_backend(backend_),
                                              for_cached, std::move(for_recompute));
    twin->start(prompt);
    return twin;
  };
  if (model->weight_bytes() <= kTimedWeights) timing_ = start(options, {});
  const auto hook = [this](size_t side) {
    return [this, side](Backend& inner, const Attend& op) { see(side, inner, op); };
  };
  options.on_attend = hook(0);
  twin_ = start(options, hook(1));
}

// ---- running

void Generation::see(size_t side, Backend& backend, const Attend& op) {
  watches_[side].see(backend, op);
  const double layers = (op.site.layer + 1.0) / twin_->cached().model().config().n_layers;
  progress_.advance(done_ + part_ * (static_cast<double>(side) + layers) / 2);
}

Generation::Keep Generation::all_of(int step, int layer) const {
  const StepSize size = size_of_step(step);
  if (size.whole <= limits_.whole) return {.rows = true, .matrices = true};
  return {.rows = true, .last_rows = true, .layer = size.rows <= limits_.rows ? -1 : layer};
}

void Generation::keep(Keep what) {
  for (StepWatch& watch : watches_) watch.keep = what;
}

void Generation::note_reads() {
  const auto step = static_cast<size_t>(twin_->current_step());
  for (size_t side = 0; side < 2; ++side) {
    if (reads_[side].size() <= step) reads_[side].resize(step + 1);
    reads_[side][step] = watches_[side].reads();
  }
  const std::span<const EvictedRow> evicted = twin_->cached().cache().evicted();
  evicted_.resize(step);
  evicted_.emplace_back(evicted.begin(), evicted.end());
}

/// Runs to a step under the active pokes. It chooses new tokens only while no poke is active.
void Generation::run_to(int step, Keep what) {
  const int known = last_step();
  if (step <= known) {
    progress_.say(step == 0 ? "Running prefill …" : fmt::format("Running decode {} …", step), -1);
    keep(what);
    done_ = 0, part_ = 1;
    twin_->go_to(step);
    return;
  }
  if (known >= 0 && twin_->current_step() != known) {
    keep(kNothing);
    twin_->go_to(known);
  }
  const int first = twin_->current_step();
  while (twin_->current_step() < step) {
    const int at = twin_->current_step() + 1;
    part_ = 1.0 / (step - first);
    done_ = part_ * (at - first - 1);
    progress_.say(at == 0 ? "Running prefill …" : fmt::format("Running decode {} of {} …", at, step), done_);
    const bool rows = at == step - 1 && whole(at);
    keep(at == step ? what : rows ? kRows : kNothing);
    twin_->advance();
    note_reads();
    costs_.note_work(*twin_, timing_ == nullptr);
    if (rows) remember(*take());
  }
}

void Generation::run_under(int step, const std::vector<Poke>& pokes, Keep what) {
  const auto in_force = twin_->cached().pokes();
  if (!std::equal(pokes.begin(), pokes.end(), in_force.begin(), in_force.end())) {
    const bool here = twin_->current_step() == step;
    done_ = 0, part_ = 1;
    if (!pokes.empty()) progress_.say("Running with the poke …", -1);
    keep(here ? what : kNothing);
    twin_->set_pokes(pokes);
    if (here) return;
  }
  run_to(step, what);
}

void Generation::run(int step, const std::vector<Poke>& pokes, int layer) {
  if (watches_[1].joins_passes && !whole(step))
    throw UsageError(
        "the text is too long to show with positions=new, because every token needs its own pass: go back, "
        "start again with a shorter prompt, or choose positions=kept");
  run_under(step, pokes, all_of(step, layer));
}

// ---- what was kept

std::shared_ptr<StepData> Generation::take() {
  auto data = std::make_shared<StepData>();
  const DecodeSession& cached = twin_->cached();
  data->step = cached.current_step();
  data->n_tokens = cached.n_tokens_at(data->step);
  data->tokens.assign(cached.tokens().begin(), cached.tokens().begin() + data->n_tokens);
  data->pokes.assign(cached.pokes().begin(), cached.pokes().end());
  data->sides = {watches_[0].take(cached), watches_[1].take(twin_->recompute())};
  data->whole = whole(data->step);
  return data;
}

std::shared_ptr<const StepData> Generation::with_samples(const StepData& of) const {
  auto data = std::make_shared<StepData>(of);
  for (size_t side = 0; side < 2; ++side)
    for (size_t i = 0; i < data->sides[side].layers.size(); ++i) {
      LayerData& l = data->sides[side].layers[i];
      const Floats last_scores = l.last_scores;
      if (!l.recorded) l = watches_[side].samples()[i];
      if (l.scores.empty()) l.scores = last_scores;
    }
  return data;
}

void Generation::remember(const StepData& data) {
  rows_[data.step] = only_rows(data);
  while (rows_.size() > 2 && remembered_bytes() > kRememberedBytes) {  // forgets the farthest step first
    const auto first = rows_.begin(), last = std::prev(rows_.end());
    rows_.erase(std::abs(first->first - data.step) > std::abs(last->first - data.step) ? first : last);
  }
}

int64_t Generation::remembered_bytes() const {
  std::vector<const StepData*> steps;
  for (const auto& [step, data] : rows_) steps.push_back(data.get());
  return held_bytes(steps);
}

std::shared_ptr<const StepData> Generation::rows_of(int step) {
  if (const auto it = rows_.find(step); it != rows_.end()) return it->second;
  run_under(step, {}, kRows);
  remember(*take());
  return rows_.at(step);
}

std::shared_ptr<const StepData> Generation::rows_of(int step, const std::vector<Poke>& pokes) {
  if (pokes.empty()) return rows_of(step);
  run_under(step, pokes, kRows);
  return take();
}

std::shared_ptr<StepData> Generation::with_focus(const StepData& data, const Focus& focus) {
  for (const SideData& side : data.sides)
    if (!side.layers[static_cast<size_t>(focus.layer)].recorded) return nullptr;
  const StopScope scope(&progress_.stop);
  if (!head_probe_) head_probe_ = std::make_unique<HeadProbe>(backend_, twin_->cached().model().config());
  progress_.say(fmt::format("Computing the scores of head {} …", focus.head), -1);
  auto out = std::make_shared<StepData>(data);
  for (size_t side = 0; side < 2; ++side)
    out->sides[side].focus =
        head_probe_->rows(data.sides[side], watches_[side].spec(focus.layer), data.n_tokens, focus);
  return out;
}

// ---- times and reads

/// Runs a step again if its time looks disturbed, because the curve of costs shows every step.
void Generation::advance_timing() {
  timing_->advance();
  costs_.note_time(*timing_);
  const int step = timing_->current_step();
  for (int again = 0; again < kRepeats && costs_.looks_disturbed(step); ++again) {
    timing_->go_to(step);
    costs_.note_time(*timing_);
  }
}

bool Generation::measure(StepData& data) {
  if (!timing_ || !data.whole) return false;
  const int step = data.step;
  if (const auto known = times_us_.find(step); known == times_us_.end()) {
    progress_.say("Measuring the time …", -1);
    const auto last = [&] { return timing_->current_step() < 0 ? -1 : timing_->cached().last_step(); };
    if (last() >= 0 && last() < step) timing_->go_to(last());
    while (last() < step) advance_timing();
    std::array<std::vector<double>, 2> times;
    timing_->go_to(step);
    const int runs = timing_->recompute().record().wall_us > kSlowStepUs ? 1 : kTimings;
    for (int i = 0; i < runs; ++i) {
      timing_->go_to(step);
      times[0].push_back(timing_->cached().record().wall_us);
      times[1].push_back(timing_->recompute().record().wall_us);
    }
    for (auto& each : times) std::sort(each.begin(), each.end());
    costs_.note_median(step,
                       {times[0][static_cast<size_t>(runs / 2)], times[1][static_cast<size_t>(runs / 2)]});
    times_us_[step] = {times[0][static_cast<size_t>(runs / 2)], times[1][static_cast<size_t>(runs / 2)]};
  }
  for (size_t side = 0; side < 2; ++side) data.sides[side].wall_us = times_us_.at(step)[side];
  data.timed = true;
  return true;
}

std::array<std::vector<StepReads>, 2> Generation::reads(int step) const {
  std::array<std::vector<StepReads>, 2> out = reads_;
  for (auto& side : out) side.resize(std::min(static_cast<size_t>(step) + 1, side.size()));
  return out;
}

std::vector<std::vector<EvictedRow>> Generation::evicted(int step) const {
  const auto n = std::min(static_cast<size_t>(step) + 1, evicted_.size());
  return {evicted_.begin(), evicted_.begin() + static_cast<std::ptrdiff_t>(n)};
}

}  // namespace lastrow::view
