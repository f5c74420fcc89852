// The stand-in for cuBLAS: which products are requested, and on which memory.
#include "cuda_host/checked_device.h"
#include "gpu/backend/cublas.h"

struct cublasContext {
  cudaStream_t stream = nullptr;
  bool has_workspace = false;
};

namespace lastrow::checked_cuda {
namespace {

cublasStatus_t create(cublasHandle_t* handle) {
  return *handle = make_handle<cublasContext>(), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy(cublasHandle_t handle) {
  return drop_handle(handle, "a cuBLAS handle") == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                               : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t set_stream(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream, handle->has_workspace = false;  // as documented: the library's own workspace again
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t set_workspace(cublasHandle_t handle, void* workspace, size_t bytes) {
  handle->has_workspace = is_allocated(workspace, bytes);
  return handle->has_workspace ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t sgemm(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                     int k, const float*, const float* a, int lda, const float* b, int ldb, const float*,
                     float* c, int ldc) {
  // cuBLAS is column-major: a leading dimension counts the rows of the stored matrix.
  const auto bytes = [](int rows, int columns, int ld) {
    return sizeof(float) *
           (static_cast<size_t>(ld) * static_cast<size_t>(columns - 1) + static_cast<size_t>(rows));
  };
  const int a_rows = transa == CUBLAS_OP_N ? m : k, a_columns = transa == CUBLAS_OP_N ? k : m,
            b_rows = transb == CUBLAS_OP_N ? k : n, b_columns = transb == CUBLAS_OP_N ? n : k;
  if (m <= 0 || n <= 0 || k <= 0 || lda < a_rows || ldb < b_rows || ldc < m) {
    mistake(cudaErrorInvalidValue, fmt::format("a product of m {} n {} k {} with leading dimensions {} {} {}",
                                               m, n, k, lda, ldb, ldc));
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (!is_allocated(a, bytes(a_rows, a_columns, lda)) || !is_allocated(b, bytes(b_rows, b_columns, ldb)) ||
      !is_allocated(c, bytes(m, n, ldc))) {
    mistake(cudaErrorInvalidValue, "a product beyond an allocation");
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (handle->stream->recording && !handle->has_workspace)
    breaks_recording("a product without a workspace of the caller's");
  return put(handle->stream, {"a product", Work::product, {a, b, c}}) == cudaSuccess
             ? CUBLAS_STATUS_SUCCESS
             : CUBLAS_STATUS_EXECUTION_FAILED;
}

const char* status_string(cublasStatus_t) { return "a cuBLAS status"; }

}  // namespace
}  // namespace lastrow::checked_cuda

lastrow::cuda::Cublas lastrow::cuda::load_cublas() {
  using namespace checked_cuda;
  ++state().counts.n_cublas_loads;
  return {create, destroy, set_stream, set_workspace, sgemm, status_string};
}
