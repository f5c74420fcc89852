#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "io/atomic_file.h"
#include "io/safetensors.h"
#include "trace/trace_file.h"

namespace lastrow {
namespace {

// Collects rows of integers for one [n, width] tensor of the file.
class Columns {
 public:
  explicit Columns(int64_t width) : width_(width) {}
  void add(std::initializer_list<int64_t> row) { values_.insert(values_.end(), row); }
  template <typename T>
  void add_all(const std::vector<T>& values) {
    values_.insert(values_.end(), values.begin(), values.end());
  }
  int64_t n_rows() const { return static_cast<int64_t>(values_.size()) / width_; }
  ConstTensorView view() const {
    return width_ == 1 ? ConstTensorView(values_.data(), Shape{n_rows()})
                       : ConstTensorView(values_.data(), Shape{n_rows(), width_});
  }

 private:
  int64_t width_;
  std::vector<int64_t> values_;
};

// The writer holds views until the file is written. The other members own the memory of these views.
struct Contents {
  SafetensorsWriter writer;
  std::map<std::string, Columns> columns;
  std::vector<double> times_us, evicted_mass;

  Columns& columns_of(const std::string& name, int64_t width = 1) {
    return columns.try_emplace(name, width).first->second;
  }
};

/// Whether a plan has more than the arrays that every plan has.
bool has_policy(const StepPlan& plan) {
  return plan.window != 0 || plan.table_sinks != 0 || !plan.table_first.empty() ||
         !plan.key_positions.empty();
}

/// What the plans of a cache with a window, or of one that forgets rows, have beside the others.
void add_policy(Contents& contents, const std::string& place, const StepPlan& plan) {
  Columns &policy = contents.columns_of(place + ".policy", 5),
          &table_first = contents.columns_of(place + ".table_first"),
          &key_positions = contents.columns_of(place + ".key_positions");
  table_first.add_all(plan.table_first);
  key_positions.add_all(plan.key_positions);
  if (plan.uses_new_positions()) {
    contents.columns_of(place + ".new_positions").add_all(plan.new_positions);
    contents.columns_of(place + ".new_key_positions").add_all(plan.new_key_positions);
  }
  policy.add(
      {plan.window, plan.window_sinks, plan.table_sinks, table_first.n_rows(), key_positions.n_rows()});
}

bool any_policy(const Recorder& recorder, int32_t group) {
  return std::ranges::any_of(recorder.steps(), [&](int32_t step) {
    return has_policy(group == 1 ? recorder.plan(step).of_windowed.front() : recorder.plan(step));
  });
}

int schema_of(const Recorder& recorder) {
  const auto uses_new_positions = [&](int32_t step) { return recorder.plan(step).uses_new_positions(); };
  if (std::ranges::any_of(recorder.steps(), uses_new_positions)) return kNewPositionsSchema;
  return any_policy(recorder, 0) ? kPolicySchema : kTraceSchema;
}

/// The plans of the layers of one group (CacheSpec::group). `place`: the beginning of the names.
void add_steps(Contents& contents, const Recorder& recorder, int32_t group, const std::string& place) {
  Columns &index = contents.columns_of(place + ".index", 3), &ends = contents.columns_of(place + ".ends", 9);
  Columns &tokens = contents.columns_of(place + ".tokens"),
          &positions = contents.columns_of(place + ".positions"),
          &q_start = contents.columns_of(place + ".q_start"),
          &kv_len = contents.columns_of(place + ".kv_len"),
          &block_tables = contents.columns_of(place + ".block_tables"),
          &append_slots = contents.columns_of(place + ".append_slots"),
          &logit_rows = contents.columns_of(place + ".logit_rows"),
          &sequences = contents.columns_of(place + ".sequences"),
          &block_copies = contents.columns_of(place + ".block_copies", 2);
  const bool with_policy = any_policy(recorder, group);
  for (const int32_t step : recorder.steps()) {
    const StepPlan& plan = group == 1 ? recorder.plan(step).of_windowed.front() : recorder.plan(step);
    if (with_policy) add_policy(contents, place, plan);
    index.add({step, plan.blocks_per_seq, plan.block_len});
    tokens.add_all(plan.tokens);
    positions.add_all(plan.positions);
    q_start.add_all(plan.q_start);
    kv_len.add_all(plan.kv_len);
    block_tables.add_all(plan.block_tables);
    append_slots.add_all(plan.append_slots);
    logit_rows.add_all(plan.logit_rows);
    sequences.add_all(plan.sequences);
    for (const BlockCopy& copy : plan.block_copies) block_copies.add({copy.from_block, copy.to_block});
    ends.add({tokens.n_rows(), positions.n_rows(), q_start.n_rows(), kv_len.n_rows(), block_tables.n_rows(),
              append_slots.n_rows(), logit_rows.n_rows(), sequences.n_rows(), block_copies.n_rows()});
  }
}

/// The rows that the cache forgot, and when.
void add_evicted(Contents& contents, const Recorder& recorder) {
  for (const int32_t step : recorder.steps())
    for (const EvictedRow& row : recorder.evicted(step)) {
      contents.columns_of("evicted.rows", 4).add({step, row.sequence, row.position, row.slot});
      contents.evicted_mass.push_back(row.mass);
    }
  if (const auto n = static_cast<int64_t>(contents.evicted_mass.size()); n > 0)
    contents.writer.add("evicted.mass", ConstTensorView(contents.evicted_mass.data(), Shape{n}));
}

void add_events(Contents& contents, const Recorder& recorder) {
  std::vector<std::string> names;
  std::map<std::string, int64_t> name_ids;
  Columns &columns = contents.columns_of("events.columns", 9),
          &costs = contents.columns_of("events.costs", 5);
  const auto steps = recorder.steps();
  const bool has_scratch = std::ranges::any_of(steps, [&](int32_t step) {
    return std::ranges::any_of(recorder.events(step),
                               [](const Event& e) { return e.cost.scratch_bytes > 0; });
  });
  bool has_sinks = false;
  Columns &reads = contents.columns_of("events.reads", 5), &writes = contents.columns_of("events.writes", 5);
  const auto id_of = [&](const std::string& name) {
    const auto [id, is_new] = name_ids.try_emplace(name, static_cast<int64_t>(names.size()));
    if (is_new) names.push_back(name);
    return id->second;
  };
  const auto add_spans = [](Columns& to, const std::vector<RowSpan>& spans) {
    for (const RowSpan& s : spans) to.add({static_cast<int64_t>(s.space), s.id, s.first, s.count, s.version});
  };
  for (const int32_t step : steps)
    for (const Event& e : recorder.events(step)) {
      const int64_t name = id_of(e.name), kernel = e.kernel.empty() ? -1 : id_of(e.kernel);
      add_spans(reads, e.reads);
      add_spans(writes, e.writes);
      if (e.mask.sinks > 0 && !has_sinks) {
        has_sinks = true;  // the events so far have none
        for (int64_t i = 0; i < columns.n_rows(); ++i) contents.columns_of("events.sinks").add({0});
      }
      if (has_sinks) contents.columns_of("events.sinks").add({e.mask.sinks});
      columns.add({step, static_cast<int64_t>(e.op), e.layer, name, e.mask.causal, e.mask.window,
                   reads.n_rows(), writes.n_rows(), kernel});
      costs.add({e.cost.flop, e.cost.weight_bytes, e.cost.cache_bytes_read, e.cost.cache_bytes_written,
                 e.cost.activation_bytes});
      if (has_scratch) contents.columns_of("events.scratch").add({e.cost.scratch_bytes});
      contents.times_us.insert(contents.times_us.end(), {e.start_us, e.duration_us});
    }
  const auto n_events = static_cast<int64_t>(contents.times_us.size() / 2);
  contents.writer.add("events.times_us", ConstTensorView(contents.times_us.data(), Shape{n_events, 2}));
  contents.writer.metadata("lastrow.names", nlohmann::json(names).dump());
}

// Adds one tensor for each (layer, name), with all steps one after the other.
void add_entries(Contents& contents, const Recorder& recorder) {
  std::map<std::string, std::vector<const Recorder::Entry*>> groups;
  for (const int32_t step : recorder.steps())
    for (const Recorder::Entry& entry : recorder.entries(step))
      groups[fmt::format("{}/{}", entry.layer, entry.name)].push_back(&entry);
  for (const auto& [name, entries] : groups) {
    const Shape rows = entries.front()->tensor.shape();
    const bool by_rows = std::ranges::all_of(entries, [&](const Recorder::Entry* e) {
      return rows.rank() > 0 && e->tensor.shape().rank() > 0 &&
             e->tensor.shape().with_rows(0) == rows.with_rows(0);
    });
    Columns& index = contents.columns_of(name + ".index", 9);
    std::vector<ConstTensorView> parts;
    int64_t first = 0;
    for (const Recorder::Entry* e : entries) {
      const Shape& shape = e->tensor.shape();
      parts.push_back(by_rows ? e->tensor.view() : e->tensor.view().reshaped({shape.size()}));
      const auto dim = [&](int i) { return i < shape.rank() ? shape[i] : 0; };
      index.add(
          {e->step, e->sequence, first, parts.back().n_rows(), shape.rank(), dim(0), dim(1), dim(2), dim(3)});
      first += parts.back().n_rows();
    }
    contents.writer.add_rows(name, std::move(parts));
  }
}

void add_kv_rows(Contents& contents, const Recorder& recorder) {
  std::map<std::string, std::vector<ConstTensorView>> parts;
  for (const auto& [key, versions] : recorder.kv().rows()) {
    const std::string name = fmt::format("{}/kv.{}", key.layer, key.kind == RowKind::k ? "k" : "v");
    for (const KvLog::Version& version : versions) {
      const Shape& row = version.row.shape();
      parts[name].push_back(version.row.view().reshaped({1, row[0], row[1]}));
      contents.columns_of(name + ".index", 2).add({key.slot, version.step});
    }
  }
  for (auto& [name, rows] : parts) contents.writer.add_rows(name, std::move(rows));
}

std::string cache_json(const CacheSpec& spec) {
  nlohmann::json fields{{"n_layers", spec.n_layers},        {"n_kv_heads", spec.n_kv_heads},
                        {"head_dim", spec.head_dim},        {"max_seq_len", spec.max_seq_len},
                        {"block_len", spec.block_len},      {"n_blocks", spec.n_blocks},
                        {"dtype_k", name_of(spec.dtype_k)}, {"dtype_v", name_of(spec.dtype_v)}};
  if (spec.held_rows > 0) fields["held_rows"] = spec.held_rows;
  if (spec.table_len > 0) fields["table_len"] = spec.table_len;
  if (spec.n_open_blocks > 0) {
    fields["longest_step"] = spec.longest_step;
    fields["n_open_blocks"] = spec.n_open_blocks;
  }
  if (const WindowedLayers& windowed = spec.windowed; windowed.every > 0)
    fields["windowed"] = {{"every", windowed.every},
                          {"n_blocks", windowed.n_blocks},
                          {"held_rows", windowed.held_rows},
                          {"table_len", windowed.table_len}};
  return fields.dump();
}

}  // namespace

void write_trace(const std::filesystem::path& path, const Recorder& recorder, const TraceInfo& info) {
  AtomicFile file(path);
  write_trace(file, recorder, info);
  file.commit();
}

void write_trace(AtomicFile& file, const Recorder& recorder, const TraceInfo& info) {
  Contents contents;
  add_entries(contents, recorder);
  add_kv_rows(contents, recorder);
  const int32_t n_groups = recorder.cache_spec().n_groups();
  add_steps(contents, recorder, 0, kStepPlaces[0]);
  if (n_groups > 1) add_steps(contents, recorder, 1, kStepPlaces[1]);
  add_evicted(contents, recorder);
  add_events(contents, recorder);
  for (const auto& [name, columns] : contents.columns) contents.writer.add(name, columns.view());

  std::vector<std::string_view> ops;
  for (size_t op = 0; op < kOpCount; ++op) ops.push_back(traits(OpKind{static_cast<uint8_t>(op)}).name);
  const int schema = n_groups > 1 ? kGroupsSchema : schema_of(recorder);
  contents.writer.metadata("lastrow.trace", std::to_string(schema));
  contents.writer.metadata("lastrow.config", info.config_json);
  contents.writer.metadata("lastrow.tokens", nlohmann::json(info.tokens).dump());
  contents.writer.metadata("lastrow.ops", nlohmann::json(ops).dump());
  contents.writer.metadata("lastrow.cache", cache_json(recorder.cache_spec()));
  if (!info.cache.empty()) contents.writer.metadata("lastrow.cache_name", info.cache);
  if (!info.kv_dtype.empty()) contents.writer.metadata("lastrow.kv_dtype", info.kv_dtype);
  contents.writer.metadata(
      "lastrow.stored",
      nlohmann::json{{"not_finite", info.n_stored_not_finite}, {"at_limit", info.n_stored_at_limit}}.dump());
  contents.writer.metadata("lastrow.truncated", recorder.truncated() ? "true" : "false");
  contents.writer.write(file);
}

}  // namespace lastrow
