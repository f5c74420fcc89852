#include "viewer/view_model/stage.h"

#include <algorithm>

#include "model/decoder.h"
#include "registry/registry.h"

namespace lastrow::view {

namespace {

constexpr int64_t kRecordBytes = int64_t{192} << 20;  // a side; beyond it a layer is shown as "too large"
constexpr int64_t kPlainBytes = int64_t{96} << 20;    // steps kept for comparing
constexpr int64_t kTimedWeights = int64_t{32}
                                  << 20;  // larger models are not held twice for the sake of timing
constexpr int kCalibrationSteps = 4;      // decode steps that, with the prefill, fix the value scales
constexpr int kTimings = 5;

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

/// The attend of the last layer, as the trace has it.
AttendRead read_of(const DecodeSession& session) {
  for (const Event& e : session.recorder().events(session.current_step()))
    if (e.op == kind_of<Attend>) return {session.record().q_len, session.record().kv_len, e.mask};
  return {session.record().q_len, session.record().kv_len, {}};
}

bool applies(const Poke& poke, int step, int n_tokens) {
  if (poke.when == Poke::When::now) return poke.step == step && poke.position < n_tokens;
  return poke.position < n_tokens;
}

}  // namespace

void Progress::say(const std::string& text, double fraction) {
  const std::lock_guard lock(mutex_);
  text_ = text;
  fraction_ = fraction;
}

std::pair<std::string, double> Progress::get() const {
  const std::lock_guard lock(mutex_);
  return {text_, fraction_};
}

std::shared_ptr<const StepData> Stage::capture() {
  auto data = std::make_shared<StepData>();
  const DecodeSession& cached = twin_->cached();
  data->step = cached.current_step();
  data->n_tokens = cached.n_tokens_at(data->step);
  data->tokens.assign(cached.tokens().begin(), cached.tokens().begin() + data->n_tokens);
  data->pokes.assign(cached.pokes().begin(), cached.pokes().end());
  data->sides = {copy_side(cached), copy_side(twin_->recompute())};
  return data;
}

void Stage::note_reads() {
  const auto step = static_cast<size_t>(twin_->current_step());
  const std::array<const DecodeSession*, 2> sessions = {&twin_->cached(), &twin_->recompute()};
  for (size_t side = 0; side < 2; ++side) {
    if (reads_[side].size() <= step) reads_[side].resize(step + 1);
    reads_[side][step] = read_of(*sessions[side]);
  }
}

void Stage::remember(std::shared_ptr<const StepData> data) {
  const int step = data->step;
  plain_[step] = std::move(data);
  int64_t held = 0;
  for (const auto& [s, d] : plain_) held += d->bytes();
  while (held > kPlainBytes && plain_.size() > 2) {  // the farthest step goes first
    auto far = std::abs(plain_.begin()->first - step) > std::abs(std::prev(plain_.end())->first - step)
                   ? plain_.begin()
                   : std::prev(plain_.end());
    held -= far->second->bytes();
    plain_.erase(far);
  }
}

/// Runs to a step without touching pokes; new tokens are chosen only while none is in force.
void Stage::run_to(int step) {
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
    if (twin_->current_step() >= step - 1) remember(capture());
  }
}

/// The step without pokes, from memory or run again.
std::shared_ptr<const StepData> Stage::plain_step(int step) {
  if (const auto it = plain_.find(step); it != plain_.end()) return it->second;
  if (!twin_->cached().pokes().empty()) twin_->set_pokes({});
  run_to(step);
  auto data = capture();
  remember(data);
  return data;
}

std::shared_ptr<TwinSession> Stage::start_twin(const Goal& goal, std::shared_ptr<const Model> model,
                                               const std::vector<int32_t>& prompt, bool record) const {
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

void Stage::open(const Goal& goal) {
  progress_.say(fmt::format("Loading {} …", goal.model), -1);
  std::shared_ptr<const Model> model = goal.model == model_name_ && model_ ? model_ : load_model(goal.model);
  const std::vector<int32_t> prompt = model->tokenizer().encode(goal.prompt);
  const std::shared_ptr<TwinSession> twin = start_twin(goal, model, prompt, true);
  std::shared_ptr<TwinSession> timing;
  if (model->weight_bytes() <= kTimedWeights) {
    timing = start_twin(goal, model, prompt, false);
    timing->advance();
  }

  // Everything so far may fail and leave the old session as it was; what follows is kept only when it is
  // whole.
  auto old = std::tuple(twin_, timing_, world_, model_, model_name_, plain_, reads_);
  twin_ = twin;
  timing_ = timing;
  plain_.clear();
  reads_ = {};
  try {
    World world;
    world.model = model;
    world.model_name = goal.model;
    world.backend = goal.backend;
    world.backend_info = twin->cached().backend_info();
    world.prompt = goal.prompt;
    world.prompt_len = static_cast<int>(prompt.size());
    world.max_seq_len = twin->cached().max_seq_len();
    const int steps = std::min(kCalibrationSteps, world.max_seq_len - world.prompt_len);
    std::vector<std::shared_ptr<const StepData>> seen;
    for (int step = 0; step <= steps; ++step) {
      run_to(step);
      seen.push_back(plain_.at(step));
    }
    world.scales = scales_of(world, seen);
    world_ = std::make_shared<const World>(std::move(world));
    model_ = std::move(model);
    model_name_ = goal.model;
  } catch (...) {
    std::tie(twin_, timing_, world_, model_, model_name_, plain_, reads_) = std::move(old);
    throw;
  }
}

/// The same data with the median time of five runs without recording, where a second session is held for
/// that.
std::shared_ptr<const StepData> Stage::timed(std::shared_ptr<const StepData> data) {
  if (!timing_ || data->timed) return data;
  progress_.say("Measuring the time …", -1);
  if (timing_->cached().last_step() < data->step) timing_->go_to(timing_->cached().last_step());
  while (timing_->cached().last_step() < data->step) timing_->advance();
  std::array<std::vector<double>, 2> times;
  timing_->go_to(data->step);
  const int runs = timing_->recompute().record().wall_us > 2e4 ? 1 : kTimings;
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
  remember(out);
  return out;
}

Scene Stage::scene_at(const Goal& goal) {
  Scene scene;
  scene.world = world_;
  scene.unpoked = timed(plain_step(goal.step));
  std::vector<Poke> since;
  for (const Poke& p : goal.pokes)
    if (p.when == Poke::When::since) since.push_back(p);

  const auto poked_step = [&](int step, const std::vector<Poke>& pokes) {
    if (!std::equal(pokes.begin(), pokes.end(), twin_->cached().pokes().begin(),
                    twin_->cached().pokes().end())) {
      progress_.say("Running with the poke …", -1);
      twin_->set_pokes(pokes);
    }
    if (twin_->current_step() != step) run_to(step);
    return capture();
  };
  if (goal.step > 0)
    scene.previous = since.empty() ? plain_step(goal.step - 1) : poked_step(goal.step - 1, since);
  if (goal.pokes.empty()) {
    // Run again, even where memory has it: what is shown is what this step gives now.
    if (!twin_->cached().pokes().empty()) twin_->set_pokes({});
    run_to(goal.step);
    auto now = std::make_shared<StepData>(*capture());
    for (size_t side = 0; side < 2; ++side) now->sides[side].wall_us = scene.unpoked->sides[side].wall_us;
    now->timed = scene.unpoked->timed;
    remember(now);
    scene.now = scene.unpoked = now;
  } else {
    scene.now = poked_step(goal.step, goal.pokes);
  }
  const auto tokens = twin_->cached().tokens();
  scene.history.assign(tokens.begin(), tokens.end());
  scene.last_step = twin_->cached().last_step();
  scene.context_full = scene.now->n_tokens >= world_->max_seq_len;
  const auto n = static_cast<size_t>(goal.step) + 1;
  for (size_t side = 0; side < 2; ++side)
    scene.reads[side].assign(
        reads_[side].begin(),
        reads_[side].begin() + static_cast<std::ptrdiff_t>(std::min(n, reads_[side].size())));
  return scene;
}

Outcome Stage::reach(Goal goal) {
  Outcome outcome;
  try {
    if (!world_ || world_->model_name != goal.model || world_->prompt != goal.prompt ||
        world_->backend != goal.backend) {
      open(goal);
      goal.pokes.clear();  // rows of another run
    }
    const int last_possible = world_->max_seq_len - world_->prompt_len;
    if (goal.step > last_possible) {
      goal.step = last_possible;
      outcome.error =
          fmt::format("the context of {} tokens is full at decode {}: start again with a shorter prompt",
                      world_->max_seq_len, last_possible);
    }
    goal.step = std::max(0, goal.step);
    std::erase_if(goal.pokes,
                  [&](const Poke& p) { return !applies(p, goal.step, world_->prompt_len + goal.step); });
    outcome.scene = scene_at(goal);
  } catch (const Cancelled&) {
    outcome.cancelled = true;
    outcome.error = "cancelled: the step on show is as it was";
  } catch (const std::exception& e) {
    outcome.error = e.what();
  }
  outcome.goal = std::move(goal);
  return outcome;
}

}  // namespace lastrow::view
