#include <array>
#include <limits>
#include <map>
#include <optional>

#include "core/number.h"
#include "io/checked.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "trace/trace_checks.h"
#include "trace/trace_file.h"
#include "trace/trace_plans.h"

namespace lastrow {
namespace {

class TraceReader {
 public:
  explicit TraceReader(const SafetensorsFile& file) : file_(file), damage_(file.source()) {}

  TraceFile read() {
    read_metadata();
    read_steps();
    read_events();
    read_evicted();
    for (const std::string& name : file_.names()) read_tensor(name);
    return {make_recorder(), std::move(info_), metadata("lastrow.truncated") == "true"};
  }

 private:
  struct KvRow {
    int32_t layer;
    RowKind kind;
    int64_t slot;
    Tensor row;  // [1, n_kv_heads, head_dim]
  };
  struct Step {
    StepPlan plan;
    std::vector<Recorder::Entry> entries;
    std::vector<KvRow> kv_rows;
    std::vector<Event> events;
    std::vector<EvictedRow> evicted;
  };

  // Makes a recorder that holds all that was read.
  Recorder make_recorder() {
    Recorder recorder({.keep = RecordOptions::Keep::all, .max_bytes = std::numeric_limits<int64_t>::max()});
    for (auto& [number, step] : steps_) {
      recorder.set_step(number);
      recorder.open_step(step.plan, spec_);
      for (Recorder::Entry& e : step.entries)
        recorder.add_host(e.layer, e.name, e.sequence, std::move(e.tensor));
      for (KvRow& row : step.kv_rows)
        recorder.add_rows(row.layer, row.kind, 0, {&row.slot, 1}, std::move(row.row));
      for (Event& e : step.events) recorder.add_event(std::move(e));
      recorder.add_evicted(step.evicted);
    }
    return recorder;
  }

  std::string metadata(const char* key) const {
    const auto it = file_.metadata().find(key);
    if (it == file_.metadata().end()) damage_.fail("its metadata lacks {}", key);
    return it->second;
  }
  nlohmann::json json(const char* key) const {
    return parse_json(metadata(key), fmt::format("{}: {}", file_.source(), key));
  }

  void read_metadata() {
    if (!file_.metadata().contains("lastrow.trace"))
      throw FileError("{}: not a trace: its metadata lacks lastrow.trace", file_.source());
    const std::string schema = metadata("lastrow.trace");
    const bool has_groups = schema == std::to_string(kGroupsSchema);
    has_new_positions_ = schema == std::to_string(kNewPositionsSchema);
    has_policy_ = has_new_positions_ || schema == std::to_string(kPolicySchema);
    if (!has_groups && !has_policy_ && schema != std::to_string(kTraceSchema))
      throw FileError("{}: a trace of schema {}, and this program reads schemas {} to {}: record it again",
                      file_.source(), shown(schema), kTraceSchema, kNewPositionsSchema);
    info_.config_json = metadata("lastrow.config");
    for (const nlohmann::json& token : damage_.array(json("lastrow.tokens"), "lastrow.tokens"))
      info_.tokens.push_back(damage_.integer<int32_t>(token, "lastrow.tokens"));
    for (const nlohmann::json& name : damage_.array(json("lastrow.names"), "lastrow.names"))
      names_.push_back(name.is_string() ? name.get<std::string>() : std::string());
    for (const nlohmann::json& name : damage_.array(json("lastrow.ops"), "lastrow.ops"))
      ops_.push_back(kind_named(name));
    spec_ = damage_.cache_spec(json("lastrow.cache"));
    if (has_groups != (spec_.n_groups() > 1))
      damage_.fail("lastrow.cache does not fit schema {}", shown(schema));
    const auto text = [&](const char* key) {
      const auto it = file_.metadata().find(key);
      return it == file_.metadata().end() ? std::string() : it->second;
    };
    info_.cache = text("lastrow.cache_name");
    info_.kv_dtype = text("lastrow.kv_dtype");
    if (!file_.metadata().contains("lastrow.stored")) return;  // older traces do not have it
    const nlohmann::json stored = json("lastrow.stored");
    const auto count = [&](const char* key) {
      if (!stored.is_object() || !stored.contains(key)) damage_.fail("lastrow.stored lacks {}", key);
      return damage_.integer<int64_t>(stored.at(key), "lastrow.stored");
    };
    info_.n_stored_not_finite = count("not_finite");
    info_.n_stored_at_limit = count("at_limit");
  }

  // A file has the names of its operations, so that a program with more operations can read older files.
  // Returns none for a name that this program does not know. This is an error only if an event uses the name.
  static std::optional<OpKind> kind_named(const nlohmann::json& name) {
    for (size_t i = 0; i < kOpCount; ++i)
      if (const OpKind op{static_cast<uint8_t>(i)}; name.is_string() && name == traits(op).name) return op;
    return {};
  }

  Table table(const std::string& name, int64_t width) const {
    return integer_table(file_, damage_, name, width);
  }

  Step& step(int64_t number, std::string_view who) {
    const auto it = number < 0 || number > std::numeric_limits<int32_t>::max()
                        ? steps_.end()
                        : steps_.find(static_cast<int32_t>(number));
    if (it == steps_.end()) damage_.fail("{} names step {}, which steps.index lacks", shown(who), number);
    return it->second;
  }

  std::map<int32_t, StepPlan> plans_of(int32_t group) const {
    return read_plans(file_, damage_, kStepPlaces[group],
                      {.policy = has_policy_ || group == 1, .new_positions = has_new_positions_});
  }

  void read_steps() {
    for (auto& [number, plan] : plans_of(0)) {
      damage_.check_plan(plan, spec_.group(0), number);
      steps_[number].plan = std::move(plan);
    }
    if (spec_.n_groups() == 1) return;
    std::map<int32_t, StepPlan> windowed = plans_of(1);
    if (windowed.size() != steps_.size()) damage_.fail("windowed.index does not fit steps.index");
    for (auto& [number, plan] : windowed) {
      StepPlan& whole = step(number, "windowed.index").plan;
      damage_.check_plan(plan, spec_.group(1), number);
      if (plan.tokens != whole.tokens || plan.q_start != whole.q_start)
        damage_.fail("step {}: the windowed layers have other tokens", number);
      whole.windowed_every = spec_.windowed.every;
      whole.of_windowed.push_back(std::move(plan));
    }
  }

  void read_evicted() {
    if (!file_.has("evicted.rows")) return;
    const Table rows = table("evicted.rows", 4);
    const ConstTensorView mass = file_.tensor("evicted.mass");
    const size_t n = rows.size() / 4;
    const int64_t n_slots = spec_.n_slots(0);  // if there are two groups, layer 0 is in the one that forgets
    if (mass.dtype() != DType::f64 || mass.shape() != Shape{static_cast<int64_t>(n)})
      damage_.fail("evicted.mass does not fit evicted.rows");
    int64_t last_step = -1;
    for (size_t i = 0; i < n; ++i) {
      const Table row = rows.subspan(4 * i, 4);
      if (row[0] < last_step) damage_.fail("evicted.rows goes back to step {}", row[0]);
      Step& target = step(last_step = row[0], "evicted.rows");
      const EvictedRow evicted{damage_.narrow<int32_t>(row[1], "evicted.rows"),
                               damage_.narrow<int32_t>(row[2], "evicted.rows"), row[3],
                               mass.data<double>()[i]};
      if (evicted.sequence < 0 || evicted.position < 0 || evicted.position >= spec_.max_seq_len ||
          evicted.slot < 0 || evicted.slot >= n_slots)
        damage_.fail("evicted.rows: position {} and slot {} of sequence {}", row[2], row[3], row[1]);
      target.evicted.push_back(evicted);
    }
  }

  void read_events() {
    const Table columns = table("events.columns", 9), costs = table("events.costs", 5);
    const Table reads = table("events.reads", 5), writes = table("events.writes", 5);
    const ConstTensorView times = file_.tensor("events.times_us");
    const size_t n_events = columns.size() / 9;
    if (costs.size() / 5 != n_events || times.dtype() != DType::f64 ||
        times.shape() != Shape{static_cast<int64_t>(n_events), 2})
      damage_.fail("events.costs or events.times_us does not fit events.columns");
    const Table sinks = file_.has("events.sinks") ? table("events.sinks", 0) : Table();
    if (!sinks.empty() && sinks.size() != n_events) damage_.fail("events.sinks does not fit events.columns");
    const Table scratch = file_.has("events.scratch") ? table("events.scratch", 0) : Table();
    if (!scratch.empty() && scratch.size() != n_events)
      damage_.fail("events.scratch does not fit events.columns");
    int64_t read = 0, write = 0, last_step = -1;
    std::array<int64_t, 6> total{};  // flop and bytes of the events so far
    for (size_t i = 0; i < n_events; ++i) {
      const Table c = columns.subspan(9 * i, 9), cost = costs.subspan(5 * i, 5);
      if (c[0] < last_step) damage_.fail("events.columns goes back to step {}", c[0]);
      Step& target = step(last_step = c[0], "events.columns");
      check_columns(c, i);
      const std::array<int64_t, 6> counts{cost[0], cost[1], cost[2],
                                          cost[3], cost[4], scratch.empty() ? 0 : scratch[i]};
      add_cost(total, counts, i);
      Event e;
      e.step = static_cast<int32_t>(c[0]);
      e.op = *ops_[c[1]];
      e.layer = static_cast<int32_t>(c[2]);
      e.name = names_[c[3]];
      if (c[8] >= 0) e.kernel = names_[c[8]];
      e.mask = {c[4] != 0, damage_.narrow<int32_t>(c[5], "events.columns")};
      if (!sinks.empty()) e.mask.sinks = damage_.narrow<int32_t>(sinks[i], "events.sinks");
      if (e.mask.sinks < 0) damage_.fail("event {} has {} sinks", i, e.mask.sinks);
      e.cost = {counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]};
      e.start_us = times.data<double>()[2 * i];
      e.duration_us = times.data<double>()[2 * i + 1];
      read_spans(e.reads, reads, "events.reads", read, c[6], i + 1 == n_events);
      read_spans(e.writes, writes, "events.writes", write, c[7], i + 1 == n_events);
      damage_.check_event(e, target.plan.of_layer(e.layer), spec_, i);
      target.events.push_back(std::move(e));
    }
  }

  // One row of events.columns: every index in it exists.
  void check_columns(Table c, size_t event) const {
    const auto n_ops = static_cast<int64_t>(ops_.size()), n_names = static_cast<int64_t>(names_.size());
    const int64_t op = c[1], layer = c[2], name = c[3], window = c[5], kernel = c[8];
    if (op < 0 || op >= n_ops || !ops_[op] || layer < -1 || layer >= spec_.n_layers || name < 0 ||
        name >= n_names || window < 0 || kernel < -1 || kernel >= n_names)
      damage_.fail("event {} has an operation, layer, name, window or kernel that does not exist", event);
  }

  // Adds the cost of an event. The totals have a bound, so that sums of costs cannot overflow.
  void add_cost(std::array<int64_t, 6>& total, const std::array<int64_t, 6>& cost, size_t event) const {
    for (size_t kind = 0; kind < total.size(); ++kind) {
      if (cost[kind] < 0 || cost[kind] > (int64_t{1} << 62) - total[kind])
        damage_.fail("event {} has cost {}: it must be from 0 up, and all costs together below 2^62", event,
                     cost[kind]);
      total[kind] += cost[kind];
    }
  }

  void read_spans(std::vector<RowSpan>& to, Table spans, const char* name, int64_t& begin, int64_t end,
                  bool last) {
    damage_.check_end(name, begin, end, static_cast<int64_t>(spans.size() / 5), last);
    for (; begin < end; ++begin) {
      const Table s = spans.subspan(static_cast<size_t>(5 * begin), 5);
      if (s[0] < 0 || s[0] > static_cast<int64_t>(kLastRowSpace)) damage_.fail("{}: space {}", name, s[0]);
      to.push_back({static_cast<RowSpace>(s[0]), damage_.narrow<int32_t>(s[1], name), s[2], s[3], s[4]});
    }
  }

  // Reads "LAYER/NAME": a recorded tensor, or the K or V rows of a layer. All other tensors are read by now.
  void read_tensor(const std::string& name) {
    const size_t slash = name.find('/');
    if (slash == std::string::npos || name.ends_with(".index")) return;
    const int32_t layer = whole_number<int32_t>(std::string_view(name).substr(0, slash)).value_or(-2);
    if (layer < -1 || layer >= spec_.n_layers)
      damage_.fail("tensor {} does not start with a layer", shown(name));
    const std::string what = name.substr(slash + 1);
    if (what == "kv.k" || what == "kv.v")
      read_kv_rows(name, layer, what == "kv.k" ? RowKind::k : RowKind::v);
    else
      read_entries(name, layer, what);
  }

  void read_kv_rows(const std::string& name, int32_t layer, RowKind kind) {
    const ConstTensorView rows = file_.tensor(name);
    const Table index = table(name + ".index", 2);
    const auto n_rows = static_cast<int64_t>(index.size() / 2);
    if (layer < 0 || (rows.dtype() != DType::f32 && rows.dtype() != DType::f64) ||
        rows.shape() != Shape{n_rows, spec_.n_kv_heads, spec_.head_dim})
      damage_.fail("{} is {} {}, expected f32 {}", shown(name), name_of(rows.dtype()),
                   rows.shape().to_string(), Shape{n_rows, spec_.n_kv_heads, spec_.head_dim}.to_string());
    for (int64_t i = 0; i < n_rows; ++i) {
      const int64_t slot = index[2 * i];
      if (slot < 0 || slot >= spec_.n_slots(layer))
        damage_.fail("{}: slot {} of a cache of {} blocks of {}", shown(name), slot, spec_.n_blocks_of(layer),
                     spec_.block_len);
      Tensor row = Tensor::host(rows.dtype(), rows.shape().with_rows(1));
      convert(rows.rows(i, 1), row.view());
      step(index[2 * i + 1], name).kv_rows.push_back({layer, kind, slot, std::move(row)});
    }
  }

  void read_entries(const std::string& name, int32_t layer, const std::string& what) {
    const ConstTensorView all = file_.tensor(name);
    if (all.shape().rank() == 0) damage_.fail("tensor {} has no dimension", shown(name));
    const Table index = table(name + ".index", 9);
    int64_t next = 0;
    for (size_t i = 0; i < index.size() / 9; ++i) {
      const Table row = index.subspan(9 * i, 9);
      Step& target = step(row[0], name);
      const int64_t first = row[2], count = row[3], rank = row[4];
      const auto sequence = damage_.narrow<int32_t>(row[1], name);
      if (first != next || count < 0 || count > all.n_rows() - first || rank < 1 || rank > Shape::kMaxRank)
        damage_.fail("{}.index: entry {} is not where the one before it ends", shown(name), i);
      next += count;
      const std::vector<int64_t> dims(row.begin() + 5, row.begin() + 5 + rank);
      const Shape shape =
          checked_shape(dims, all.dtype(), fmt::format("{}: {}.index", file_.source(), shown(name)));
      const ConstTensorView part = all.rows(first, count);
      if (shape.size() != part.size())
        damage_.fail("{}.index: entry {} of shape {} has {} elements", shown(name), i, shape.to_string(),
                     part.size());
      damage_.check_entry(what, all.dtype(), shape, sequence, target.plan.of_layer(layer));
      Tensor tensor = Tensor::host(all.dtype(), shape);
      convert(part, tensor.view().reshaped(part.shape()));
      target.entries.push_back({static_cast<int32_t>(row[0]), layer, sequence, what, std::move(tensor)});
    }
    if (next != all.n_rows()) damage_.fail("{}.index names {} of {} rows", shown(name), next, all.n_rows());
  }

  const SafetensorsFile& file_;
  TraceChecks damage_;
  TraceInfo info_;
  CacheSpec spec_;
  std::vector<std::string> names_;
  std::vector<std::optional<OpKind>> ops_;
  std::map<int32_t, Step> steps_;
  bool has_policy_ = false, has_new_positions_ = false;
};

}  // namespace

TraceFile TraceFile::open(const std::filesystem::path& path) {
  return TraceReader(SafetensorsFile::open(path)).read();
}

}  // namespace lastrow
