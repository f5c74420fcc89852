// mine: one thread computes one row of out, key by key.
//
// A kernel of your own, in the form of the rungs in gpu/ladder. It is right, and slow on purpose.
//
//   lastrow-kernels --template > my.cu      you have done this
//   lastrow-kernels --try my.cu             compiles it, compares it with naive-f64, counts its memory traffic
//
// What to change first, with what --try shows you each time:
//   1. Neighbouring threads read rows that are far apart, so a load of g_k moves a whole sector of 32 bytes for
//      4 of them. Let the 32 lanes of a warp share a row (gpu/ladder: "one warp per row").
//   2. g_out holds the sums while they grow, so each key reads and writes them. Keep them in registers.
//   3. The query heads of a group read the same K and V. Read them once for all of the group.
//
// grid     x rows (token t, query head h), kThreads per block
// block    kThreads threads, which share nothing
// lane     one row (t, h)
#include "attention/softmax_state.h"
#include "gpu/ladder/ladder.h"
#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kThreads = 64;

// The kernel. KV is the type in which K and V are stored. Read a view with load(i), write it with store(i, x).
// The emulator checks every index, and counts what load and store move; see AttendOperands for all the arrays.
template <typename KV>
__global__ void mine(AttendOperands<KV> o) {
  const int64_t row = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (row >= int64_t{o.n_tokens} * o.n_q_heads) return;  // the last block has threads without a row
  const auto token = static_cast<int32_t>(row / o.n_q_heads), h = static_cast<int32_t>(row % o.n_q_heads);
  const int32_t g = h / o.group_size;  // the K/V head of query head h
  const int32_t sequence = o.g_seq_of_token.load(token);
  const VisibleKeys keys = keys_of(o, sequence, token);  // the keys that this query may see: one range or two
  const int64_t q = row * o.head_dim;                    // where this row begins in g_q and g_out

  for (int32_t d = 0; d < o.head_dim; ++d) o.g_out.store(q + d, 0);

  SoftmaxState<float> softmax;  // the largest score so far, and the sum of the exponentials
  for (int32_t i = 0; i < keys.count(); ++i) {
    const int32_t s = keys.index(i);
    // K and V lie in blocks of slots: slot_at reads the block table, row_offset says where the row begins.
    const int64_t kv = row_offset(o.layout, slot_at(o, sequence, s), g);

    float score = 0;
    for (int32_t d = 0; d < o.head_dim; ++d) score += o.g_q.load(q + d) * decode(o.g_k.load(kv + d));
    score *= o.score.query_factor();
    // Soft cap and ALiBi. A kernel without this line may refuse them in supports(): see beyond_a_scale().
    if (!o.score.only_scales()) score = finish_score(o, sequence, token, h, s, score, 1);

    // A new largest score makes all earlier exponentials smaller: `self` scales what was summed before.
    const auto factor = softmax.merge({score, 1});
    for (int32_t d = 0; d < o.head_dim; ++d)
      o.g_out.store(q + d, o.g_out.load(q + d) * factor.self + factor.other * decode(o.g_v.load(kv + d)));
  }

  for (int32_t d = 0; d < o.head_dim; ++d)
    o.g_out.store(q + d, softmax.row_sum == 0 ? 0 : o.g_out.load(q + d) / softmax.row_sum);
  o.g_lse.store(row, softmax.lse());  // −∞ where the query sees no key; out is 0 there
}

// Which tasks the kernel takes: "" if it takes this one, else the reason. It is only run on those it takes.
std::string supports(const gpu::AttendTask& task) {
  if (task.shape.kv_dtype == DType::f32 || task.shape.kv_dtype == DType::bf16) return "";
  return "it needs K/V in f32 or bf16";
}

// How many floats of scratch memory it needs, as g_scratch.
int64_t scratch_elems(const gpu::AttendTask&) { return 0; }

// The host's part: sizes the grid and starts the kernel with the stored type of the call.
void start(const gpu::AttendCall& call, Stream stream) {
  const int64_t rows = int64_t{call.task.shape.n_tokens} * call.task.shape.n_q_heads;
  if (rows == 0) return;
  const Dim3 grid{static_cast<uint32_t>(ceil_div(rows, kThreads))}, block{kThreads};
  const int64_t shared_bytes = 0;  // dynamic shared memory of a block
  with_kv_type<float, BFloat16>(call.task.shape.kv_dtype, [&]<typename KV>(KV) {
    const auto arguments = operands<KV>(call, scratch_elems(call.task));
    launch(Kernel{"mine", mine<KV>}, grid, block, shared_bytes, stream, arguments);
  });
}

}  // namespace

// The rung: its name, its idea in a few words, and the three functions above. --try looks for this line.
const Rung mine_rung{.name = "mine",
                     .parent = "k01",
                     .idea = "one thread per row, one pass",
                     .supports_one_type = supports,
                     .scratch_elems = scratch_elems,
                     .launch = start};

}  // namespace lastrow::LASTROW_TARGET
