// Rows of a table by their numbers: embed (numbers are tokens), gather_rows (numbers are rows that need logits),
// and embed_positions, which adds them (numbers are positions).
//
// thread   one element of out or x;  block of 256
#include "gpu/ops/ops.h"
#include "gpu/parts/attend_operands.h"

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

__global__ void add_table_rows_kernel(Global<const float> g_table,  // [table_rows, dim]
                                      Global<const int32_t> g_ids,  // [n]
                                      Global<float> g_x,            // [n, dim]
                                      int64_t n_elems, int64_t dim) {
  const int64_t elem = int64_t{blockIdx.x} * kThreads + threadIdx.x;  // of g_x
  if (elem >= n_elems) return;
  g_x.store(elem, g_x.load(elem) + g_table.load(g_ids.load(elem / dim) * dim + elem % dim));
}

}  // namespace

void take_rows(const float* table, int64_t table_rows, const int32_t* ids, int64_t n, int64_t dim, float* out,
               Stream stream) {
  if (n * dim == 0) return;
  launch(Kernel{"take_rows", take_rows_kernel}, {static_cast<uint32_t>(ceil_div(n * dim, kThreads))},
         {kThreads}, 0, stream, Global<const float>(table, table_rows * dim, "g_table"),
         Global<const int32_t>(ids, n, "g_ids"), Global<float>(out, n * dim, "g_out"), n * dim, dim);
}

void add_table_rows(const float* table, int64_t table_rows, const int32_t* ids, int64_t n, int64_t dim,
                    float* x, Stream stream) {
  if (n * dim == 0) return;
  launch(Kernel{"add_table_rows", add_table_rows_kernel},
         {static_cast<uint32_t>(ceil_div(n * dim, kThreads))}, {kThreads}, 0, stream,
         Global<const float>(table, table_rows * dim, "g_table"), Global<const int32_t>(ids, n, "g_ids"),
         Global<float>(x, n * dim, "g_x"), n * dim, dim);
}

}  // namespace lastrow::LASTROW_TARGET
