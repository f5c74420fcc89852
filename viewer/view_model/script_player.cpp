#include "viewer/view_model/script_player.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/number.h"
#include "viewer/view_model/poke_story.h"
#include "viewer/view_model/text.h"

namespace lastrow::view {

namespace {

constexpr float kHardlyAny = 0.05f;      // a weight below which position 3 gives way to the most attended one
constexpr double kAfterPokeSeconds = 5;  // to look at what the own poke did

/// Long enough to read a sentence aloud.
double reading_seconds(const std::string& text) { return 1.2 + 0.045 * static_cast<double>(text.size()); }

/// Thrown out of a line, carries the exit code.
struct LineFailed {
  int code;
  std::string what;
};

template <typename... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};

}  // namespace

ScriptPlayer::ScriptPlayer(Script script, Stagehand& stagehand, ScriptHost* host, bool instant)
    : script_(std::move(script)), hand_(stagehand), host_(host), instant_(instant) {}

void ScriptPlayer::fail(const ScriptLine& line, int code, const std::string& what) {
  error_ = fmt::format("{}:{}: {}: {}", script_.name, line.number, line.text, what);
  exit_code_ = code;
  finished_ = true;
  hand_.set_asked(std::nullopt);
}

bool ScriptPlayer::wait_is_over(double now) {
  if (waiting_ == Waiting::nothing) return true;
  const bool poked = waiting_ == Waiting::poke && hand_.pokes_by_user() > pokes_before_;
  const bool over = instant_ || skip_ || now - wait_since_ >= wait_for_;
  if (waiting_ == Waiting::reading && hand_.animating() && !instant_ && !skip_) return false;
  if (!over && !poked) return false;
  skip_ = false;
  if (waiting_ == Waiting::poke) {
    hand_.set_asked(std::nullopt);
    asked_.reset();
    if (poked && !instant_) {
      waiting_ = Waiting::reading;
      wait_since_ = now;
      wait_for_ = kAfterPokeSeconds;
      return false;
    }
  }
  waiting_ = Waiting::nothing;
  return true;
}

void ScriptPlayer::tick(double now) {
  if (paused_) wait_since_ += now - now_;  // no wait runs out; Enter and pokes go on
  now_ = now;
  while (!finished_) {
    if (hand_.working()) return;
    if (const std::string error = hand_.take_work_error(); !error.empty() && next_ > 0) {
      fail(script_.lines[next_ - 1], 2, error);
      return;
    }
    if (!wait_is_over(now)) return;
    if (next_ == script_.lines.size()) {
      finished_ = true;
      hand_.set_asked(std::nullopt);
      return;
    }
    const ScriptLine& line = script_.lines[next_];
    const bool still =
        std::holds_alternative<WriteShot>(line.action) || std::holds_alternative<WriteState>(line.action);
    if (still && !instant_ && hand_.animating()) return;
    ++next_;
    try {
      run_line(line, now);
    } catch (const LineFailed& failed) {
      fail(line, failed.code, failed.what);
    } catch (const std::exception& e) {
      fail(line, 2, e.what());
    }
  }
}

void ScriptPlayer::run_line(const ScriptLine& line, double now) {
  const auto perform = [&](const Command& command) {
    if (const std::string error = hand_.perform(command); !error.empty()) throw LineFailed{2, error};
  };
  const auto wait = [&](Waiting what, double seconds) {
    waiting_ = what;
    wait_since_ = now;
    wait_for_ = seconds;
    pokes_before_ = hand_.pokes_by_user();
    skip_ = false;
  };
  row_ = std::min(line.row, script_.n_rows);
  std::visit(Overloaded{
                 [&](const DoCommand& a) {
                   if (const auto* size = std::get_if<SetSize>(&a.command)) {
                     if (host_) host_->resize(size->width, size->height);
                     return;
                   }
                   if (const auto* scroll = std::get_if<ScrollTokens>(&a.command)) {
                     if (host_) host_->scroll(*scroll);
                     return;
                   }
                   perform(a.command);
                 },
                 [&](const DoStepBy& a) { perform(ChangeStep{a.by}); },
                 [&](const DoPoke& a) {
                   PokeRow poke = a.poke;
                   poke.position = position_of(line, a.position);
                   perform(poke);
                 },
                 [&](const DoRestore& a) {
                   perform(RestoreRow{a.part, position_of(line, a.position)});
                 },
                 [&](const DoFocus& a) { find_focus(line, a.position); },
                 [&](const Say& a) {
                   const std::string text = expand(line, a.text);
                   hand_.set_sentence(text, a.asks);
                   if (host_ && instant_) host_->row_shown(line.row, *hand_.view_at_rest());
                   const bool explicit_wait = next_ < script_.lines.size() &&
                                              std::holds_alternative<Wait>(script_.lines[next_].action);
                   if (!explicit_wait) wait(Waiting::reading, reading_seconds(text));
                 },
                 [&](const AskPoke& a) {
                   asked_ = Target{Side::cached, a.part, position_of(line, a.position), -1};
                   hand_.set_asked(asked_);
                 },
                 [&](const Wait& a) { wait(a.for_poke ? Waiting::poke : Waiting::reading, a.seconds); },
                 [&](const Expect& a) { check(line, a); },
                 [&](const PointAt& a) {
                   std::optional<Target> target;
                   if (!a.none) {
                     target = a.target;
                     target->row = position_of(line, a.row);
                   }
                   if (a.pin)
                     perform(Pin{target});
                   else
                     perform(Hover{target});
                 },
                 [&](const OpenMenuAt& a) {
                   perform(OpenPokeMenu{Target{Side::cached, a.part, position_of(line, a.position), -1}});
                 },
                 [&](const WriteShot& a) {
                   if (host_) host_->shot(a.name, *hand_.view_at_rest());
                 },
                 [&](const WriteState& a) {
                   if (host_) host_->write_state(a.name, to_json(*hand_.view_at_rest()));
                 },
             },
             line.action);
}

int ScriptPlayer::position_of(const ScriptLine&, ScriptPosition position) {
  if (!position.focus) return position.position;
  if (focus_ < 0) throw LineFailed{2, "p stands for nothing yet: put a line `focus 3` before it"};
  return focus_;
}

void ScriptPlayer::find_focus(const ScriptLine&, int position) {
  const Scene* scene = hand_.scene();
  if (!scene) throw LineFailed{2, "there is no step yet"};
  const int n = scene->now->n_tokens;
  if (position >= n - 1)
    throw LineFailed{2,
                     fmt::format("position {} is not past: the step ends at position {}", position, n - 1)};
  const Selection at = hand_.selection();
  const float* p = prob_row(*scene->world, scene->now->side(Side::cached), at.layer, at.head, n - 1, n);
  focus_ = position;
  if (p && p[position] < kHardlyAny && n > 2)  // position 0 sees only itself: its query can change nothing
    focus_ = static_cast<int>(std::max_element(p + 1, p + n - 1) - p);
}

void ScriptPlayer::check(const ScriptLine&, const Expect& expect) {
  const Scene* scene = hand_.scene();
  if (!scene) throw LineFailed{2, "there is no step yet"};
  if (expect.what == Expectation::same_token) {
    if (scene->now->side(Side::cached).next_token != scene->now->side(Side::recompute).next_token)
      throw LineFailed{1, "does not hold: " + next_summary(*scene)};
    return;
  }
  if (scene->now->pokes.empty())
    throw LineFailed{1, "does not hold: nothing is poked, so nothing is compared"};
  const bool identical = expect.what == Expectation::identical;
  for (const Side side : {Side::cached, Side::recompute}) {
    if (side == Side::cached ? !expect.cached : !expect.recompute) continue;
    const PokeEffect effect = poke_effect(*scene, side, hand_.selection());
    if (effect.identical != identical)
      throw LineFailed{
          1, fmt::format("does not hold on the {} side: {}", side == Side::cached ? "cached" : "recompute",
                         effect.identical ? "logits are bit-identical"
                                          : "logits changed by " + rough(effect.logit_change))};
  }
}

/// One {name} of a sentence, from the session.
std::string ScriptPlayer::expand_one(const ScriptLine& line, const std::string& name) {
  const Scene* scene = hand_.scene();
  if (!scene) throw LineFailed{2, "there is no step yet"};
  const int n = scene->now->n_tokens;
  const auto word = [&](int position) {
    if (position < 0 || position >= n)
      throw LineFailed{2,
                       fmt::format("there is no position {}: the step has {}", position, plural(n, "token"))};
    return label(scene->world->piece(scene->now->tokens[static_cast<size_t>(position)]));
  };
  if (name == "n") return fmt::format("{}", n);
  if (name == "n-1") return fmt::format("{}", n - 1);
  if (name == "next") return label(scene->world->piece(scene->now->side(Side::cached).next_token));
  if (name == "p") return fmt::format("{}", position_of(line, {0, true}));
  if (name == "w") return word(position_of(line, {0, true}));
  if (name == "d") {
    if (scene->now->pokes.empty()) throw LineFailed{2, "{d} is the change of a poke, and nothing is poked"};
    return rough(poke_effect(*scene, Side::cached, hand_.selection()).output_change);
  }
  if (name.starts_with('w'))
    if (const auto position = whole_number<int>(std::string_view(name).substr(1))) return word(*position);
  throw LineFailed{
      2, fmt::format("expected one of {{n}} {{n-1}} {{next}} {{p}} {{w}} {{d}} {{w0}} {{w1}} …, got {{{}}}",
                     name)};
}

std::string ScriptPlayer::expand(const ScriptLine& line, const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t close = text[i] == '{' ? text.find('}', i) : std::string::npos;
    if (close == std::string::npos) {
      out += text[i];
      continue;
    }
    out += expand_one(line, text.substr(i + 1, close - i - 1));
    i = close;
  }
  return out;
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
    s.waiting_text = "Paused · Enter: next · Space: go on";
  else if (waiting_ == Waiting::poke && asked_)
    s.waiting_text = fmt::format("waiting for your poke of {}[{}] …",
                                 asked_->part == Part::q   ? "q"
                                 : asked_->part == Part::k ? "k"
                                                           : "v",
                                 asked_->row);
  return s;
}

}  // namespace lastrow::view
