#include "gpu/simt/views.h"

namespace lastrow::simt::detail {

void out_of_bounds(Access access, const char* name, int64_t i, int32_t n_accessed, int64_t n, Here here) {
  const char* verb = access == Access::load ? "reads" : access == Access::atomic ? "adds to" : "writes";
  const std::string range =
      n_accessed == 1 ? fmt::format("{}", i) : fmt::format("{}..{}", i, i + n_accessed - 1);
  self().block->fail(Finding::out_of_bounds, self(), here,
                     fmt::format("{} {}[{}] of {} elements", verb, name, range, n));
}

void misaligned(const char* name, int64_t i, int32_t bytes, Here here) {
  self().block->fail(
      Finding::misaligned, self(), here,
      fmt::format("moves {} bytes at {}[{}], whose address is not a multiple of {}", bytes, name, i, bytes));
}

}  // namespace lastrow::simt::detail
