// A Runner that uses the ladder and a Runtime; compiled once per target.
#include "gpu/driver/runner.h"

#include "gpu/backend/runtime.h"
#include "gpu/driver/check_cases.h"
#include "gpu/driver/timer.h"
#include "gpu/ladder/ladder.h"

namespace lastrow::driver {
namespace LASTROW_TARGET {
namespace {

namespace target = lastrow::LASTROW_TARGET;

gpu::DeviceOptions options() {
  gpu::DeviceOptions o;
  o.check = true;
  o.limit_seconds = 0;
  return o;
}

/// "k12", "k12-rounded" or the name of the own rung.
struct NamedRung {
  const target::Rung& rung;
  int32_t n_parts = 0;

  NamedRung(const std::string& name, const OwnRung& own)
      : rung(name == own.name ? *own.LASTROW_TARGET : target::rung(name.substr(0, name.find('-')))) {
    if (name != own.name && products_of(name) == judge::Products::rounded) n_parts = 1;
  }
  gpu::AttendTask task(gpu::AttendTask t) const {
    t.tuning.n_parts = n_parts;
    return t;
  }
};

class TargetRunner final : public Runner {
 public:
  explicit TargetRunner(const OwnRung& own) : own_(own) {
    LASTROW_CHECK(own.name.empty() || own.LASTROW_TARGET != nullptr, "{} was not compiled", own.name);
  }

  DeviceInfo device() const override { return target::device_info(*runtime_); }

  std::vector<RungInfo> rungs() const override {
    std::vector<RungInfo> all;
    for (const target::Rung* r : target::ladder())
      all.push_back({r->name + std::string(r->rounds ? kRounded : ""), r->idea});
    for (const char* name : {"k11", "k12"})
      all.push_back({std::string(name) + std::string(kRounded), "the same, q and p rounded"});
    return all;
  }
  std::string why_not(const std::string& name, const gpu::AttendShape& shape) const override {
    const NamedRung named(name, own_);
    return named.rung.supports(named.task({shape, runtime_->limits()}));
  }

  void load(const judge::JudgedCase& judged) override {
    const StepPlan& plan = judged.layout.plan;
    task_ = task_of(judged.c, judged.layout);
    task_.device = runtime_->limits();
    spec_ = judge::case_spec(judged.c);
    std::vector<int32_t> seq_of_token;
    for (int32_t i = 0; i < plan.n_seqs(); ++i) seq_of_token.insert(seq_of_token.end(), plan.q_len(i), i);

    const KvStorage& storage = *judged.storage;
    const ConstTensorView k = storage.rows(0, RowKind::k), v = storage.rows(0, RowKind::v),
                          k_scales = storage.scales(0, RowKind::k), v_scales = storage.scales(0, RowKind::v);
    put(q_, judged.q.view().raw(), judged.q.size_bytes());
    put(k_, k.raw(), k.size_bytes());
    put(v_, v.raw(), v.size_bytes());
    if (!k_scales.empty()) put(k_scales_, k_scales.raw(), k_scales.size_bytes());
    if (!v_scales.empty()) put(v_scales_, v_scales.raw(), v_scales.size_bytes());
    has_k_scales_ = !k_scales.empty(), has_v_scales_ = !v_scales.empty();
    put(q_start_, plan.q_start);
    put(kv_len_, plan.kv_len);
    put(tables_, plan.block_tables);
    put(table_first_, plan.table_first);
    put(positions_, plan.positions);
    put(key_positions_, plan.key_positions);
    put(slopes_, judge::case_slopes(judged.c));
    has_first_ = !plan.table_first.empty(), has_key_positions_ = !plan.key_positions.empty();
    put(seq_of_token_, seq_of_token);
  }

  judge::AttendResult attend(const std::string& name) override {
    const NamedRung named(name, own_);
    const target::Rung& rung = named.rung;
    const gpu::AttendTask task = named.task(task_);
    const gpu::AttendShape& shape = task.shape;
    const int64_t n_rows = int64_t{shape.n_tokens} * shape.n_q_heads, n_out = n_rows * shape.head_dim;
    // NaN everywhere, so that a result shows if it depends on what was there before.
    const auto nan = [](int64_t n) {
      return std::vector<float>(static_cast<size_t>(n), std::numeric_limits<float>::quiet_NaN());
    };
    std::vector<float> out = nan(n_out), lse = nan(n_rows);
    put(out_, out);
    put(lse_, lse);
    put(scratch_, nan(rung.scratch_elems(task)));
    rung.launch({.task = task,
                 .spec = spec_,
                 .q = at<float>(q_),
                 .k = k_.view().raw(),
                 .v = v_.view().raw(),
                 .k_scales = has_k_scales_ ? k_scales_.view().raw() : nullptr,
                 .v_scales = has_v_scales_ ? v_scales_.view().raw() : nullptr,
                 .q_start = at<int32_t>(q_start_),
                 .kv_len = at<int32_t>(kv_len_),
                 .seq_of_token = at<int32_t>(seq_of_token_),
                 .block_tables = at<int32_t>(tables_),
                 .out = at<float>(out_),
                 .lse = at<float>(lse_),
                 .scratch = at<float>(scratch_),
                 .slopes = at<float>(slopes_),
                 .table_first = has_first_ ? at<int32_t>(table_first_) : nullptr,
                 .positions = at<int32_t>(positions_),
                 .key_positions = has_key_positions_ ? at<int32_t>(key_positions_) : nullptr},
                runtime_->stream());
    runtime_->to_host(out.data(), out_.view().raw(), n_out * 4);
    runtime_->to_host(lse.data(), lse_.view().raw(), n_rows * 4);
    return {{out.begin(), out.end()}, {lse.begin(), lse.end()}};
  }

  std::string lost() override {
    try {
      const std::vector<float> sent{1};
      float back = 0;
      put(answer_, sent);
      runtime_->to_host(&back, answer_.view().raw(), sizeof back);
      return "";
    } catch (const std::exception& e) {
      return e.what();
    }
  }

  std::vector<simt::KernelTraffic> count(const std::string& name) override {
    return target::count_traffic(*runtime_, [&] { attend(name); });
  }
  Bandwidth bandwidth() override { return target::measure_bandwidth(*runtime_); }
  Timing time(const std::string& name, const gpu::AttendShape& shape, const std::string& other) override {
    const NamedRung named(name, own_);
    Timing t = target::time_rung(*runtime_, named.rung, named.task({shape, runtime_->limits()}),
                                 NamedRung(other, own_).rung);
    t.compared_with = other;
    return t;
  }

 private:
  /// Buffers are kept and only grow, because an allocation on a GPU waits for all work.
  void put(Tensor& buffer, const void* data, int64_t bytes) {
    if (buffer.size() < bytes || buffer.size() == 0)
      buffer = Tensor(runtime_->memory(), DType::u8, {std::max<int64_t>(bytes, 1)});
    runtime_->to_device(buffer.view().raw(), data, bytes);
  }
  template <typename T>
  void put(Tensor& buffer, const std::vector<T>& x) {
    put(buffer, x.data(), static_cast<int64_t>(x.size() * sizeof(T)));
  }
  template <typename T>
  static T* at(Tensor& buffer) {
    return static_cast<T*>(buffer.view().raw());
  }

  const OwnRung own_;
  std::unique_ptr<target::Runtime> runtime_ = target::make_runtime(options(), 1);  // each thread has its own
  gpu::AttendTask task_;
  AttendSpec spec_;
  bool has_k_scales_ = false, has_v_scales_ = false, has_first_ = false, has_key_positions_ = false;
  Tensor q_, k_, v_, k_scales_, v_scales_, q_start_, kv_len_, tables_, seq_of_token_, table_first_,
      positions_, key_positions_, slopes_, out_, lse_, scratch_, answer_;
};

}  // namespace

std::unique_ptr<Runner> make_runner(const OwnRung& own) { return std::make_unique<TargetRunner>(own); }

}  // namespace LASTROW_TARGET
}  // namespace lastrow::driver
