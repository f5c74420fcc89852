// A fault of the mask: several tokens on a cache that already holds rows see only each other.
// named_faults.h gives it the name second-turn.
//
// The mask that a program makes for the new tokens alone has q_len columns. Query t of the chunk then sees
// only the t + 1 newest keys up to its own. A window of t + 1 keys hides the same past, but a window is the
// same for all queries of an operation. So the operation runs once for each t, and only row t of each
// result is kept.
#pragma once

#include "trace/forwarding.h"

namespace lastrow {

class HiddenPast final : public WatchingBackend {
 public:
  using WatchingBackend::WatchingBackend;
  void run(const Op& op) override;

 private:
  void attend(const Attend& op);
  void probe(const Probe& op);
};

}  // namespace lastrow
