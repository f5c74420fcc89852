#include "cli/attention_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/memory_limit.h"
#include "core/number.h"
#include "cost/memory.h"
#include "cost/op_cost.h"
#include "io/checked.h"

namespace lastrow::cli {
namespace {

/// Limits far above any model's, so that sizes fit int32 and the flop of a row fit int64.
constexpr int64_t kMaxHeads = 4096, kMaxHeadDim = 4096, kMaxLength = int64_t{1} << 30;

ConstTensorView find(const SafetensorsFile& file, const char* name, const char* shape) {
  const ConstTensorView tensor = file.tensor(name);
  if (tensor.dtype() != DType::f32)
    throw FileError("{}: {} is {}; convert it to f32", file.source(), name, name_of(tensor.dtype()));
  if (tensor.shape().rank() != 3)
    throw FileError("{}: {} is {}; reshape it to {}", file.source(), name, tensor.shape().to_string(), shape);
  return tensor;
}

void require_within(const SafetensorsFile& file, const char* what, int64_t value, int64_t least,
                    int64_t most) {
  if (value < least || value > most)
    throw FileError("{}: {} is {}; give {} to {}", file.source(), what, value, least, most);
}

void check_shapes(const SafetensorsFile& file, ConstTensorView q, ConstTensorView k, ConstTensorView v) {
  require_within(file, "q_len", q.dim(0), 0, kMaxLength);
  require_within(file, "kv_len", k.dim(0), 0, kMaxLength);
  require_within(file, "n_q_heads", q.dim(1), 1, kMaxHeads);
  require_within(file, "n_kv_heads", k.dim(1), 1, kMaxHeads);
  require_within(file, "head_dim", q.dim(2), 1, kMaxHeadDim);
  if (k.dim(2) != q.dim(2))
    throw FileError("{}: q has head_dim {}, k has {}; make them equal", file.source(), q.dim(2), k.dim(2));
  if (!(v.shape() == k.shape()))
    throw FileError("{}: k is {}, v is {}; make their shapes equal", file.source(), k.shape().to_string(),
                    v.shape().to_string());
  if (q.dim(1) % k.dim(1) != 0)
    throw FileError("{}: {} query heads cannot share {} K/V heads; make n_q_heads a multiple of n_kv_heads",
                    file.source(), q.dim(1), k.dim(1));
}

const std::string* metadata(const SafetensorsFile& file, const char* key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? nullptr : &found->second;
}

AttendSpec spec_of(const SafetensorsFile& file, int64_t head_dim) {
  AttendSpec spec;
  spec.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  if (const std::string* causal = metadata(file, "causal")) {
    if (*causal != "true" && *causal != "false")
      throw FileError("{}: metadata causal is {}; write \"true\" or \"false\"", file.source(),
                      shown(*causal));
    spec.mask.causal = *causal == "true";
  }
  if (const std::string* scale = metadata(file, "scale")) {
    const auto number = real_number(*scale);
    if (!number)
      throw FileError("{}: metadata scale is {}; write a finite number such as \"0.125\"", file.source(),
                      shown(*scale));
    spec.scale = *number;
  }
  return spec;
}

/// A plan by hand: one sequence of kv_len stored rows, whose last q_len tokens ask. One block holds the rows.
StepPlan plan_of(int32_t q_len, int32_t kv_len, int32_t block_len) {
  StepPlan plan;
  plan.tokens.assign(static_cast<size_t>(q_len), 0);
  for (int32_t t = 0; t < q_len; ++t) plan.positions.push_back(std::max(0, kv_len - q_len + t));
  plan.append_slots.assign(static_cast<size_t>(q_len),
                           0);  // nothing is appended: write_rows has put the rows
  plan.q_start = {0, q_len};
  plan.kv_len = {kv_len};
  plan.block_tables = {0};
  plan.sequences = {0};
  plan.blocks_per_seq = 1;
  plan.block_len = block_len;
  return plan;
}

void store(Backend& backend, KvStorage& storage, const AttentionInput& input) {
  std::vector<int64_t> slots(static_cast<size_t>(input.k.dim(0)));
  for (size_t s = 0; s < slots.size(); ++s) slots[s] = static_cast<int64_t>(s);
  backend.write_rows(storage, 0, RowKind::k, slots, input.k);
  backend.write_rows(storage, 0, RowKind::v, slots, input.v);
}

/// Of both, in f32; the largest number there is where they are too many to count.
int64_t scores_and_probs_bytes(int64_t n_q_heads, int64_t q_len, int64_t kv_len) {
  int64_t cells = 0, bytes = 0;
  const bool overflows = __builtin_mul_overflow(n_q_heads * q_len, kv_len, &cells) ||
                         __builtin_mul_overflow(cells, int64_t{2 * sizeof(float)}, &bytes);
  return overflows ? std::numeric_limits<int64_t>::max() : bytes;
}

/// Queries that make about a second of work, so that progress can be shown between them.
int64_t rows_at_once(const AttentionInput& input) {
  constexpr int64_t kFlop = 2'000'000'000;
  const int64_t flop_per_row = 4 * input.q.row_size() * std::max<int64_t>(input.k.dim(0), 1);
  return std::max<int64_t>(kFlop / flop_per_row, 1);
}

/// What attend holds in the host's memory beside its input.
int64_t working_bytes(const AttentionInput& input, const BackendInfo& backend, int64_t probe_bytes) {
  const auto elem_bytes = static_cast<int64_t>(size_of(backend.activation_dtype));
  const int64_t n_rows = input.q.dim(0) * input.q.dim(1), n_kv = input.k.size() + input.v.size();
  const int64_t results = (input.q.size() + n_rows) * 4 + probe_bytes;
  if (!backend.in_host_memory) return results;
  const int64_t one_head = probe_bytes / 4 / input.q.dim(1) * elem_bytes;  // of 4 bytes a cell; both
  return results + (n_kv + 2 * input.q.size() + n_rows) * elem_bytes + one_head;
}

}  // namespace

AttentionInput read_attention_input(const std::filesystem::path& path) {
  std::error_code unknown;  // what cannot be looked up is left to open() to say
  if (const auto bytes = std::filesystem::file_size(path, unknown); !unknown)
    require_memory(static_cast<int64_t>(bytes), path.string(), "use fewer queries or keys");
  SafetensorsFile file = SafetensorsFile::open(path);
  const ConstTensorView q = find(file, "q", "[q_len, n_q_heads, head_dim]");
  const ConstTensorView k = find(file, "k", "[kv_len, n_kv_heads, head_dim]");
  const ConstTensorView v = find(file, "v", "[kv_len, n_kv_heads, head_dim]");
  check_shapes(file, q, k, v);
  const AttendSpec spec = spec_of(file, q.dim(2));
  return {std::move(file), q, k, v, spec};
}

AttentionOutput attend(const AttentionInput& input, Backend& backend, bool probe,
                       FunctionRef<void(int64_t, int64_t)> on_progress) {
  const int64_t q_len = input.q.dim(0), n_q_heads = input.q.dim(1), head_dim = input.q.dim(2);
  const auto kv_len = static_cast<int32_t>(input.k.dim(0));
  const int64_t probe_bytes = probe ? scores_and_probs_bytes(n_q_heads, q_len, kv_len) : 0;
  if (probe_bytes > kMaxProbeBytes)
    throw CapacityError(
        "--probe would write {} of scores and probs, more than {}: probe fewer queries or keys",
        gib_and_gb(probe_bytes), gib_and_gb(kMaxProbeBytes));
  require_memory(working_bytes(input, backend.info(), probe_bytes),
                 fmt::format("attention on {}", input.file.source()), "use fewer queries or keys");
  AttentionOutput result{.out = Tensor::host(DType::f32, input.q.shape()),
                         .lse = Tensor::host(DType::f32, {q_len, n_q_heads})};
  if (probe) {
    result.scores = Tensor::host(DType::f32, {n_q_heads, q_len, kv_len});
    result.probs = Tensor::host(DType::f32, {n_q_heads, q_len, kv_len});
  }
  const Site site{0, "attend"};
  const int32_t block_len = std::max(kv_len, 1);
  const auto storage = backend.make_storage(CacheSpec::contiguous(1, static_cast<int32_t>(input.k.dim(1)),
                                                                  static_cast<int32_t>(head_dim), block_len));
  store(backend, *storage, input);

  const Tensor q = backend.upload(input.q);
  Tensor out = backend.make_tensor(input.q.shape()), lse = backend.make_tensor({q_len, n_q_heads});

  // Rows [begin, begin + n) see what they would see in one step: causal, the sequence ends with the last.
  const int64_t at_once = rows_at_once(input), total = q_len + (probe ? q_len : 0);
  for (int64_t begin = 0; begin < q_len; begin += at_once) {
    const int64_t n = std::min(at_once, q_len - begin);
    const int64_t seen = input.spec.mask.causal ? std::max<int64_t>(kv_len - q_len + begin + n, 0) : kv_len;
    const StepPlan plan = plan_of(static_cast<int32_t>(n), static_cast<int32_t>(seen), block_len);
    const Batch& batch = backend.begin_step(plan, *storage);
    backend.attend(site, q.view().rows(begin, n), *storage, batch, input.spec, out.view().rows(begin, n),
                   lse.view().rows(begin, n));
    on_progress(begin + n, total);
  }
  backend.download(out.view(), result.out.view());
  backend.download(lse.view(), result.lse.view());
  if (!probe || q_len == 0 || kv_len == 0) return result;

  const StepPlan plan = plan_of(static_cast<int32_t>(q_len), kv_len, block_len);
  const Batch& batch = backend.begin_step(plan, *storage);
  Tensor scores = backend.make_tensor({1, q_len, kv_len}), probs = backend.make_tensor({1, q_len, kv_len});
  for (int32_t h = 0; h < n_q_heads; ++h) {
    const ProbeSelection one_head{h, 1, 0, static_cast<int32_t>(q_len)};
    backend.probe(site, q.view(), *storage, batch, input.spec, lse.view(), one_head, scores.view(),
                  probs.view(), {});
    backend.download(scores.view(), result.scores.view().rows(h, 1));
    backend.download(probs.view(), result.probs.view().rows(h, 1));
    on_progress(q_len + q_len * (h + 1) / n_q_heads, total);
  }
  return result;
}

void write_attention_output(const AttentionOutput& output, AtomicFile& file) {
  SafetensorsWriter writer;
  writer.add("out", output.out.view());
  writer.add("lse", output.lse.view());
  if (!output.scores.empty()) {
    writer.add("scores", output.scores.view());
    writer.add("probs", output.probs.view());
  }
  writer.write(file);
}

}  // namespace lastrow::cli
