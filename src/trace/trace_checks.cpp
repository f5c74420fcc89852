#include "trace/trace_checks.h"

#include "cache/slots.h"
#include "ops/site.h"
#include "trace/recorder.h"

namespace lastrow {
namespace {

constexpr int32_t kMaxLayers = 1 << 12;
constexpr int32_t kMaxIndices = 1 << 24;

// The smallest numbers of reads and writes with which the row rules (ops/row_rule.h) work.
struct OperandCounts {
  size_t reads, writes;
};
OperandCounts least_operands(const OpTraits& op) {
  const auto n_sources = static_cast<size_t>(op.n_sources);
  switch (op.rule) {
    case RowRule::row_by_row:
    case RowRule::gathered:
      return {n_sources, 1};
    case RowRule::attended:
      return {n_sources, 2};
    case RowRule::weighed:
      return {n_sources, 1};
    case RowRule::appended:
    case RowRule::rotated:
    case RowRule::sealed:
    case RowRule::copied:
    case RowRule::none:
      return {n_sources, 0};
  }
  return {n_sources, 0};
}

}  // namespace

CacheSpec TraceChecks::cache_spec(const nlohmann::json& json) const {
  if (!json.is_object()) fail("lastrow.cache is not an object");
  const auto field = [&](const char* name) {
    if (!json.contains(name)) fail("lastrow.cache lacks {}", name);
    return integer<int32_t>(json[name], "lastrow.cache");
  };
  CacheSpec spec;
  spec.n_layers = field("n_layers");
  spec.n_kv_heads = field("n_kv_heads");
  spec.head_dim = field("head_dim");
  spec.max_seq_len = field("max_seq_len");
  spec.block_len = field("block_len");
  spec.n_blocks = field("n_blocks");
  const auto optional_field = [&](const char* name) { return json.contains(name) ? field(name) : 0; };
  spec.held_rows = optional_field("held_rows");
  spec.table_len = optional_field("table_len");
  spec.longest_step = optional_field("longest_step");
  spec.n_open_blocks = optional_field("n_open_blocks");
  if (json.contains("windowed")) {
    const nlohmann::json& windowed = json["windowed"];
    const auto number = [&](const char* name) {
      if (!windowed.is_object() || !windowed.contains(name)) fail("lastrow.cache lacks windowed.{}", name);
      const auto n = integer<int32_t>(windowed[name], "lastrow.cache");
      if (n < 1 || n > kMaxIndices) fail("lastrow.cache: windowed.{} is {}", name, n);
      return n;
    };
    spec.windowed = {number("every"), number("n_blocks"), number("held_rows"), number("table_len")};
  }
  const auto dtype = [&](const char* name) {
    const char* const key = json.contains("dtype") ? "dtype" : name;  // files that have one type for both
    if (!json.contains(key) || !json[key].is_string()) fail("lastrow.cache lacks {}", key);
    return dtype_from_name(json[key].get<std::string>());
  };
  try {
    spec.dtype_k = dtype("dtype_k");
    spec.dtype_v = dtype("dtype_v");
    validate(spec);
  } catch (const Error& e) {
    fail("lastrow.cache: {}", e.what());
  }
  if (spec.held_rows < 0 || spec.table_len < 0 || spec.held_rows > kMaxIndices ||
      spec.table_len > kMaxIndices)
    fail("lastrow.cache claims to hold {} rows in tables of {} blocks", spec.held_rows, spec.table_len);
  if (spec.n_layers > kMaxLayers || spec.max_seq_len > kMaxIndices || spec.block_len > kMaxIndices)
    fail("lastrow.cache claims {} layers of {} indices", spec.n_layers, spec.max_seq_len);
  return spec;
}

void TraceChecks::check_end(std::string_view name, int64_t begin, int64_t end, int64_t n, bool last) const {
  if (end < begin || end > n || (last && end != n))
    fail("rows {} to {} of {}, which has {}", begin, end, name, n);
}

void TraceChecks::check_plan(const StepPlan& plan, const CacheSpec& spec, int32_t step) const {
  const auto require = [&](bool ok, std::string_view what) {
    if (!ok) fail("step {}: {} do not fit each other or the cache", step, what);
  };
  const auto n_tokens = plan.tokens.size(), n_seqs = plan.kv_len.size();
  require(plan.positions.size() == n_tokens && plan.append_slots.size() == n_tokens, "tokens and positions");
  require(
      n_tokens <= size_t{kMaxIndices} && plan.q_start.size() == n_seqs + 1 && plan.sequences.size() == n_seqs,
      "sequences");
  require(plan.q_start.front() == 0 && plan.q_start.back() == static_cast<int64_t>(n_tokens), "q_start");
  require(plan.block_len == spec.block_len && plan.blocks_per_seq >= 0 &&
              plan.block_tables.size() == n_seqs * static_cast<size_t>(plan.blocks_per_seq),
          "block tables");
  const auto is_size = [](int32_t n) { return n >= 0 && n <= kMaxIndices; };
  require(is_size(plan.window) && is_size(plan.window_sinks) && is_size(plan.table_sinks),
          "windows and sinks");
  require(plan.table_first.empty() || plan.table_first.size() == n_seqs, "table_first");
  const int64_t n_keys = int64_t{plan.blocks_per_seq} * plan.block_len;
  require(plan.key_positions.empty() ||
              (n_keys <= kMaxIndices && std::cmp_equal(plan.key_positions.size(), n_seqs * n_keys)),
          "key_positions");
  require(plan.new_positions.empty() == plan.new_key_positions.empty() &&
              (plan.new_positions.empty() || (plan.new_positions.size() == n_tokens &&
                                              plan.new_key_positions.size() == plan.key_positions.size())),
          "new_positions");
  const int64_t n_slots = int64_t{spec.n_blocks} * spec.block_len;
  for (size_t i = 0; i < n_seqs; ++i) {
    require(plan.q_start[i] <= plan.q_start[i + 1], "q_start");
    require(plan.kv_len[i] >= 0 && plan.kv_len[i] <= int64_t{plan.blocks_per_seq} * plan.block_len &&
                plan.kv_len[i] <= kMaxIndices,
            "kv_len");
    const BlockTable table = block_table(plan, static_cast<int32_t>(i));
    require(table.first >= 0 && table.first < table.block_len, "table_first");
    const int32_t n_used = entries_used(table, plan.kv_len[i]);
    require(n_used <= plan.blocks_per_seq, "block tables");
    for (int32_t b = 0; b < n_used; ++b)
      require(table.blocks[b] >= 0 && table.blocks[b] < spec.n_blocks, "block tables");
  }
  for (const int64_t slot : plan.append_slots) require(slot >= 0 && slot < n_slots, "append_slots");
  for (size_t i = 0; i < plan.logit_rows.size(); ++i)
    require(plan.logit_rows[i] >= 0 && plan.logit_rows[i] < plan.n_tokens() &&
                (i == 0 || plan.logit_rows[i] > plan.logit_rows[i - 1]),
            "logit_rows");
  for (const BlockCopy& copy : plan.block_copies)
    require(copy.from_block >= 0 && copy.from_block < spec.n_blocks && copy.to_block >= 0 &&
                copy.to_block < spec.n_blocks,
            "block copies");
}

void TraceChecks::check_event(const Event& event, const StepPlan& plan, const CacheSpec& spec,
                              size_t i) const {
  const OpTraits& op = traits(event.op);
  const OperandCounts least = least_operands(op);
  if (event.reads.size() < least.reads || event.writes.size() < least.writes)
    fail("event {} ({}) lacks operands", i, op.name);
  const auto check = [&](const RowSpan& s, int64_t max_rows) {
    const bool stored = s.space == RowSpace::k || s.space == RowSpace::v || s.space == RowSpace::rotated;
    const int64_t limit = stored ? spec.n_slots(s.id) : max_rows;
    if (s.id < 0 || (stored && s.id >= spec.n_layers) || s.first < 0 || s.count < 0 || s.first > limit ||
        s.count > limit - s.first)
      fail("event {} ({}) has rows {} + {} where there are {}", i, op.name, s.first, s.count, limit);
  };
  // Activations have one row for each token of a step. Parameters may have more rows.
  for (const RowSpan& s : event.reads) check(s, std::numeric_limits<int32_t>::max());
  const int64_t n_rows = op.rule == RowRule::gathered  ? plan.n_logit_rows()
                         : op.rule == RowRule::weighed ? plan.n_seqs()
                                                       : plan.n_tokens();
  for (const RowSpan& s : event.writes) {
    check(s, std::numeric_limits<int32_t>::max());
    const bool few = s.space == RowSpace::tensor || op.rule == RowRule::appended;
    if (s.space == RowSpace::token || s.count > (few ? n_rows : kMaxIndices))
      fail("event {} ({}) writes {} rows in a step of {}", i, op.name, s.count, n_rows);
  }
}

void TraceChecks::check_entry(const std::string& name, DType dtype, const Shape& shape, int32_t sequence,
                              const StepPlan& plan) const {
  const auto require = [&](bool ok) {
    if (!ok)
      fail("{} {} of sequence {} in a step of {} tokens", name, shape.to_string(), sequence, plan.n_tokens());
  };
  require(sequence >= 0 && (sequence == 0 || sequence < plan.n_seqs()));
  const bool of_sequence =
      name == recorded::kScores || name == recorded::kProbs || name == recorded::kK || name == recorded::kV;
  const bool by_token = name == recorded::kQ || name == recorded::kLse || name == site::kAttend ||
                        site::is_embedding(name) || name == site::kAddFfn;
  if (of_sequence || by_token || name == site::kLmHead) require(dtype == DType::f32 || dtype == DType::f64);
  if (by_token) require(shape[0] == plan.n_tokens());
  if (name == recorded::kQ || name == site::kAttend) require(shape.rank() == 3);
  if (name == recorded::kLse || site::is_embedding(name) || name == site::kAddFfn) require(shape.rank() == 2);
  if (name == site::kLmHead) require(shape.rank() == 2 && shape[0] == plan.n_logit_rows());
  if (!of_sequence) return;
  require(shape.rank() == 3 && sequence < plan.n_seqs());
  if (name == recorded::kK || name == recorded::kV)
    require(shape[0] == plan.kv_len[sequence]);
  else
    require(shape[1] == plan.q_len(sequence) && shape[2] == plan.kv_len[sequence]);
}

}  // namespace lastrow
