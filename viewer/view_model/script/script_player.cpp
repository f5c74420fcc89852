#include "viewer/view_model/script/script_player.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "core/error.h"
#include "viewer/view_model/describe/poke_effect.h"
#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/describe/strips.h"
#include "viewer/view_model/describe/target_text.h"
#include "viewer/view_model/describe/text.h"
#include "viewer/view_model/script/sentence_text.h"
#include "viewer/view_model/state/state_json.h"

namespace lastrow::view {

namespace {

constexpr float kHardlyAny = 0.05f;  // a focus position with a smaller weight is replaced

/// Long enough to read a sentence aloud.
double reading_seconds(const std::string& text) { return 1.2 + 0.045 * static_cast<double>(text.size()); }

constexpr int kExpectFailed = 1, kNotPossible = 2;  // exit codes

struct ExpectFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace

ScriptPlayer::ScriptPlayer(Script script, ScriptedViewer& viewer, ScriptHost* host, bool instant)
    : script_(std::move(script)), viewer_(viewer), host_(host), instant_(instant) {}

void ScriptPlayer::fail(const ScriptLine& line, int code, const std::string& what) {
  error_ = fmt::format("{}:{}: {}: {}", script_.name, line.number, line.text, what);
  exit_code_ = code;
  finished_ = true;
  viewer_.set_asked(std::nullopt);
}

/// Whether the user has made the poke that is waited for. Another poke gets an answer, and the wait goes on.
bool ScriptPlayer::poked_as_asked(double now) {
  if (viewer_.pokes_by_user() == pokes_before_) return false;
  if (!asked_) return true;
  const PokeRow poke = viewer_.last_poke_by_user();
  if (poke.part == asked_->part && poke.position == asked_->row && poke.action == Poke::Action::scramble)
    return true;
  viewer_.set_sentence(wrong_poke_sentence(poke, *asked_), true);
  pokes_before_ = viewer_.pokes_by_user();
  wait_since_ = now;
  return false;
}

bool ScriptPlayer::wait_is_over(double now) {
  if (waiting_ == Waiting::nothing) return true;
  // While the menu of pokes is open, the user is about to poke, so the waiting time starts again.
  if (waiting_ == Waiting::poke && viewer_.selection().menu) wait_since_ = now;
  const bool poked = waiting_ == Waiting::poke && poked_as_asked(now);
  const bool over = instant_ || skip_ || now - wait_since_ >= wait_for_;
  if (waiting_ == Waiting::reading && viewer_.animating() && !instant_ && !skip_) return false;
  if (!over && !poked) return false;
  skip_ = false;
  if (waiting_ == Waiting::poke) {
    viewer_.set_asked(std::nullopt);
    asked_.reset();
  }
  waiting_ = Waiting::nothing;
  return true;
}

void ScriptPlayer::tick(double now) {
  if (paused_) wait_since_ += now - now_;  // while paused, only Enter or a poke ends a wait
  now_ = now;
  while (!finished_) {
    if (viewer_.working()) return;
    if (const std::string error = viewer_.take_work_error(); !error.empty() && next_ > 0) {
      fail(script_.lines[next_ - 1], kNotPossible, error);
      return;
    }
    if (returning_) {  // a new run drops pokes, so the place is asked for again when the run is there
      viewer_.return_to_place(*std::exchange(returning_, std::nullopt));
      return;
    }
    if (!wait_is_over(now)) return;
    if (next_ == script_.lines.size()) {
      finished_ = true;
      viewer_.set_asked(std::nullopt);
      return;
    }
    const ScriptLine& line = script_.lines[next_];
    const bool at_rest_only =
        std::holds_alternative<WriteShot>(line.action) || std::holds_alternative<WriteState>(line.action);
    if (at_rest_only && !instant_ && viewer_.animating()) return;
    ++next_;
    row_ = std::min(line.row, script_.n_rows);
    try {
      std::visit([this](const auto& action) { play(action); }, line.action);
    } catch (const ExpectFailed& e) {
      fail(line, kExpectFailed, e.what());
    } catch (const std::exception& e) {
      fail(line, kNotPossible, e.what());
    }
  }
}

void ScriptPlayer::wait(Waiting what, double seconds) {
  waiting_ = what;
  wait_since_ = now_;
  wait_for_ = seconds;
  pokes_before_ = viewer_.pokes_by_user();
  skip_ = false;
}

void ScriptPlayer::perform(const Command& command) {
  if (const std::string error = viewer_.perform(command); !error.empty()) throw UsageError("{}", error);
}

const Snapshot& ScriptPlayer::snapshot() const {
  if (!viewer_.snapshot()) throw UsageError("there is no step yet");
  return *viewer_.snapshot();
}

/// At rest, with as many rows of tokens as fit into the host's picture.
std::shared_ptr<const ViewState> ScriptPlayer::view_for_picture() {
  auto view = viewer_.view_at_rest();
  const int room = host_->rows_that_fit(*view);
  if (room == view->room) return view;
  perform(SetRoom{room});
  return viewer_.view_at_rest();
}

int ScriptPlayer::position_of(ScriptPosition position) const {
  if (!position.focus) return position.position;
  require_focus(focus_);
  return focus_;
}

const Target& ScriptPlayer::existing(const Target& target) const {
  if (!target_exists(snapshot(), target))
    throw UsageError("there is nothing at this place: the step has positions 0 to {}",
                     snapshot().now->n_tokens - 1);
  return target;
}

void ScriptPlayer::go_back() {
  if (said_.empty()) return;
  if (said_.size() > 1) said_.pop_back();
  const Said to = said_.back();
  said_.pop_back();  // its line is played again
  viewer_.set_asked(std::nullopt);
  viewer_.return_to_place(to.place);
  returning_ = to.place;
  asked_.reset();
  next_ = to.line;
  focus_ = to.focus;
  waiting_ = Waiting::nothing;
}

// ---- one function per kind of line

void ScriptPlayer::play(const DoCommand& action) { perform(action.command); }

/// The host has no full screen, and a script takes its pictures with `shot`.
void ScriptPlayer::play(const DoWindowCommand& action) {
  if (!host_) return;
  if (const auto* size = std::get_if<SetSize>(&action.command)) host_->resize(size->width, size->height);
}

void ScriptPlayer::play(const DoPoke& action) {
  PokeRow poke = action.poke;
  poke.position = position_of(action.position);
  perform(poke);
}

void ScriptPlayer::play(const DoRestore& action) {
  perform(RestoreRow{action.part, position_of(action.position)});
}

void ScriptPlayer::play(const DoFocus& action) {
  const int n = snapshot().now->n_tokens;
  if (action.position >= n - 1)
    throw UsageError("position {} is not in the past: the step ends at position {}", action.position, n - 1);
  const Selection at = viewer_.selection();
  const float* p = prob_row(snapshot().now->side(Mode::cached), at.layer, at.head, n - 1, n);
  focus_ = action.position;
  if (p && p[focus_] < kHardlyAny && n > 2)  // position 0 sees only itself, so its query changes nothing
    focus_ = static_cast<int>(std::max_element(p + 1, p + n - 1) - p);
}

void ScriptPlayer::play(const Say& action) {
  // The row that a sentence asks to poke is marked in the line before it.
  const size_t line = next_ - 1;
  const bool marked = line > 0 && std::holds_alternative<AskPoke>(script_.lines[line - 1].action);
  said_.push_back({marked ? line - 1 : line, viewer_.mark_place(), focus_});
  const bool has_braces = action.text.find('{') != std::string::npos;
  const std::string text =
      has_braces ? fill_braces(action.text, snapshot(), viewer_.selection(), focus_) : action.text;
  viewer_.set_sentence(text, action.asks);
  if (host_ && instant_) host_->row_shown(row_, *view_for_picture());
  const bool wait_follows =
      next_ < script_.lines.size() && std::holds_alternative<Wait>(script_.lines[next_].action);
  if (!wait_follows) wait(Waiting::reading, reading_seconds(text));
}

void ScriptPlayer::play(const AskPoke& action) {
  asked_ = existing({Mode::cached, action.part, position_of(action.position), -1});
  viewer_.set_asked(asked_);
}

void ScriptPlayer::play(const Wait& action) {
  wait(action.for_poke ? Waiting::poke : Waiting::reading, action.seconds);
}

void ScriptPlayer::play(const Expect& action) {
  const StepData& step = *snapshot().now;
  if (action.what == Expectation::same_token) {
    if (step.side(Mode::cached).next_token != step.side(Mode::recompute).next_token)
      throw ExpectFailed("does not hold: " + next_summary(snapshot()));
    return;
  }
  if (step.pokes.empty()) throw ExpectFailed("does not hold: nothing is poked, so nothing is compared");
  for (const Mode side : {Mode::cached, Mode::recompute}) {
    if (side == Mode::cached ? !action.cached : !action.recompute) continue;
    const PokeEffect effect = poke_effect(snapshot(), side, viewer_.selection());
    if (action.what == Expectation::token_changed) {
      if (effect.token_before != effect.token_after) continue;
      throw ExpectFailed(fmt::format("does not hold on the {} side: the next token is “{}” before and after",
                                     name_of(side), label(snapshot().setup->piece(effect.token_after))));
    }
    if (effect.identical == (action.what == Expectation::identical)) continue;
    throw ExpectFailed(fmt::format(
        "does not hold on the {} side: {}", name_of(side),
        effect.identical ? "logits are bit-identical" : "logits changed by " + rough(effect.logit_change)));
  }
}

void ScriptPlayer::play(const PointAt& action) {
  std::optional<Target> target;
  if (!action.none) {
    target = action.target;
    target->row = position_of(action.row);
    existing(*target);
  }
  if (action.pin)
    perform(Pin{target});
  else
    perform(Hover{target});
}

void ScriptPlayer::play(const OpenMenuAt& action) {
  perform(OpenPokeMenu{Target{Mode::cached, action.part, position_of(action.position), -1}});
}

void ScriptPlayer::play(const WriteShot& action) {
  if (host_) host_->shot(action.name, *view_for_picture());
}

void ScriptPlayer::play(const WriteState& action) {
  if (host_) host_->write_state(action.name, to_json(*view_for_picture()));
}

TourState ScriptPlayer::state() const {
  TourState s;
  s.active = !finished_;
  s.row = row_;
  s.n_rows = script_.n_rows;
  s.waiting = paused_ && waiting_ == Waiting::reading ? Waiting::pause : waiting_;
  s.waited = waiting_ == Waiting::nothing ? 0 : std::floor(std::max(0.0, now_ - wait_since_));
  s.wait_for = waiting_ == Waiting::nothing ? 0 : wait_for_;
  s.asked = asked_;
  if (s.waiting == Waiting::pause)
    s.waiting_text = "Enter: next · Space: go on · Esc: leave";
  else if (waiting_ == Waiting::poke && asked_)
    s.waiting_text = fmt::format("waiting for your poke of {}[{}] …", name_of(asked_->part), asked_->row);
  return s;
}

}  // namespace lastrow::view
