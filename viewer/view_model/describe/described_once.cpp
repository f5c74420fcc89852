#include "viewer/view_model/describe/described_once.h"

#include "viewer/view_model/describe/costs.h"
#include "viewer/view_model/describe/sampling.h"
#include "viewer/view_model/describe/spelling.h"
#include "viewer/view_model/describe/strips.h"
#include "viewer/view_model/describe/transport.h"

namespace lastrow::view {

namespace {

std::vector<int32_t> ids_of(const std::vector<TokenChip>& chips) {
  std::vector<int32_t> ids;
  for (const TokenChip& chip : chips) ids.push_back(chip.id);
  return ids;
}

}  // namespace

std::shared_ptr<const DescribedOnce> describe_once(const Snapshot& snapshot) {
  auto once = std::make_shared<DescribedOnce>();
  once->now = snapshot.now.get();
  once->unpoked = snapshot.unpoked.get();
  once->tokens = token_strip(snapshot);
  once->spelt_words = spelt_words(snapshot.setup->model->tokenizer(), ids_of(once->tokens));
  for (const Mode side : {Mode::cached, Mode::recompute}) {
    NextTokens& next = once->next[static_cast<size_t>(side)];
    next = next_tokens(snapshot, side);
    at_temperature(next, snapshot.now->side(side).logits, snapshot.setup->sampling.temperature);
  }
  once->next_summary = next_summary(snapshot);
  once->ticks = scrub_ticks(snapshot);
  once->costs = cost_line(snapshot);
  return once;
}

std::shared_ptr<const DescribedOnce> described(const Snapshot& snapshot) {
  const auto& once = snapshot.once;
  if (once && once->now == snapshot.now.get() && once->unpoked == snapshot.unpoked.get()) return once;
  return describe_once(snapshot);
}

}  // namespace lastrow::view
