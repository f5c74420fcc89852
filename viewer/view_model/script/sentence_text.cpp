#include "viewer/view_model/script/sentence_text.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/number.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/poke_effect.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

std::string word_at(const Snapshot& snapshot, int position) {
  const int n = snapshot.now->n_tokens;
  if (position < 0 || position >= n)
    throw UsageError("there is no position {}: the step has {}", position, plural(n, "token"));
  return token_label(snapshot, position);
}

std::string brace_value(const std::string& name, const Snapshot& snapshot, const Selection& at, int focus) {
  const int n = snapshot.now->n_tokens;
  if (name == "n") return fmt::format("{}", n);
  if (name == "n-1") return fmt::format("{}", n - 1);
  const auto next = [&](const StepData& step) {
    return label(snapshot.setup->piece(step.side(Mode::cached).next_token));
  };
  if (name == "next") return next(*snapshot.unpoked);
  if (name == "next_after") return next(*snapshot.now);
  if (name == "p" || name == "w") {
    require_focus(focus);
    return name == "p" ? fmt::format("{}", focus) : word_at(snapshot, focus);
  }
  if (name == "d") {
    if (snapshot.now->pokes.empty())
      throw UsageError("{{d}} is the change that a poke made, but nothing is poked");
    return rough(poke_effect(snapshot, Mode::cached, at).output_change);
  }
  if (name.starts_with('w'))
    if (const auto position = whole_number<int>(std::string_view(name).substr(1)))
      return word_at(snapshot, *position);
  throw UsageError(
      "expected one of {{n}} {{n-1}} {{next}} {{next_after}} {{p}} {{w}} {{d}} {{w0}} {{w1}} …, got {{{}}}",
      name);
}

}  // namespace

void require_focus(int focus) {
  if (focus < 0) throw UsageError("p has no meaning yet: put a line such as `focus 3` before this one");
}

std::string fill_braces(const std::string& text, const Snapshot& snapshot, const Selection& at, int focus) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t close = text[i] == '{' ? text.find('}', i) : std::string::npos;
    if (close == std::string::npos) {
      out += text[i];
      continue;
    }
    out += brace_value(text.substr(i + 1, close - i - 1), snapshot, at, focus);
    i = close;
  }
  return out;
}

std::string wrong_poke_sentence(const PokeRow& poke, const Target& asked) {
  const std::string row = fmt::format("{}[{}]", name_of(asked.part), asked.row);
  if (poke.part == asked.part && poke.position == asked.row)
    return fmt::format("That set {0} to zero. Now scramble {0}: right-click it, then “Scramble now”.", row);
  return fmt::format("That was {}[{}]. Try {}: right-click it, then “Scramble now”.", name_of(poke.part),
                     poke.position, row);
}

}  // namespace lastrow::view
