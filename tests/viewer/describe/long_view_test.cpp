// 4,096 tokens × 32 layers × 32 heads: everything but the panes is made in a small part of a frame.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "tests/viewer/long_snapshot.h"
#include "viewer/view_model/describe/described_once.h"
#include "viewer/view_model/describe/pane.h"
#include "viewer/view_model/describe/reads.h"
#include "viewer/view_model/describe/strips.h"
#include "viewer/view_model/describe/text.h"
#include "viewer/view_model/describe/transport.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

template <typename Make>
double best_ms(Make make) {
  double best = 1e9;
  for (int i = 0; i < 10; ++i) {
    const auto start = std::chrono::steady_clock::now();
    make();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
  }
  return best;
}

/// The same count by looking at every query of every step.
ReadCount reads_one_by_one(const Snapshot& s, Mode side, Part part, int position) {
  std::set<int> readers;
  ReadCount out;
  for (const StepReads& step : s.reads[static_cast<size_t>(side)]) {
    const AttendRead& r = step[0];
    for (int t = 0; t < r.q_len; ++t) {
      const int query = r.kv_len - r.q_len + t;
      const VisibleKeys keys = visible_keys(r.mask, r.q_len, r.kv_len, t);
      if (part == Part::q ? query != position : position < keys.begin || position >= keys.end) continue;
      readers.insert(query);
      ++out.times;
    }
  }
  if (!readers.empty())
    out.readers = (readers.size() == 1 ? "query " : "queries ") + range(*readers.begin(), *readers.rbegin());
  return out;
}

}  // namespace

TEST_CASE("reads are counted as one by one, with every kind of mask") {
  Snapshot s;
  s.setup = long_snapshot().setup;
  for (const MaskRule mask : {MaskRule{.causal = true}, MaskRule{.causal = true, .window = 3}}) {
    s.reads = {};
    for (int i = 0; i <= 4; ++i) {
      s.reads[0].push_back({AttendRead{i == 0 ? 5 : 1, 5 + i, mask}});
      s.reads[1].push_back({AttendRead{5 + i, 5 + i, mask}});
    }
    for (const Mode side : {Mode::cached, Mode::recompute})
      for (const Part part : {Part::q, Part::k, Part::v})
        for (int position = 0; position < 10; ++position) {
          const ReadCount fast = count_reads(s, side, 0, part, position),
                          slow = reads_one_by_one(s, side, part, position);
          CAPTURE(position);
          CHECK(fast.times == slow.times);
          CHECK(fast.readers == slow.readers);
        }
  }
}

TEST_CASE("what a long step has in common in all frames is made once") {
  Snapshot s = long_snapshot();
  CHECK(described(s) == s.once);
  CHECK(s.once->tokens.size() == kTokens + 1);
  CHECK(s.once->ticks.size() == kSteps + 1);
  CHECK(s.once->ticks[0].token.size() < 300);  // not two thousand words
  auto other = std::make_shared<StepData>(*s.now);
  other->sides[0].logits[7] = 9;
  s.now = s.unpoked = other;
  CHECK(described(s)->next[0].top[0].id == 7);  // another step: made again
}

TEST_CASE("all but the panes of 4,096 tokens × 32 layers × 32 heads takes less than 2 ms") {
  const Snapshot s = long_snapshot();
  const Selection at{.layer = 31, .head = 5};
  const double strips = best_ms([&] {
    const auto once = described(s);
    const std::vector<TokenChip> tokens = once->tokens;
    const std::array<NextTokens, 2> next = once->next;
    const std::vector<CostEntry> costs = once->costs;
    const Transport transport = build_transport(s, at);
    const HeadStrip heads = head_strip(s, at);
    const ModelStrip layers = model_strip(s, at);
    CHECK(heads.heads.size() == kHeads);
  });
  const double reads = best_ms([&] {
    CHECK(count_reads(s, Mode::recompute, kLayers - 1, Part::k, 3).times > 0);
    CHECK(count_reads(s, Mode::cached, kLayers - 1, Part::q, 3).times == 1);
  });
  MESSAGE("tokens, steps, next tokens, costs, heads and layers: " << strips << " ms; counting reads: "
                                                                  << reads << " ms");
  CHECK(strips + reads < 2.0);
}
