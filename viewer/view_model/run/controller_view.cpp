// What the controller draws: a new ViewState.
#include <algorithm>

#include "model/model.h"
#include "registry/registry.h"
#include "viewer/view_model/describe/poke_list.h"
#include "viewer/view_model/describe/sentence.h"
#include "viewer/view_model/describe/view.h"
#include "viewer/view_model/run/controller_impl.h"

namespace lastrow::view {

namespace {

/// "models/fable.safetensors" → "fable.safetensors"; "random:layers=2,…" → "random weights".
std::string short_name(const std::string& model) {
  if (model_file(model).empty()) return "random weights";
  return model.substr(model.rfind('/') + 1);
}

}  // namespace

Selection Controller::Impl::selection() const {
  return {.layer = layer,
          .head = head,
          .beat = clock.beat(),
          .room = room,
          .first_token = first_token,
          .hovered = menu ? menu : hovered,  // the menu covers the row that the mouse points at
          .pinned = pinned,
          .asked = asked,
          .menu = menu,
          .costs = costs,
          .n_all_pokes = static_cast<int>(pokes.pokes().size())};
}

Busy Controller::Impl::busy() const {
  constexpr double kShownAfter = 0.25;  // seconds; shorter work shows no progress
  if (busy_since < 0 || clock.now() - busy_since <= kShownAfter) return {};
  const auto [text, fraction] = worker.progress();
  return {true, text, fraction, true};
}

TourState Controller::Impl::tour() const {
  TourState t;
  if (script_running()) t = player->state();
  t.offered = tour_offered && !t.active;
  return t;
}

Sentence Controller::Impl::sentence() const {
  if (script_running() && !script_sentence.empty()) {
    const TourState state = player->state();
    return {script_sentence, script_asks ? SentenceKind::ask : SentenceKind::tour,
            state.waiting == Waiting::pause ? state.waiting_text : "Enter: next · Space: pause · Esc: leave"};
  }
  if (!current) return {};
  Sentence s{beat_sentence(*current, selection()), SentenceKind::beat, ""};
  if (!script_running()) s.hint = own_script ? "Enter: play the script again" : "Enter: tour";
  if (tour_offered && !script_running()) {
    s.kind = SentenceKind::offer;
    s.hint = "Enter: one-minute tour · Esc: explore";
  }
  return s;
}

void Controller::Impl::fill_program_state(ViewState& v) const {
  v.transport.playing = clock.playing;
  v.transport.speed = clock.speed;
  v.transport.reduced_motion = clock.reduced_motion;
  v.sentence = sentence();
  v.tour = tour();
  v.busy = busy();
  if (prompt_open) v.prompt_box = build_prompt_box(current ? current->setup.get() : nullptr, draft);
  v.file_box = file_box;
  v.open_choices = open_choices;
  // The lists mark what the picture shows. `busy` says what is being started.
  const std::string& model = current ? current->setup->model_name : goal.model;
  const std::string& backend = current ? current->setup->backend : goal.backend;
  for (const std::string& name : builtin_model_names())
    v.models.push_back({name, name, true, "", name == model});
  if (std::none_of(v.models.begin(), v.models.end(), [](const Choice& c) { return c.selected; }))
    v.models.push_back({model, model, true, "", true, short_name(model)});
  for (const BackendEntry& b : list_backends()) {
    v.backends.push_back({b.name, b.name + " · " + b.description, b.usable, b.why_not, b.name == backend});
    if (b.name == without_kernel(backend) && b.name != backend)  // a kernel is forced
      v.backends.push_back({backend, backend + " · this kernel only", b.usable, b.why_not, true});
  }
  const CacheOptions& cache = current ? current->setup->cache : goal.cache;
  v.caches = build_cache_menu(current ? current->setup.get() : nullptr, cache, cache_sizes,
                              open_choices == ChoiceList::caches);
  v.notice = notice;
  v.room = room;
  v.theme = theme;
  v.help_open = help_open;
  v.lecture = lecture;
  v.clipboard = clipboard;
  v.clipboard_serial = clipboard_serial;
}

void Controller::Impl::rebuild() {
  auto v = std::make_shared<ViewState>();
  v->revision = ++revision;
  if (current) {
    fill_view(*current, selection(), *v, overviews);
    v->pokes = build_poke_list(*current, selection(),
                               {pokes.pokes(), pokes.undo_text(), pokes.redo_text(), pokes_open});
  }
  fill_program_state(*v);
  view = std::move(v);
  dirty = false;
}

}  // namespace lastrow::view
