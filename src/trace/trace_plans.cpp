#include "trace/trace_plans.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "io/checked.h"

namespace lastrow {

Table integer_table(const SafetensorsFile& file, const TraceChecks& damage, const std::string& name,
                    int64_t width) {
  const ConstTensorView t = file.tensor(name);
  const Shape expected = width == 0 ? Shape{t.shape().rank() > 0 ? t.dim(0) : 0}
                                    : Shape{t.shape().rank() > 0 ? t.dim(0) : 0, width};
  if (t.dtype() != DType::i64 || t.shape() != expected)
    damage.fail("{} is {} {}, expected i64 {}", shown(name), name_of(t.dtype()), t.shape().to_string(),
                expected.to_string());
  return {t.data<int64_t>(), static_cast<size_t>(t.size())};
}

namespace {

/// Reads what the plans of a cache with a window have beside the others.
class PolicyReader {
 public:
  PolicyReader(const SafetensorsFile& file, const TraceChecks& damage, const std::string& place,
               bool has_new_positions)
      : damage_(damage),
        place_(place),
        rows_(integer_table(file, damage, place + ".policy", 5)),
        first_(integer_table(file, damage, place + ".table_first", 0)),
        positions_(integer_table(file, damage, place + ".key_positions", 0)) {
    if (!has_new_positions) return;
    new_.emplace(integer_table(file, damage, place + ".new_positions", 0));
    new_keys_.emplace(integer_table(file, damage, place + ".new_key_positions", 0));
  }

  void read(StepPlan& plan, size_t i, size_t n_steps) {
    const std::string name = place_ + ".policy";
    if (rows_.size() != 5 * n_steps) damage_.fail("{} does not fit {}.index", name, place_);
    const Table row = rows_.subspan(5 * i, 5);
    plan.window = damage_.narrow<int32_t>(row[0], name);
    plan.window_sinks = damage_.narrow<int32_t>(row[1], name);
    plan.table_sinks = damage_.narrow<int32_t>(row[2], name);
    const bool last = i + 1 == n_steps;
    take(plan.table_first, first_, place_ + ".table_first", first_begin_, row[3], last);
    int64_t new_keys_begin = positions_begin_;  // the same places in both arrays
    take(plan.key_positions, positions_, place_ + ".key_positions", positions_begin_, row[4], last);
    if (!new_) return;
    take(plan.new_positions, *new_, place_ + ".new_positions", new_begin_, new_begin_ + plan.n_tokens(),
         last);
    take(plan.new_key_positions, *new_keys_, place_ + ".new_key_positions", new_keys_begin, row[4], last);
  }

 private:
  void take(std::vector<int32_t>& to, Table values, const std::string& name, int64_t& begin, int64_t end,
            bool last) const {
    damage_.check_end(name, begin, end, static_cast<int64_t>(values.size()), last);
    for (; begin < end; ++begin)
      to.push_back(damage_.narrow<int32_t>(values[static_cast<size_t>(begin)], name));
  }

  const TraceChecks& damage_;
  std::string place_;
  Table rows_, first_, positions_;
  std::optional<Table> new_, new_keys_;  // if the cache uses new positions
  int64_t first_begin_ = 0, positions_begin_ = 0, new_begin_ = 0;
};

}  // namespace

std::map<int32_t, StepPlan> read_plans(const SafetensorsFile& file, const TraceChecks& damage,
                                       const std::string& place, PlanArrays arrays) {
  std::map<int32_t, StepPlan> plans;
  std::optional<PolicyReader> policy;
  if (arrays.policy) policy.emplace(file, damage, place, arrays.new_positions);
  const Table index = integer_table(file, damage, place + ".index", 3),
              ends = integer_table(file, damage, place + ".ends", 9);
  if (index.size() / 3 != ends.size() / 9) damage.fail("{}.ends does not fit {}.index", place, place);
  std::array<int64_t, 9> begin{};
  // Takes the values of step i out of one array of the plans: from the end of step i − 1 to its own end.
  const auto take = [&]<typename T>(std::vector<T>& to, const char* array, int which, size_t i) {
    const std::string name = place + array;
    const Table values = integer_table(file, damage, name, 0);
    const int64_t end = ends[9 * i + which];
    damage.check_end(name, begin[which], end, static_cast<int64_t>(values.size()), i + 1 == index.size() / 3);
    for (; begin[which] < end; ++begin[which]) to.push_back(damage.narrow<T>(values[begin[which]], name));
  };
  for (size_t i = 0; i < index.size() / 3; ++i) {
    StepPlan plan;
    take(plan.tokens, ".tokens", 0, i);
    take(plan.positions, ".positions", 1, i);
    take(plan.q_start, ".q_start", 2, i);
    take(plan.kv_len, ".kv_len", 3, i);
    take(plan.block_tables, ".block_tables", 4, i);
    take(plan.append_slots, ".append_slots", 5, i);
    take(plan.logit_rows, ".logit_rows", 6, i);
    take(plan.sequences, ".sequences", 7, i);
    const std::string copies_name = place + ".block_copies", index_name = place + ".index";
    const Table copies = integer_table(file, damage, copies_name, 2);
    damage.check_end(copies_name, begin[8], ends[9 * i + 8], static_cast<int64_t>(copies.size() / 2),
                     i + 1 == index.size() / 3);
    for (; begin[8] < ends[9 * i + 8]; ++begin[8])
      plan.block_copies.push_back({damage.narrow<int32_t>(copies[2 * begin[8]], copies_name),
                                   damage.narrow<int32_t>(copies[2 * begin[8] + 1], copies_name)});
    plan.blocks_per_seq = damage.narrow<int32_t>(index[3 * i + 1], index_name);
    plan.block_len = damage.narrow<int32_t>(index[3 * i + 2], index_name);
    if (policy) policy->read(plan, i, index.size() / 3);
    const auto number = damage.narrow<int32_t>(index[3 * i], index_name);
    if (number < 0 || (!plans.empty() && number <= plans.rbegin()->first))
      damage.fail("{} does not ascend at step {}", index_name, number);
    plans[number] = std::move(plan);
  }
  return plans;
}

}  // namespace lastrow
