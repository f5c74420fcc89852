#include "viewer/view_model/describe/transport.h"

#include <fmt/format.h>

#include <array>
#include <cctype>

#include "viewer/view_model/describe/described_once.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

/// The words of some tokens; of a long text only the first and the last.
std::string words(const Setup& setup, const std::vector<int32_t>& tokens, int first, int count) {
  constexpr int kAtEachEnd = 16;
  std::string out;
  for (int i = 0; i < count; ++i) {
    if (!out.empty()) out += ' ';
    if (count > 2 * kAtEachEnd + 1 && i == kAtEachEnd) {
      out += "…";
      i = count - kAtEachEnd - 1;
      continue;
    }
    out += label(setup.piece(tokens[static_cast<size_t>(first + i)]));
  }
  return out;
}

std::string banner_text(const Snapshot& snapshot, int layer) {
  const StepData& step = *snapshot.now;
  if (step.prefill())
    return fmt::format("Prefill · {} {} · {}", step.n_tokens == 1 ? "position" : "positions",
                       range(0, step.n_tokens - 1), plural(step.n_tokens, "key"));
  const int stored = step.side(Mode::cached).held(layer).n_keys();
  std::string name = step_text(*snapshot.setup, step.step);
  name[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
  return fmt::format(
      "{} · position {} · {}", name, step.n_tokens - 1,
      stored == step.n_tokens ? plural(stored, "key") : fmt::format("{} of {} keys", stored, step.n_tokens));
}

std::vector<BeatChip> beat_chips(Beat now) {
  static constexpr std::array<const char*, 4> kSigns = {"①", "②", "③", "④"};
  static constexpr std::array<const char*, 4> kNames = {"project", "append", "attend", "next"};
  std::vector<BeatChip> chips;
  for (int part = 1; part <= 4; ++part) {
    BeatChip chip;
    chip.part = part;
    chip.sign = kSigns[static_cast<size_t>(part - 1)];
    chip.name = kNames[static_cast<size_t>(part - 1)];
    for (const BeatInfo& b : kBeatTable)
      if (b.part == part) chip.beats.push_back(b);
    chip.first = chip.beats.front().beat;
    chip.last = chip.beats.back().beat;
    chip.current = now >= chip.first && now <= chip.last;
    chip.done = now >= chip.last;
    chips.push_back(std::move(chip));
  }
  return chips;
}

}  // namespace

std::vector<ScrubTick> scrub_ticks(const Snapshot& snapshot) {
  const Setup& setup = *snapshot.setup;
  std::vector<ScrubTick> ticks;
  const int first = setup.n_tokens_at(0);
  ticks.push_back({0, "prefill", words(setup, snapshot.history, 0, first), first});
  for (int step = 1; step <= snapshot.last_step; ++step)
    ticks.push_back(
        {step, fmt::format("{}", step), words(setup, snapshot.history, setup.n_tokens_at(step) - 1, 1), 1});
  return ticks;
}

Transport build_transport(const Snapshot& snapshot, const Selection& at) {
  Transport t;
  t.step = snapshot.now->step;
  t.last_step = snapshot.last_step;
  t.at_first = snapshot.now->step == 0;
  t.context_full = snapshot.context_full;
  t.beat = at.beat;
  t.ticks = described(snapshot)->ticks;
  t.chips = beat_chips(at.beat);
  t.banner = banner_text(snapshot, at.layer);
  return t;
}

}  // namespace lastrow::view
