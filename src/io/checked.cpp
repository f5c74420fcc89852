#include "io/checked.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace lastrow {

std::string shown(std::string_view text) {
  constexpr size_t kLongest = 80;
  const nlohmann::json start = text.substr(0, kLongest);
  const auto replace = nlohmann::json::error_handler_t::replace;  // of what is not UTF-8
  return start.dump(-1, ' ', false, replace) + (text.size() > kLongest ? "…" : "");
}

Shape checked_shape(const std::vector<int64_t>& dims, DType dtype, const std::string& what) {
  if (dims.size() > static_cast<size_t>(Shape::kMaxRank))
    throw FileError("{} has {} dimensions, and lastrow's tensors have at most {}; reshape it before saving",
                    what, dims.size(), Shape::kMaxRank);
  auto bytes = static_cast<int64_t>(size_of(dtype));
  for (const int64_t d : dims) {
    if (d < 0) throw FileError("{} has a negative dimension {}; the file is damaged", what, d);
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(d, 1), &bytes))
      throw FileError("{} has a shape whose size overflows 64 bits; the file is damaged", what);
  }
  switch (dims.size()) {
    case 0:
      return {};
    case 1:
      return {dims[0]};
    case 2:
      return {dims[0], dims[1]};
    case 3:
      return {dims[0], dims[1], dims[2]};
    default:
      return {dims[0], dims[1], dims[2], dims[3]};
  }
}

}  // namespace lastrow
