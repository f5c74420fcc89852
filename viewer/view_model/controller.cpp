#include "viewer/view_model/controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "registry/registry.h"
#include "viewer/view_model/controller_impl.h"
#include "viewer/view_model/inspector.h"

namespace lastrow::view {

namespace {
constexpr double kBusyShownAfter = 0.25;  // seconds; shorter work shows no progress

bool same(const TourState& a, const TourState& b) {
  return a.active == b.active && a.row == b.row && a.waiting == b.waiting && a.asked == b.asked &&
         a.waited == b.waited && a.wait_for == b.wait_for && a.waiting_text == b.waiting_text;
}
bool same(const Busy& a, const Busy& b) {
  return a.active == b.active && a.text == b.text && a.fraction == b.fraction;
}
}  // namespace

Controller::Impl::Impl(ControllerOptions o) : options(std::move(o)) {
  theme = options.theme;
  speed = std::clamp(options.speed, 0.25, 4.0);
  reduced_motion = options.reduced_motion;
  tour_offered = options.offer_tour;
  goal = {options.model, options.prompt, options.backend, std::max(0, options.step), {}};
  want_goal();
}

// ---- work

void Controller::Impl::take_outcome() {
  if (auto outcome = worker.take()) arrive(std::move(*outcome));
}

/// A scene has come: what was asked for before it is looked up in it now.
void Controller::Impl::arrive(Outcome outcome) {
  dirty = true;
  const bool newest = !worker.busy();  // nothing else is wanted since
  if (!outcome.error.empty()) {
    work_error = outcome.error;
    if (prompt_open && !outcome.scene)
      prompt_error = outcome.error;
    else
      notice = Notice{outcome.error, outcome.cancelled ? NoticeKind::info : NoticeKind::error};
    playing = false;
  }
  if (!outcome.scene) {
    if (newest) want_what_is_there();
    beat_request.reset();
    layer_request = current ? std::nullopt : layer_request;
    head_request = current ? std::nullopt : head_request;
    return;
  }
  if (newest) {
    goal = outcome.goal;
    if (prompt_error.empty()) prompt_open = false;
  }
  const bool first = !current;
  current = std::move(outcome.scene);
  const ModelConfig& c = current->world->config();
  const int wanted_layer = newest ? layer_request.value_or(layer) : layer;
  layer = wanted_layer < 0 ? c.n_layers - 1 : std::min(wanted_layer, c.n_layers - 1);
  const int wanted_head = newest ? head_request.value_or(head) : head;
  head = wanted_head < 0 ? most_focused_head(*current->world, *current->unpoked, layer)
                         : std::min(wanted_head, c.n_q_heads - 1);
  if (newest) {
    layer_request.reset();
    head_request.reset();
  }
  if (newest && beat_request) {
    show_beat(*beat_request, true);
    beat_request.reset();
  }
  if (first) end_animation();
  for (std::optional<Target>* target : {&hovered, &pinned, &menu})
    if (*target && !target_exists(*current, **target)) target->reset();
}

void Controller::Impl::settle_work() {
  while (working()) {
    worker.wait();
    take_outcome();
  }
}

// ---- time

void Controller::Impl::advance_clock(double time) {
  now = std::max(now, time);
  if (!current) return;
  for (int guard = 0; guard < 4 * kBeats; ++guard) {  // several beats may end within one frame
    if (progress < 1) {
      const double duration = reduced_motion ? 0 : info(beat).duration_ms / 1000.0 / speed;
      progress = duration <= 0 ? 1.0f : static_cast<float>(std::min(1.0, (now - beat_began) / duration));
      if (progress < 1) return;
      beat_began += duration;  // the next beat starts where this one ended
      progress = 1;
      dirty = true;
    }
    const bool more = static_cast<int>(beat) < static_cast<int>(beat_target);
    if (!more && !playing) return;
    if (beat != Beat::keep) {
      const double began = beat_began;
      beat = static_cast<Beat>(static_cast<int>(beat) + 1);
      if (playing) beat_target = beat;
      progress = 0;
      beat_began = std::max(began, now - 0.1);  // after a rest: from now on
      dirty = true;
      continue;
    }
    if (working()) return;
    if (current->context_full && goal.step >= current->now->step) {
      playing = false;
      notice = Notice{fmt::format("The context of {} tokens is full: go back, or type a shorter prompt.",
                                  current->world->max_seq_len),
                      NoticeKind::info};
      dirty = true;
      return;
    }
    beat_request = Beat::project;
    go_to_step(goal.step + 1);
    return;
  }
}

void Controller::Impl::end_animation() {
  beat = beat_target;
  progress = 1;
  dirty = true;
}

Frame Controller::Impl::frame(double time) {
  take_outcome();
  advance_clock(time);
  const bool playing_script = player && !player->finished();
  if (playing_script) {
    player->tick(now);
    if (script_instant && animating()) end_animation();
    if (player->finished()) end_script();
  }
  // A new picture only where something on it is new.
  if (working() && busy_since < 0) busy_since = now;
  if (!working()) busy_since = -1;
  dirty = dirty || !same(busy(), view->busy) || !same(tour(), view->tour);
  if (dirty) rebuild();
  return {view, progress, animating() || playing || working() || playing_script};
}

void Controller::Impl::end_script() {
  exit_code = player->exit_code();
  script_error = player->error();
  if (!script_error.empty()) notice = Notice{script_error, NoticeKind::error};
  script_sentence.clear();
  asked.reset();
  dirty = true;
}

Busy Controller::Impl::busy() const {
  if (busy_since < 0 || now - busy_since <= kBusyShownAfter) return {};
  const auto [text, fraction] = worker.progress();
  return {true, text, fraction, true};
}

TourState Controller::Impl::tour() const {
  TourState t;
  if (player && !player->finished()) t = player->state();
  t.offered = tour_offered && !t.active;
  return t;
}

std::shared_ptr<const ViewState> Controller::Impl::rest() {
  settle_work();
  end_animation();
  busy_since = -1;
  rebuild();
  return view;
}

// ---- the picture

Selection Controller::Impl::selection() const {
  return {.layer = layer, .head = head, .beat = beat, .hovered = hovered, .pinned = pinned, .asked = asked};
}

Sentence Controller::Impl::sentence() const {
  const bool script = player && !player->finished();
  if (script && !script_sentence.empty()) {
    const TourState state = player->state();
    return {script_sentence, script_asks ? SentenceKind::ask : SentenceKind::tour,
            state.waiting == Waiting::pause ? state.waiting_text : "Enter: next · Esc: leave"};
  }
  if (!current) return {};
  Sentence s{beat_sentence(*current, selection()), SentenceKind::beat, ""};
  if (tour_offered && !script) {
    s.kind = SentenceKind::offer;
    s.hint = "Enter: one-minute tour · Esc: explore";
  }
  return s;
}

void Controller::Impl::fill_program_state(ViewState& v) {
  v.transport.playing = playing;
  v.transport.speed = speed;
  v.transport.reduced_motion = reduced_motion;
  v.sentence = sentence();
  v.tour = tour();
  v.busy = busy();
  v.prompt_box = {prompt_open, goal.prompt, prompt_error, ""};
  if (current) v.prompt_box.hint = "accepted: " + current->world->model->tokenizer().accepted();
  for (const std::string& name : builtin_model_names())
    v.models.push_back({name, name, true, "", name == goal.model});
  if (std::none_of(v.models.begin(), v.models.end(), [](const Choice& c) { return c.selected; }))
    v.models.push_back({goal.model, goal.model, true, "", true});
  for (const BackendEntry& b : list_backends())
    v.backends.push_back({b.name, b.name + " · " + b.description, b.usable, b.why_not,
                          b.name == without_kernel(goal.backend)});
  v.notice = notice;
  v.theme = theme;
  v.help_open = help_open;
  v.clipboard = clipboard;
  v.clipboard_serial = clipboard_serial;
}

void Controller::Impl::rebuild() {
  auto v = std::make_shared<ViewState>();
  v->revision = ++revision;
  if (current) {
    const Selection at = selection();
    fill_scene(*current, at, *v);
    v->crosshair = build_crosshair(*current, at);
    v->inspector = build_inspector(*current, at);
    if (menu) v->poke_menu = poke_menu(*current, at, *menu);
    v->n_pokes = static_cast<int>(current->now->pokes.size());
    v->pokes_text = pokes_text(*current);
    if (v->n_pokes > 0) {
      for (const Side side : {Side::cached, Side::recompute})
        v->panes[static_cast<size_t>(side)].badges.push_back(poke_badge(*current, side, at));
      v->panes[1].difference = poke_difference(*current);
    }
  }
  fill_program_state(*v);
  view = std::move(v);
  dirty = false;
}

// ---- scripts

std::string Controller::Impl::perform(const Command& command) {
  notice.reset();
  return apply(command);
}

std::string Controller::Impl::take_work_error() {
  std::string error;
  std::swap(error, work_error);
  return error;
}

void Controller::Impl::set_sentence(const std::string& text, bool asks) {
  script_sentence = text;
  script_asks = asks;
  dirty = true;
}

void Controller::Impl::set_asked(std::optional<Target> row) {
  asked = row;
  dirty = true;
}

std::shared_ptr<const ViewState> Controller::Impl::view_at_rest() { return rest(); }

// ---- the public face

Controller::Controller(ControllerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Controller::~Controller() = default;

void Controller::send(const Command& command) {
  Impl& c = *impl_;
  const bool mere_looking = std::holds_alternative<Hover>(command);
  if (!mere_looking) c.notice.reset();
  if (std::holds_alternative<PokeRow>(command)) ++c.user_pokes;
  c.leave_tour_for(command);
  c.work_error.clear();
  c.apply(command);
}

Frame Controller::frame(double now_seconds) { return impl_->frame(now_seconds); }
std::shared_ptr<const ViewState> Controller::settle() { return impl_->rest(); }
void Controller::finish_work() { impl_->settle_work(); }

void Controller::play(Script script, ScriptHost* host, bool instant) {
  Impl& c = *impl_;
  c.script_is_tour = false;
  c.script_instant = instant;
  c.exit_code = 0;
  c.script_error.clear();
  c.script_sentence.clear();
  c.tour_offered = false;
  c.player = std::make_unique<ScriptPlayer>(std::move(script), c, host, instant);
  c.dirty = true;
}

bool Controller::script_running() const { return impl_->player && !impl_->player->finished(); }
int Controller::script_exit_code() const { return impl_->exit_code; }
std::string Controller::script_error() const { return impl_->script_error; }

int run_script(Controller& controller, const Script& script, ScriptHost& host, std::string& error) {
  controller.settle();
  controller.play(script, &host, true);
  for (double time = 1; controller.script_running(); time += 1) {
    controller.frame(time);
    if (controller.script_running()) controller.settle();
  }
  error = controller.script_error();
  return controller.script_exit_code();
}

}  // namespace lastrow::view
