// The long contexts of the quick set: which rungs run them, and that every n-th problem still includes some.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "gpu/driver/check_cases.h"
#include "gpu/ladder/ladder.h"

namespace lastrow::driver {
namespace {

int32_t longest(const CheckCase& c) {
  int32_t n = 0;
  for (const judge::SequenceSize& s : c.problem.sequences) n = std::max(n, s.kv_len);
  return n;
}

CheckSet set_of_all_rungs() {
  std::vector<std::string> rungs;
  for (const emulated::Rung* rung : emulated::ladder()) rungs.push_back(rung->name);
  return CheckSet(rungs, [](const std::string& name, const gpu::AttendShape& shape) {
    return emulated::rung(name).supports(shape).empty();
  });
}
std::vector<CheckCase> quick_set() { return set_of_all_rungs().quick(); }

TEST_CASE("each problem is run by every rung that takes it, and by at least one") {
  for (const CheckCase& c : set_of_all_rungs().pairs()) CHECK(!c.rungs.empty());
}

TEST_CASE("every rung is checked with sinks, soft cap, ALiBi, and a table that begins within a block") {
  struct Checked {
    bool sinks = false, soft_cap = false, alibi = false, ring = false, ring_with_sinks = false;
  };
  std::map<std::string, Checked> checked;
  for (const CheckCase& c : quick_set())
    for (const std::string& rung : c.rungs) {
      Checked& x = checked[rung];
      x.sinks |= c.problem.mask.sinks > 0;
      x.soft_cap |= c.problem.soft_cap > 0;
      x.alibi |= c.problem.alibi;
      x.ring |= c.problem.table_first > 0 && c.problem.forgotten > 0;
      x.ring_with_sinks |= c.problem.table_sinks > 0 && c.problem.mask.sinks > 0;
    }
  const std::set<std::string> of_one_idea = {"k07a", "k07b", "k11a", "k11b", "k12a", "k12b", "k12c"};
  for (const emulated::Rung* rung : emulated::ladder()) {
    const gpu::AttendShape rules{.head_dim = 64, .kv_dtype = DType::bf16, .finishes_scores = true};
    if (of_one_idea.contains(rung->name)) {  // their children take the rules
      CHECK_MESSAGE(
          rung->supports({rules, {}, {.n_parts = rung->rounds ? 1 : 0}}).starts_with("it takes no soft cap"),
          rung->name);
      continue;
    }
    const Checked& x = checked[rung->name];
    CHECK_MESSAGE((x.sinks && x.soft_cap && x.alibi && x.ring && x.ring_with_sinks), rung->name);
  }
}

constexpr int32_t kManyKeys[] = {300, 1000, 4100, 16384};

TEST_CASE("every rung is checked at every long length, in every stored type that it takes") {
  std::set<std::tuple<std::string, DType, int32_t>> checked;
  for (const CheckCase& c : quick_set())
    for (const std::string& rung : c.rungs) checked.insert({rung, c.problem.kv_dtype.k, longest(c)});
  for (const emulated::Rung* rung : emulated::ladder())
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16, DType::fp8_e4m3, DType::i8}) {
      if (!rung->supports(gpu::AttendShape{.head_dim = 64, .kv_dtype = dtype}).empty()) continue;
      for (const int32_t n_keys : kManyKeys)
        CHECK_MESSAGE(checked.contains({rung->name, dtype, n_keys}), rung->name, " ", name_of(dtype), " ",
                      n_keys);
    }
}

TEST_CASE("16,384 keys: decode of 4 heads, of 16 for k11, 17 rows of one head, and one split") {
  bool four = false, sixteen = false, prefill = false;
  for (const CheckCase& c : quick_set()) {
    if (longest(c) != 16384) continue;
    CHECK(c.problem.head_dim == 64);
    const bool decode = c.problem.sequences[0].q_len == 1;
    four |= decode && c.problem.n_q_heads == 4 && c.problem.n_splits == 1;
    if (decode && c.problem.n_q_heads == 16) {
      CHECK(c.rungs == std::vector<std::string>{"k11"});
      sixteen = true;
    }
    prefill |= c.problem.sequences[0].q_len == 17 && c.problem.n_q_heads == 1;
  }
  CHECK(four);
  CHECK(sixteen);
  CHECK(prefill);
}

TEST_CASE("every eighth problem, and every sixteenth, has short and long ones") {
  const std::vector<CheckCase> cases = quick_set();
  for (const size_t nth : {8, 16}) {
    CAPTURE(nth);
    size_t n = 0, n_long = 0, n_longest = 0;
    for (size_t i = 0; i < cases.size(); i += nth) {
      ++n;
      n_long += longest(cases[i]) >= 300;
      n_longest += longest(cases[i]) >= 4100;
    }
    MESSAGE(nth, ": ", n, " problems, ", n_long, " long, ", n_longest, " of 4,100 keys and more");
    CHECK(n_long >= n / 4);
    CHECK(n_long <= n / 2);
    CHECK(n_longest >= 1);
  }
}

}  // namespace
}  // namespace lastrow::driver
