#include "viewer/view_model/run/controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "viewer/view_model/describe/strips.h"
#include "viewer/view_model/describe/target_text.h"
#include "viewer/view_model/run/controller_impl.h"

namespace lastrow::view {

Controller::Impl::Impl(ControllerOptions options) {
  theme = options.theme;
  carry_out(SetSpeed{options.speed});
  clock.reduced_motion = options.reduced_motion;
  tour_offered = options.offer_tour;
  goal = {options.model, options.prompt, options.backend, std::max(0, options.step), {}, options.sampling};
  goal.cache = options.cache;
  cache_sizes = sizes_of(goal.cache, cache_sizes);
  first_goal = goal;
  want_goal();
}

// ---- work

void Controller::Impl::take_outcome() {
  if (auto outcome = worker.take()) arrive(std::move(*outcome));
}

/// Takes over the snapshot, and carries out the requests for a layer, a head and a beat that waited for it.
void Controller::Impl::arrive(Outcome outcome) {
  dirty = true;
  const bool newest = !worker.busy();  // nothing else has been asked for since
  if (!outcome.error.empty()) {
    work_error = outcome.error;
    if (prompt_open && !outcome.snapshot)
      draft.refused = outcome.error;
    else if (file_box.open && !outcome.snapshot)
      file_box.error = outcome.error;
    else
      notice = Notice{outcome.error, outcome.cancelled ? NoticeKind::info : NoticeKind::error};
    clock.playing = false;
    closes_when_done = false;
  }
  if (!outcome.snapshot) return no_snapshot_came(newest);
  if (newest) {
    goal = outcome.goal;
    if (closes_when_done) close_boxes();
  }
  const bool first = !current;
  if (current && current->setup != outcome.snapshot->setup) pokes.clear();  // they belong to another run
  current = std::move(outcome.snapshot);
  if (newest) keep_pokes_on_screen();
  const ModelConfig& c = current->setup->config();
  const int wanted_layer = newest ? layer_request.value_or(layer) : layer;
  layer = wanted_layer < 0 ? c.n_layers - 1 : std::min(wanted_layer, c.n_layers - 1);
  const int wanted_head = newest ? head_request.value_or(head) : head;
  head = wanted_head < 0 ? most_focused_head(*current->setup, *current->unpoked, layer)
                         : std::min(wanted_head, c.n_q_heads - 1);
  if (newest) {
    layer_request.reset();
    head_request.reset();
  }
  if (newest && beat_request) {
    clock.show(*beat_request, true);
    beat_request.reset();
  }
  if (first) end_animation();
  for (std::optional<Target>* target : {&hovered, &pinned, &menu})
    if (*target && !target_exists(*current, **target)) target->reset();
  refocus();
}

/// The old snapshot stays. Before the first one, requests wait for it.
void Controller::Impl::no_snapshot_came(bool newest) {
  if (newest) want_what_is_there();
  beat_request.reset();
  if (!current) return;
  if (newest && !current->now->whole) {
    layer = focus_there().layer;
    head = focus_there().head;
  }
  layer_request.reset();
  head_request.reset();
}

void Controller::Impl::finish_work() {
  while (working()) {
    worker.wait();
    take_outcome();
  }
}

void Controller::Impl::want_goal() {
  goal.pokes = pokes.pokes();
  goal.focus = wanted_focus();
  worker.want(goal);
  dirty = true;
}

void Controller::Impl::want_what_is_there() {
  if (!current) return;
  const Setup& setup = *current->setup;
  goal = {setup.model_name,   setup.prompt,        setup.backend,
          current->now->step, current->now->pokes, setup.sampling};
  goal.measure_machine = costs.tab == Tab::cost;
  goal.cache = setup.cache;
  keep_pokes_on_screen();
}

/// A run that was cancelled leaves the list of pokes as it was. Otherwise this changes nothing.
void Controller::Impl::keep_pokes_on_screen() {
  pokes.return_to(current->now->pokes, current->now->step, current->now->n_tokens);
}

// ---- time

Frame Controller::Impl::frame(double time) {
  take_outcome();
  const BeatClock::Change change = clock.advance(time);
  dirty = dirty || change.beat;
  if (change.step_over && current && !working()) next_step_or_stop();
  end_old_notice();
  const bool playing_script = script_running();
  if (playing_script) {
    player->tick(clock.now());
    if (script_instant && animating()) end_animation();
    if (player->finished()) end_script();
  }
  if (working() && busy_since < 0) busy_since = clock.now();
  if (!working()) busy_since = -1;
  // A new picture is made only when something in it is new.
  if (dirty || busy() != view->busy || tour() != view->tour) rebuild();
  return {view, clock.progress(), animating() || clock.playing || working() || playing_script};
}

void Controller::Impl::next_step_or_stop() {
  if (!current->context_full || goal.step < current->now->step) {
    beat_request = Beat::project;
    go_to_step(goal.step + 1);
    return;
  }
  clock.playing = false;
  notice = Notice{fmt::format("The context of {} tokens is full: go back, or type a shorter prompt.",
                              current->setup->max_seq_len),
                  NoticeKind::info};
  dirty = true;
}

void Controller::Impl::end_animation() {
  clock.end_animation();
  dirty = true;
}

std::shared_ptr<const ViewState> Controller::Impl::rest() {
  finish_work();
  end_animation();
  busy_since = -1;
  rebuild();
  return view;
}

// ---- scripts

void Controller::Impl::start_script(Script script, ScriptHost* host, bool instant, bool is_tour) {
  script_is_tour = is_tour;
  script_instant = instant;
  exit_code = 0;
  script_error.clear();
  script_sentence.clear();
  tour_offered = false;
  places.clear();
  player = std::make_unique<ScriptPlayer>(std::move(script), *this, host, instant);
  dirty = true;
}

void Controller::Impl::end_script() {
  exit_code = player->exit_code();
  script_error = player->error();
  if (!script_error.empty()) notice = Notice{script_error, NoticeKind::error};
  script_sentence.clear();
  asked.reset();
  dirty = true;
  if (script_is_tour) return_to_own_text();
}

std::string Controller::Impl::perform(const Command& command) {
  clear_notice();
  return apply(command);
}

std::string Controller::Impl::take_work_error() { return std::exchange(work_error, ""); }

void Controller::Impl::set_sentence(const std::string& text, bool asks) {
  script_sentence = text;
  script_asks = asks;
  dirty = true;
}

void Controller::Impl::set_asked(std::optional<Target> row) {
  asked = row;
  dirty = true;
}

size_t Controller::Impl::mark_place() {
  places.push_back({goal, pokes, layer, head, clock.beat(), hovered, pinned});
  return places.size() - 1;
}

void Controller::Impl::return_to_place(size_t place) {
  const Place& to = places.at(place);
  clear_notice();
  menu.reset();
  hovered = to.hovered, pinned = to.pinned;
  clock.playing = false;
  clock.show(to.beat, false);
  beat_request.reset();
  layer_request = to.layer, head_request = to.head;
  goal = to.goal;
  pokes = to.pokes;
  want_goal();
}

// ---- the public face

std::string Controller::Impl::apply(const Command& command) {
  dirty = true;
  close_others(command);
  std::string error = std::visit([this](const auto& c) { return carry_out(c); }, command);
  refocus();
  return error;
}

std::string Controller::Impl::refuse(std::string error) {
  notice = Notice{error, NoticeKind::error};
  dirty = true;
  return error;
}

Controller::Controller(ControllerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Controller::~Controller() = default;

void Controller::send(const Command& command) {
  Impl& c = *impl_;
  if (!is_passive(command)) c.clear_notice();
  c.leave_tour_for(command);
  c.work_error.clear();
  const bool carried_out = c.apply(command).empty();
  if (const auto* poke = std::get_if<PokeRow>(&command); poke && carried_out) {
    ++c.user_pokes;
    c.user_poke = *poke;
  }
}

Frame Controller::frame(double now_seconds) { return impl_->frame(now_seconds); }
std::shared_ptr<const ViewState> Controller::settle() { return impl_->rest(); }
void Controller::finish_work() { impl_->finish_work(); }

void Controller::play(Script script, ScriptHost* host, bool instant) {
  Impl& c = *impl_;
  if (instant) return c.start_script(std::move(script), host, true, false);
  c.own_script = std::move(script);
  c.own_host = host;
  c.play_own_script();
}

bool Controller::script_running() const { return impl_->script_running(); }
int Controller::script_exit_code() const { return impl_->exit_code; }
std::string Controller::script_error() const { return impl_->script_error; }

}  // namespace lastrow::view
