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

void write_rows(Backend& backend, KvStorage& storage, std::span<const int64_t> slots, ConstTensorView k,
                ConstTensorView v) {
  backend.write_rows(storage, 0, RowKind::k, slots, k);
  backend.write_rows(storage, 0, RowKind::v, slots, v);
}

/// Stores the rows, and NaN in every slot that no sequence uses. So a kernel that reads such a slot shows it.
void store(Backend& backend, KvStorage& storage, const Packing& packing, ConstTensorView k,
           ConstTensorView v) {
  write_rows(backend, storage, packing.slots, k, v);
  const int64_t at_once = std::clamp<int64_t>((1 << 18) / k.row_size(), 1, 512);  // a MiB of them
  Tensor nan = Tensor::host(DType::f32, k.shape().with_rows(at_once));
  std::fill_n(nan.data<float>(), nan.size(), std::numeric_limits<float>::quiet_NaN());
  std::vector<int64_t> unused;
  const auto fill = [&] {
    const ConstTensorView rows = std::as_const(nan).view().rows(0, std::ssize(unused));
    write_rows(backend, storage, unused, rows, rows);
    unused.clear();
  };
  auto used = packing.slots.begin();  // ascending
  for (int64_t slot = 0; slot < packing.n_slots(); ++slot) {
    if (used != packing.slots.end() && *used == slot) {
      ++used;
      continue;
    }
    unused.push_back(slot);
    if (std::ssize(unused) == at_once) fill();
  }
  fill();
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
  const int64_t flop_per_row =
      4 * input.q.shape().row_size() * std::max<int64_t>(input.packing.max_kv_len(), 1);
  return std::max<int64_t>(kFlop / flop_per_row, 1);
}

/// How much host memory attend needs, beside its input.
int64_t working_bytes(const AttentionInput& input, const BackendInfo& backend, int64_t probe_bytes) {
  const auto elem_bytes = static_cast<int64_t>(size_of(backend.activation_dtype));
  const int64_t n_rows = input.q.shape()[0] * input.q.shape()[1],
                n_kv = 2 * input.packing.n_slots() * input.k.shape().row_size();
  const int64_t tables = 2 * std::ssize(input.packing.block_tables) * int64_t{sizeof(int32_t)};
  const int64_t results = (input.q.size() + n_rows) * 4 + probe_bytes + tables;
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
  const int64_t n_heads = input.q.shape()[1], n_tokens = input.packing.n_tokens(),
                n_rows = input.packing.n_rows();
  Part part{.q = input.q.view().rows(b * n_tokens, n_tokens),
            .k = input.k.view().rows(b * n_rows, n_rows),
            .v = input.v.view().rows(b * n_rows, n_rows),
            .out = result.out.view().rows(b * n_tokens, n_tokens),
            .lse = result.lse.view().rows(b * n_tokens, n_tokens),
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
  std::unique_ptr<KvStorage> storage;
  Tensor q, out, lse;
};

constexpr Site kSite{0, "attend"};

UploadedPart upload(const Part& part, const AttentionInput& input, Backend& backend) {
  const Packing& packing = input.packing;
  auto storage = backend.make_storage({.n_layers = 1,
                                       .n_kv_heads = static_cast<int32_t>(part.k.dim(1)),
                                       .head_dim = static_cast<int32_t>(part.q.dim(2)),
                                       .max_seq_len = std::max(packing.max_kv_len(), 1),
                                       .block_len = packing.block_len,
                                       .n_blocks = packing.n_blocks,
                                       .dtype_k = input.kv_dtypes.k,
                                       .dtype_v = input.kv_dtypes.v});
  store(backend, *storage, packing, part.k, part.v);
  return {std::move(storage), backend.upload(part.q), backend.make_tensor(part.q.shape()),
          backend.make_tensor({part.q.dim(0), part.q.dim(1)})};
}

/// Runs the attention, about a second of work at a time. Calls on_rows(n) after each n queries.
void attend_rows(UploadedPart& p, const AttentionInput& input, Backend& backend,
                 FunctionRef<void(int64_t)> on_rows) {
  const int64_t at_once = rows_at_once(input), n_tokens = input.packing.n_tokens();
  for (int64_t begin = 0; begin < n_tokens; begin += at_once) {
    const int64_t n = std::min(at_once, n_tokens - begin);
    const StepPlan plan =
        slice(input.packing, static_cast<int32_t>(begin), static_cast<int32_t>(n), input.spec);
    const Batch& batch = backend.begin_step(plan, *p.storage);
    backend.run(Attend{kSite, p.q.view().rows(begin, n), *p.storage, batch, input.spec,
                       p.out.view().rows(begin, n), p.lse.view().rows(begin, n)});
    on_rows(n);
  }
}

/// Scores, probs and lse_distance of one sequence, one head at a time. Calls on_rows(n) after each head; the
/// n add up to its queries. The rows of a shorter sequence fill the beginning of rows of max_kv_len.
void probe_sequence(UploadedPart& p, const Part& part, const AttentionInput& input, const Batch& batch,
                    int32_t i, Backend& backend, FunctionRef<void(int64_t)> on_rows) {
  const int32_t first = input.packing.q_start[i], q_len = input.packing.q_len(i),
                kv_len = input.packing.kv_len[i];
  const int64_t n_heads = part.q.dim(1), n_tokens = part.q.dim(0), width = input.packing.max_kv_len();
  const Shape cells{1, q_len, kv_len}, rows{1, q_len};
  Tensor scores = backend.make_tensor(cells), probs = backend.make_tensor(cells),
         lse_distance = backend.make_tensor(rows);
  Tensor host = Tensor::host(DType::f32, cells);
  int64_t rows_done = 0;
  for (int32_t h = 0; h < n_heads; ++h) {
    const ProbeSelection one_head{h, 1, first, q_len};
    backend.run(
        Probe{kSite, p.q, *p.storage, batch, input.spec, p.lse, one_head, scores, probs, lse_distance});
    for (const auto& [from, to] : {std::pair{&scores, part.scores}, {&probs, part.probs}}) {
      backend.download(from->view(), host.view());
      for (int64_t t = 0; t < q_len; ++t)
        std::copy_n(host.data<float>() + t * kv_len, kv_len,
                    to.data<float>() + (h * n_tokens + first + t) * width);
    }
    backend.download(lse_distance.view(),
                     TensorView(part.lse_distance.data<float>() + h * n_tokens + first, rows));
    const int64_t now_done = int64_t{q_len} * (h + 1) / n_heads;
    on_rows(now_done - rows_done);
    rows_done = now_done;
  }
}

void attend_part(const Part& part, const AttentionInput& input, Backend& backend,
                 FunctionRef<void(int64_t)> on_rows) {
  UploadedPart p = upload(part, input, backend);
  attend_rows(p, input, backend, on_rows);
  backend.download(p.out.view(), part.out);
  backend.download(p.lse.view(), part.lse);
  if (part.scores.empty()) return;
  std::fill_n(part.scores.data<float>(), part.scores.size(), -std::numeric_limits<float>::infinity());
  std::fill_n(part.probs.data<float>(), part.probs.size(), 0.0f);
  std::fill_n(part.lse_distance.data<float>(), part.lse_distance.size(), 0.0f);
  const StepPlan plan = slice(input.packing, 0, input.packing.n_tokens(), input.spec);
  const Batch& batch = backend.begin_step(plan, *p.storage);
  for (int32_t i = 0; i < input.packing.n_seqs(); ++i)
    if (input.packing.q_len(i) > 0 && input.packing.kv_len[i] > 0)
      probe_sequence(p, part, input, batch, i, backend, on_rows);
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
  const int64_t n_q_heads = input.q.shape()[1], n_tokens = input.packing.n_tokens(),
                max_kv_len = input.packing.max_kv_len(), n_rows = input.n_batch * n_tokens;
  const int64_t probe_bytes =
      probe ? scores_and_probs_bytes(input.n_batch * n_q_heads, n_tokens, max_kv_len) : 0;
  if (probe_bytes > kMaxProbeBytes)
    throw CapacityError(
        "--probe would write {} of scores and probs, but the limit is {}: probe fewer queries or keys",
        gib_and_gb(probe_bytes), gib_and_gb(kMaxProbeBytes));
  require_memory(working_bytes(input, backend.info(), probe_bytes),
                 fmt::format("attention on {}", input.source), "use fewer queries or keys");
  AttentionOutput result{.out = Tensor::host(DType::f32, input.q.shape()),
                         .lse = Tensor::host(DType::f32, {n_rows, n_q_heads})};
  if (probe) {
    result.scores = Tensor::host(DType::f32, {input.n_batch * n_q_heads, n_tokens, max_kv_len});
    result.probs = Tensor::host(DType::f32, result.scores.shape());
    result.lse_distance = Tensor::host(DType::f32, {input.n_batch * n_q_heads, n_tokens});
  }
  if (n_rows == 0) return result;  // however many empty problems the file claims
  int64_t done = 0;
  for (int64_t b = 0; b < input.n_batch; ++b)
    attend_part(batch_part(input, result, b), input, backend, [&](int64_t n) {
      done += n;
      on_progress(done, probe ? 2 * n_rows : n_rows);
    });
  return result;
}

void write_attention_output(const AttentionInput& input, const AttentionOutput& output, AtomicFile& file) {
  const int64_t n_heads = input.q.shape()[1], n_batch = input.n_batch, q_len = input.packing.n_tokens();
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
    const Shape cells{n_batch, n_heads, q_len, input.packing.max_kv_len()};
    add("scores", output.scores.view(), cells);
    add("probs", output.probs.view(), cells);
    add("lse_distance", output.lse_distance.view(), {n_batch, n_heads, q_len});
  }
  writer.write(file);
}

}  // namespace lastrow::cli
