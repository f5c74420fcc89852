// Rows of a table by their numbers: embed (numbers are tokens) and gather_rows (numbers are rows that need
// logits).
//
// thread   one element of out;  block of 256
#include "gpu/kernels/attend_operands.h"
#include "gpu/kernels/ops/ops.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kThreads = 256;

__global__ void take_rows_kernel(Global<const float> g_table,  // [table_rows, dim]
                                 Global<const int32_t> g_ids,  // [n]
                                 Global<float> g_out,          // [n, dim]
                                 int64_t n_elems, int64_t dim) {
  const int64_t elem = int64_t{blockIdx.x} * kThreads + threadIdx.x;  // of g_out
  if (elem >= n_elems) return;
  g_out.store(elem, g_table.load(g_ids.load(elem / dim) * dim + elem % dim));
}

}  // namespace

void take_rows(const float* table, int64_t table_rows, const int32_t* ids, int64_t n, int64_t dim, float* out,
               Stream stream) {
  if (n * dim == 0) return;
  launch(Kernel{"take_rows", take_rows_kernel}, {static_cast<uint32_t>(ceil_div(n * dim, kThreads))},
         {kThreads}, 0, stream, Global<const float>(table, table_rows * dim, "g_table"),
         Global<const int32_t>(ids, n, "g_ids"), Global<float>(out, n * dim, "g_out"), n * dim, dim);
}

}  // namespace lastrow::LASTROW_TARGET
