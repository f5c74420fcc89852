#include "gpu/driver/check_cases.h"

#include <iterator>
#include <set>
#include <tuple>

#include "gpu/driver/pairwise.h"

namespace lastrow::driver {
namespace {

using judge::AttendCase;
using judge::SequenceSize;

// ---- the values of each property

constexpr struct { int32_t n_q, n_kv; } kHeads[] = {{2, 2}, {3, 1}, {8, 2}, {8, 1}, {9, 3}, {18, 1}};

constexpr int32_t kHeadDims[] = {8, 16, 64, 80, 128, 256};
constexpr int32_t kLengths[] = {0, 1, 15, 17, 31, 33, 63, 65, 130};  // of keys; blocks and tiles ± 1
constexpr KvDtypes kTypes[] = {DType::f32,
                               DType::bf16,
                               DType::f16,
                               DType::fp8_e4m3,
                               DType::i8,
                               {DType::i8, DType::fp4x2},
                               {DType::i8, DType::fp8_e4m3},
                               {DType::bf16, DType::i4x2},
                               DType::i4x2,
                               DType::fp4x2};
constexpr int32_t kLongTypes = 7;  // of the first types there are long problems

constexpr struct {
  int32_t len;        // 0: contiguous
  uint64_t order;     // 0: in order
  bool ring = false;  // as a window cache leaves its tables and positions
} kBlocks[] = {{0, 0}, {1, 7}, {16, 0}, {16, 7}, {31, 7}, {64, 7}, {16, 7, true}, {5, 7, true}};

constexpr struct {
  MaskRule mask;
  float score_scale;
  float soft_cap = 0;
  bool alibi = false;
} kRules[] = {{{true, 0}, 1},    {{true, 5}, 1},       {{false, 0}, 1},         {{true, 0}, 1e4f},
              {{true, 5, 3}, 1}, {{true, 0}, 1, 1.5f}, {{true, 0}, 1, 0, true}, {{true, 30, 4}, 8, 5, true}};

/// Whether a problem has more than a scale and one range of keys. Not every rung takes that.
bool has_rules(int32_t block, int32_t rule) {
  return kBlocks[block].ring || kRules[rule].mask.sinks > 0 || kRules[rule].soft_cap > 0 ||
         kRules[rule].alibi;
}

/// The sequences of a step, the first of them with kv_len keys.
std::vector<SequenceSize> sequences(int32_t queries, int32_t kv_len) {
  switch (queries) {
    case 0:  // decode
      return {{1, kv_len}};
    case 1:  // decode of several, one of them empty
      return {{1, kv_len}, {1, 1}, {1, 0}, {1, 40}};
    case 2:  // prefill
      return {{std::max(1, kv_len), kv_len}};
    case 3:  // a chunk of a prefill; if it is short, its first queries see nothing
      return {{5, kv_len}};
    default:  // ragged
      return {{1, kv_len}, {0, 5}, {7, 7}, {17, 40}, {3, 1}};
  }
}
constexpr int32_t kQueries = 5;

enum Choice { heads, head_dim, length, queries, blocks, dtype, rules, rung, kChoices };

std::vector<int32_t> sizes(size_t n_rungs) {
  std::vector<int32_t> n(kChoices);
  n[heads] = std::size(kHeads);
  n[head_dim] = std::size(kHeadDims);
  n[length] = std::size(kLengths);
  n[queries] = kQueries;
  n[blocks] = std::size(kBlocks);
  n[dtype] = std::size(kTypes);
  n[rules] = std::size(kRules);
  n[rung] = static_cast<int32_t>(n_rungs);
  return n;
}

AttendCase problem(const Row& row) {
  const auto& block = kBlocks[row[blocks]];
  const auto& rule = kRules[row[rules]];
  return {.n_q_heads = kHeads[row[heads]].n_q,
          .n_kv_heads = kHeads[row[heads]].n_kv,
          .head_dim = kHeadDims[row[head_dim]],
          .sequences = sequences(row[queries], kLengths[row[length]]),
          .mask = rule.mask,
          .block_len = block.len,
          .block_order = block.order,
          .score_scale = rule.score_scale,
          .soft_cap = rule.soft_cap,
          .alibi = rule.alibi,
          .table_sinks = !block.ring            ? 0
                         : rule.mask.window > 0 ? rule.mask.sinks
                                                : 3,
          .table_first = block.ring ? 4 : 0,
          .forgotten = block.ring ? 50 : 0,
          .kv_dtype = kTypes[row[dtype]]};
}

// ---- long contexts

/// The rungs that a long problem is for. Under the emulator some combinations would take most of the time and
/// show nothing that others do not show.
enum class For {
  all,
  row_by_row,  // rungs that compute each query head by itself: more heads would only repeat the work
  grouped,     // rungs that compute the heads of a group together
  splitting,   // rungs that split keys over blocks
  tensor_decode,
  tiled_prefill  // rungs whose block takes several queries; other rungs compute a prefill query by query
};

/// "k05", "k07a"; not the file name of a kernel that --try checks.
bool is_on_ladder(const std::string& name) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return (name.size() == 3 || name.size() == 4) && name[0] == 'k' && is_digit(name[1]) && is_digit(name[2]);
}

bool is_for(For what, const std::string& rung) {
  const std::string name = rung.substr(0, rung.find('-'));  // of "k12-rounded" too
  if (!is_on_ladder(name)) return true;
  const bool tiled = name == "k04" || name.starts_with("k12");
  switch (what) {
    case For::row_by_row:
      return name < "k06" && !tiled;
    case For::grouped:
      return name >= "k06" && !tiled;
    case For::splitting:
      return name >= "k07" && !tiled;
    case For::tensor_decode:
      return name == "k11";
    case For::tiled_prefill:
      return tiled;
    default:
      return true;
  }
}

struct LongProblem {
  For what;
  AttendCase problem;
};

/// With one split a block walks through all tiles. Then pipelines reuse their stages many times, and sums get
/// long. A long decode is not for rungs with tiles of queries, of which it would fill one row: they have
/// prefills of as many keys.
std::vector<LongProblem> long_problems() {
  return {
      {For::all, {.n_q_heads = 4, .sequences = {{1, 300}}, .block_len = 16, .block_order = 7, .n_splits = 1}},
      {For::grouped, {.n_q_heads = 4, .sequences = {{1, 16384}}, .n_splits = 1}},
      {For::all, {.sequences = {{17, 1000}}, .block_len = 16, .block_order = 7, .n_splits = 1}},
      {For::tiled_prefill, {.sequences = {{17, 4100}}, .block_len = 64, .block_order = 7}},
      {For::grouped, {.n_q_heads = 16, .sequences = {{1, 1000}}, .n_splits = 1}},
      {For::splitting, {.n_q_heads = 4, .sequences = {{1, 16384}}, .block_len = 64, .block_order = 7}},
      {For::grouped,
       {.n_q_heads = 4, .sequences = {{1, 4100}}, .block_len = 16, .block_order = 7, .n_splits = 1}},
      {For::tensor_decode, {.n_q_heads = 16, .sequences = {{1, 16384}}, .n_splits = 1}},
      {For::all, {.sequences = {{17, 300}}}},
      {For::tiled_prefill, {.sequences = {{17, 16384}}}},
      {For::row_by_row, {.sequences = {{1, 4100}}, .block_len = 16, .block_order = 7}},
      {For::row_by_row, {.sequences = {{1, 16384}}}},
      {For::all,
       {.n_q_heads = 8,
        .n_kv_heads = 2,
        .sequences = {{1, 1000}, {3, 300}, {0, 9}, {1, 700}},
        .mask = {true, 400},
        .block_len = 31,
        .block_order = 7,
        .n_splits = 1}},
  };
}

}  // namespace

CheckSet::CheckSet(std::vector<std::string> rungs,
                   FunctionRef<bool(const std::string&, const gpu::AttendShape&)> takes)
    : rungs_(std::move(rungs)) {
  for (const std::string& name : rungs_)
    for (const KvDtypes type : kTypes)
      for (const int32_t dim : kHeadDims)
        for (const bool all : {false, true})
          takes_.push_back(
              takes(name, {.head_dim = dim, .kv_dtype = type, .sinks_apart = all, .finishes_scores = all}));
}

bool CheckSet::takes(int32_t r, int32_t t, int32_t d, bool all_rules) const {
  return takes_[2 * ((static_cast<size_t>(r) * std::size(kTypes) + t) * std::size(kHeadDims) + d) +
                (all_rules ? 1 : 0)];
}

bool CheckSet::can_be(const Row& row) const {
  const auto each = [](int32_t chosen, auto n, const auto& f) {
    for (int32_t i = chosen < 0 ? 0 : chosen; i < (chosen < 0 ? static_cast<int32_t>(n) : chosen + 1); ++i)
      if (f(i)) return true;
    return false;
  };
  return each(row[rung], rungs_.size(), [&](int32_t r) {
    return each(row[dtype], std::size(kTypes), [&](int32_t t) {
      return each(row[head_dim], std::size(kHeadDims), [&](int32_t d) {
        return each(row[blocks], std::size(kBlocks), [&](int32_t b) {
          return each(row[rules], std::size(kRules),
                      [&](int32_t x) { return takes(r, t, d, has_rules(b, x)); });
        });
      });
    });
  });
}

std::vector<std::string> CheckSet::takers(const Row& row) const {
  std::vector<std::string> names;
  for (size_t r = 0; r < rungs_.size(); ++r)
    if (takes(static_cast<int32_t>(r), row[dtype], row[head_dim], has_rules(row[blocks], row[rules])))
      names.push_back(rungs_[r]);
  return names;
}

std::vector<CheckCase> CheckSet::pairs() const {
  constexpr uint64_t kSeed = 1;
  std::vector<CheckCase> cases;
  for (const Row& row : pairwise(sizes(rungs_.size()), kSeed, [&](const Row& r) { return can_be(r); }))
    cases.push_back({problem(row), takers(row)});
  return cases;
}

std::vector<CheckCase> CheckSet::long_contexts() const {
  constexpr int32_t kHeadDim = 2;  // place of 64 in kHeadDims
  static_assert(kHeadDims[kHeadDim] == 64);
  std::vector<CheckCase> cases;
  Row row(kChoices);
  row[head_dim] = kHeadDim;
  for (row[dtype] = 0; row[dtype] < kLongTypes; ++row[dtype])
    for (const LongProblem& p : long_problems()) {
      CheckCase c{p.problem, {}};
      c.problem.head_dim = kHeadDims[kHeadDim];
      c.problem.kv_dtype = kTypes[row[dtype]];
      for (const std::string& name : takers(row))
        if (is_for(p.what, name)) c.rungs.push_back(name);
      if (!c.rungs.empty()) cases.push_back(std::move(c));
    }
  return cases;
}

std::vector<CheckCase> CheckSet::quick() const {
  std::vector<CheckCase> cases;
  const std::vector<CheckCase> pairs = this->pairs(), longs = long_contexts();
  for (size_t i = 0; i < std::max((pairs.size() + 1) / 2, longs.size()); ++i) {
    for (size_t j = 2 * i; j < std::min(2 * i + 2, pairs.size()); ++j) cases.push_back(pairs[j]);
    if (i < longs.size()) cases.push_back(longs[i]);
  }
  return cases;
}

int64_t CheckSet::full_size() const {
  int64_t n = 1;
  for (const int32_t size : sizes(1)) n *= size;
  return n;
}

CheckCase CheckSet::full(int64_t i) const {
  Row row;
  for (const int32_t size : sizes(1)) {
    row.push_back(static_cast<int32_t>(i % size));
    i /= size;
  }
  return {problem(row), takers(row)};
}

}  // namespace lastrow::driver
