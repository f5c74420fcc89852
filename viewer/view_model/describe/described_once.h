// The parts of the picture that depend on the step alone: not on layer, head, beat or mouse. They are made
// once for a snapshot, because a long text has thousands of tokens and steps.
//
//   snapshot.once = describe_once(snapshot);   the worker, when the snapshot is complete
//   const auto once = described(snapshot);     each frame; makes them again only if the snapshot has none
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/costs.h"
#include "viewer/view_model/state/prompt_box.h"
#include "viewer/view_model/state/strips.h"
#include "viewer/view_model/state/transport.h"

namespace lastrow::view {

struct DescribedOnce {
  const StepData *now = nullptr, *unpoked = nullptr;  // the steps that it describes
  std::vector<TokenChip> tokens;
  std::vector<SpeltWord> spelt_words;
  std::array<NextTokens, 2> next;  // [Mode]
  std::string next_summary;
  std::vector<ScrubTick> ticks;
  std::vector<CostEntry> costs;
};

std::shared_ptr<const DescribedOnce> describe_once(const Snapshot& snapshot);
std::shared_ptr<const DescribedOnce> described(const Snapshot& snapshot);

}  // namespace lastrow::view
