#include "viewer/view_model/describe/described_once.h"

#include "viewer/view_model/describe/costs.h"
#include "viewer/view_model/describe/strips.h"
#include "viewer/view_model/describe/transport.h"

namespace lastrow::view {

std::shared_ptr<const DescribedOnce> describe_once(const Snapshot& snapshot) {
  auto once = std::make_shared<DescribedOnce>();
  once->now = snapshot.now.get();
  once->unpoked = snapshot.unpoked.get();
  once->tokens = token_strip(snapshot);
  once->next = {next_tokens(snapshot, Mode::cached), next_tokens(snapshot, Mode::recompute)};
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
