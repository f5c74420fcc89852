// The ancestors of a row over all operations and steps (Lineage in trace/dependence.h): compared with derived counts,
// and with what changes when a token changes.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "tests/trace/tiny.h"
#include "tests/trace/traced_model.h"
#include "trace/dependence.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

// The number of different rows among the ancestors that were written at a site, or of K/V rows of a layer.
int64_t rows_at(const Recorder& recorder, const std::vector<WrittenRow>& ancestors, std::string_view name) {
  int64_t n = 0;
  for (const WrittenRow& a : ancestors)
    if (a.event >= 0 && a.row.space == RowSpace::tensor && recorder.events(a.step)[a.event].name == name) ++n;
  return n;
}
int64_t stored_rows(const std::vector<WrittenRow>& ancestors, RowSpace space) {
  return std::ranges::count(ancestors, space, [](const WrittenRow& a) { return a.row.space; });
}

}  // namespace

TEST_CASE("ancestors of the last logits: without a cache 25 of 32 queries and every key and value") {
  constexpr int kLayers = 4, kTokens = 8;
  TracedModel m({}, kLayers);
  m.step({3, 1, 4, 1, 5, 9, 2, 6});
  const Lineage lineage(m.recorder);
  const int32_t lm_head = lineage.find(0, -1, site::kLmHead);
  const int32_t logits = m.recorder.events(0)[lm_head].writes[0].id;
  const auto ancestors = lineage.ancestors({0, lm_head, {RowSpace::tensor, logits, 0}});
  CHECK(rows_at(m.recorder, ancestors, site::kRopeQ) == (kLayers - 1) * kTokens + 1);
  CHECK(rows_at(m.recorder, ancestors, site::kQProj) == (kLayers - 1) * kTokens + 1);  // RoPE is in place
  CHECK(rows_at(m.recorder, ancestors, site::kKProj) == kLayers * kTokens);
  CHECK(stored_rows(ancestors, RowSpace::k) == kLayers * kTokens);
  CHECK(stored_rows(ancestors, RowSpace::v) == kLayers * kTokens);
  CHECK(stored_rows(ancestors, RowSpace::token) == kTokens);
}

TEST_CASE("with a cache the same ancestors lie in earlier steps: this one needs one query a layer") {
  constexpr int kLayers = 4;
  TracedModel m({.keep = RecordOptions::Keep::all}, kLayers);
  m.step({3, 1, 4, 1, 5, 9});
  m.step({2});
  m.step({6});
  const Lineage lineage(m.recorder);
  const int32_t lm_head = lineage.find(2, -1, site::kLmHead);
  const int32_t logits = m.recorder.events(2)[lm_head].writes[0].id;
  auto ancestors = lineage.ancestors({2, lm_head, {RowSpace::tensor, logits, 0}});
  CHECK(rows_at(m.recorder, ancestors, site::kRopeQ) == (kLayers - 1) * 8 + 1);
  CHECK(stored_rows(ancestors, RowSpace::k) == kLayers * 8);
  std::erase_if(ancestors, [](const WrittenRow& a) { return a.step != 2; });
  CHECK(rows_at(m.recorder, ancestors, site::kRopeQ) == kLayers);
  CHECK(stored_rows(ancestors, RowSpace::k) == kLayers);  // 4 new rows; 28 are read

  // If only this step was recorded, the older rows were stored before the recording began.
  TracedModel latest({}, kLayers);
  latest.step({3, 1, 4, 1, 5, 9});
  latest.step({2});
  latest.step({6});
  const Lineage last_only(latest.recorder);
  const auto seen = last_only.ancestors({2, lm_head, {RowSpace::tensor, logits, 0}});
  CHECK(std::ranges::count_if(seen, [](const WrittenRow& a) {
          return a.event == -1 && a.row.space == RowSpace::k;
        }) == kLayers * 7);
}

TEST_CASE("ancestors against the forward itself: only tokens that are ancestors move a row") {
  TracedModel m({.ops = {"add_ffn"}}, 2);
  m.step({3, 1, 4, 1, 5});
  const Lineage lineage(m.recorder);
  const int32_t event = lineage.find(0, 1, site::kAddFfn);
  const Event& add = m.recorder.events(0)[event];
  for (int32_t t = 0; t < 5; ++t) {
    std::set<int64_t> tokens;
    for (const WrittenRow& a : lineage.ancestors({0, event, {RowSpace::tensor, add.writes[0].id, t}}))
      if (a.row.space == RowSpace::token) tokens.insert(a.row.row);
    for (int32_t changed = 0; changed < 5; ++changed) {
      TracedModel other({.ops = {"add_ffn"}}, 2);
      std::vector<int32_t> text{3, 1, 4, 1, 5};
      text[changed] = 20;
      other.step(text);
      CHECK(same_bits(m.recorder.find(0, 1, "add_ffn")->view().rows(t, 1),
                      other.recorder.find(0, 1, "add_ffn")->view().rows(t, 1)) == !tokens.contains(changed));
    }
  }
}
