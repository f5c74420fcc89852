#include "cli/attention_file.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "core/memory_limit.h"
#include "cost/memory.h"
#include "cost/op_cost.h"
#include "io/safetensors.h"

namespace lastrow::cli {
namespace {

/// A handmade plan: one sequence of kv_len stored rows in one block. Its last q_len tokens are the queries.
StepPlan one_sequence_plan(int32_t q_len, int32_t kv_len, int32_t block_len) {
  StepPlan plan;
  plan.tokens.assign(static_cast<size_t>(q_len), 0);
  for (int32_t t = 0; t < q_len; ++t) plan.positions.push_back(std::max(0, kv_len - q_len + t));
  plan.append_slots.assign(static_cast<size_t>(q_len), 0);  // not used: write_rows has stored the rows
  plan.q_start = {0, q_len};
  plan.kv_len = {kv_len};
  plan.block_tables = {0};
  plan.sequences = {0};
  plan.blocks_per_seq = 1;
  plan.block_len = block_len;
  return plan;
}

void store(Backend& backend, KvStorage& storage, ConstTensorView k, ConstTensorView v) {
  std::vector<int64_t> slots(static_cast<size_t>(k.dim(0)));
  for (size_t s = 0; s < slots.size(); ++s) slots[s] = static_cast<int64_t>(s);
  backend.write_rows(storage, 0, RowKind::k, slots, k);
  backend.write_rows(storage, 0, RowKind::v, slots, v);
}

/// Bytes of scores and probs together, in f32. INT64_MAX if that number overflows.
int64_t scores_and_probs_bytes(int64_t n_q_heads, int64_t q_len, int64_t kv_len) {
  int64_t cells = 0, bytes = 0;
  const bool overflows = __builtin_mul_overflow(n_q_heads * q_len, kv_len, &cells) ||
                         __builtin_mul_overflow(cells, int64_t{2 * sizeof(float)}, &bytes);
  return overflows ? std::numeric_limits<int64_t>::max() : bytes;
}

/// How many queries make about a second of work. Progress is shown between such parts.
int64_t rows_at_once(const AttentionInput& input) {
  constexpr int64_t kFlop = 2'000'000'000;
  const int64_t flop_per_row = 4 * input.q.shape().row_size() * std::max<int64_t>(input.kv_len, 1);
  return std::max<int64_t>(kFlop / flop_per_row, 1);
}

/// How much host memory attend needs, beside its input.
int64_t working_bytes(const AttentionInput& input, const BackendInfo& backend, int64_t probe_bytes) {
  const auto elem_bytes = static_cast<int64_t>(size_of(backend.activation_dtype));
  const int64_t n_rows = input.q.shape()[0] * input.q.shape()[1], n_kv = input.k.size() + input.v.size();
  const int64_t results = (input.q.size() + n_rows) * 4 + probe_bytes;
  if (!backend.in_host_memory) return results;
  const int64_t one_head = probe_bytes / 4 / input.q.shape()[1] * elem_bytes;  // scores and probs
  return results + (n_kv + 2 * input.q.size() + n_rows) * elem_bytes + one_head;
}

/// One problem of the batch, and the places for its results.
struct Part {
  ConstTensorView q, k, v;
  TensorView out, lse, scores, probs, lse_distance;  // the last three are empty without probe
};

Part batch_part(const AttentionInput& input, AttentionOutput& result, int64_t b) {
  const int64_t n_heads = input.q.shape()[1];
  Part part{.q = input.q.view().rows(b * input.q_len, input.q_len),
            .k = input.k.view().rows(b * input.kv_len, input.kv_len),
            .v = input.v.view().rows(b * input.kv_len, input.kv_len),
            .out = result.out.view().rows(b * input.q_len, input.q_len),
            .lse = result.lse.view().rows(b * input.q_len, input.q_len),
            .scores = {},
            .probs = {},
            .lse_distance = {}};
  if (!result.scores.empty()) {
    part.scores = result.scores.view().rows(b * n_heads, n_heads);
    part.probs = result.probs.view().rows(b * n_heads, n_heads);
    part.lse_distance = result.lse_distance.view().rows(b * n_heads, n_heads);
  }
  return part;
}

/// A part on the backend: its stored K and V, and its operands.
struct UploadedPart {
  int32_t q_len, kv_len, n_q_heads, block_len;
  std::unique_ptr<KvStorage> storage;
  Tensor q, out, lse;
};

constexpr Site kSite{0, "attend"};

UploadedPart upload(const Part& part, const AttentionInput& input, Backend& backend) {
  const auto q_len = static_cast<int32_t>(input.q_len), kv_len = static_cast<int32_t>(input.kv_len);
  const auto n_q_heads = static_cast<int32_t>(part.q.dim(1)), head_dim = static_cast<int32_t>(part.q.dim(2));
  const auto n_kv_heads = static_cast<int32_t>(part.k.dim(1));
  const int32_t block_len = std::max(kv_len, 1);
  auto storage =
      backend.make_storage(CacheSpec::contiguous(1, n_kv_heads, head_dim, block_len, 1, input.kv_dtype));
  store(backend, *storage, part.k, part.v);
  return {q_len,
          kv_len,
          n_q_heads,
          block_len,
          std::move(storage),
          backend.upload(part.q),
          backend.make_tensor(part.q.shape()),
          backend.make_tensor({q_len, n_q_heads})};
}

/// Runs the attention, about a second of work at a time. Calls on_rows(n) after each n queries.
void attend_rows(UploadedPart& p, const AttentionInput& input, Backend& backend,
                 FunctionRef<void(int64_t)> on_rows) {
  const int64_t at_once = rows_at_once(input);
  for (int64_t begin = 0; begin < p.q_len; begin += at_once) {
    const int64_t n = std::min(at_once, p.q_len - begin);
    // If causal, the step must end at the last of these rows. Then they see the same keys as in one large
    // step.
    const int64_t seen =
        input.spec.mask.causal ? std::max<int64_t>(p.kv_len - p.q_len + begin + n, 0) : p.kv_len;
    const StepPlan plan = one_sequence_plan(static_cast<int32_t>(n), static_cast<int32_t>(seen), p.block_len);
    const Batch& batch = backend.begin_step(plan, *p.storage);
    backend.run(Attend{kSite, p.q.view().rows(begin, n), *p.storage, batch, input.spec,
                       p.out.view().rows(begin, n), p.lse.view().rows(begin, n)});
    on_rows(n);
  }
}

/// Computes scores, probs and lse_distance, one head at a time. Calls on_rows(n) after each head; the n add
/// up to q_len.
void probe_heads(UploadedPart& p, const Part& part, const AttentionInput& input, Backend& backend,
                 FunctionRef<void(int64_t)> on_rows) {
  const StepPlan plan = one_sequence_plan(p.q_len, p.kv_len, p.block_len);
  const Batch& batch = backend.begin_step(plan, *p.storage);
  Tensor scores = backend.make_tensor({1, p.q_len, p.kv_len}),
         probs = backend.make_tensor({1, p.q_len, p.kv_len}),
         lse_distance = backend.make_tensor({1, p.q_len});
  int64_t rows_done = 0;
  for (int32_t h = 0; h < p.n_q_heads; ++h) {
    const ProbeSelection one_head{h, 1, 0, p.q_len};
    backend.run(
        Probe{kSite, p.q, *p.storage, batch, input.spec, p.lse, one_head, scores, probs, lse_distance});
    backend.download(scores.view(), part.scores.rows(h, 1));
    backend.download(probs.view(), part.probs.rows(h, 1));
    backend.download(lse_distance.view(), part.lse_distance.rows(h, 1));
    const int64_t rows = int64_t{p.q_len} * (h + 1) / p.n_q_heads;
    on_rows(rows - rows_done);
    rows_done = rows;
  }
}

void attend_part(const Part& part, const AttentionInput& input, Backend& backend,
                 FunctionRef<void(int64_t)> on_rows) {
  UploadedPart p = upload(part, input, backend);
  attend_rows(p, input, backend, on_rows);
  backend.download(p.out.view(), part.out);
  backend.download(p.lse.view(), part.lse);
  const bool probes = !part.scores.empty();
  if (probes && p.q_len > 0 && p.kv_len > 0) probe_heads(p, part, input, backend, on_rows);
}

/// [batch · tokens, heads, dim] → [batch, heads, tokens, dim].
Tensor heads_first(const Tensor& x, int64_t n_batch, int64_t n_tokens) {
  const int64_t n_heads = x.shape()[1], dim = x.shape()[2];
  Tensor result = Tensor::host(DType::f32, {n_batch, n_heads, n_tokens, dim});
  const float* from = x.data<float>();
  for (int64_t b = 0; b < n_batch; ++b)
    for (int64_t s = 0; s < n_tokens; ++s)
      for (int64_t h = 0; h < n_heads; ++h, from += dim)
        std::copy_n(from, dim, result.data<float>() + ((b * n_heads + h) * n_tokens + s) * dim);
  return result;
}

}  // namespace

AttentionOutput attend(const AttentionInput& input, Backend& backend, bool probe,
                       FunctionRef<void(int64_t, int64_t)> on_progress) {
  const int64_t n_q_heads = input.q.shape()[1], n_rows = input.n_batch * input.q_len;
  const int64_t probe_bytes =
      probe ? scores_and_probs_bytes(input.n_batch * n_q_heads, input.q_len, input.kv_len) : 0;
  if (probe_bytes > kMaxProbeBytes)
    throw CapacityError(
        "--probe would write {} of scores and probs, but the limit is {}: probe fewer queries or keys",
        gib_and_gb(probe_bytes), gib_and_gb(kMaxProbeBytes));
  require_memory(working_bytes(input, backend.info(), probe_bytes),
                 fmt::format("attention on {}", input.source), "use fewer queries or keys");
  AttentionOutput result{.out = Tensor::host(DType::f32, input.q.shape()),
                         .lse = Tensor::host(DType::f32, {n_rows, n_q_heads})};
  if (probe) {
    result.scores = Tensor::host(DType::f32, {input.n_batch * n_q_heads, input.q_len, input.kv_len});
    result.probs = Tensor::host(DType::f32, result.scores.shape());
    result.lse_distance = Tensor::host(DType::f32, {input.n_batch * n_q_heads, input.q_len});
  }
  int64_t done = 0;
  for (int64_t b = 0; b < input.n_batch; ++b)
    attend_part(batch_part(input, result, b), input, backend, [&](int64_t n) {
      done += n;
      on_progress(done, probe ? 2 * n_rows : n_rows);
    });
  return result;
}

void write_attention_output(const AttentionInput& input, const AttentionOutput& output, AtomicFile& file) {
  const int64_t n_heads = input.q.shape()[1], n_batch = input.n_batch, q_len = input.q_len;
  SafetensorsWriter writer;
  Tensor out, lse;  // only if the input has the layout bhsd
  const auto add = [&](const char* name, ConstTensorView x, Shape bhsd) {
    writer.add(name, input.bhsd ? x.reshaped(bhsd) : x);
  };
  if (input.bhsd) {
    out = heads_first(output.out, n_batch, q_len);
    lse = Tensor::host(DType::f32, {n_batch * q_len, n_heads, 1});
    convert(output.lse.view().reshaped(lse.shape()), lse.view());
    lse = heads_first(lse, n_batch, q_len);
  }
  add("out", input.bhsd ? std::as_const(out).view() : output.out.view(), out.shape());
  add("lse", input.bhsd ? std::as_const(lse).view() : output.lse.view(), {n_batch, n_heads, q_len});
  if (!output.scores.empty()) {
    const Shape cells{n_batch, n_heads, q_len, input.kv_len};
    add("scores", output.scores.view(), cells);
    add("probs", output.probs.view(), cells);
    add("lse_distance", output.lse_distance.view(), {n_batch, n_heads, q_len});
  }
  writer.write(file);
}

}  // namespace lastrow::cli
