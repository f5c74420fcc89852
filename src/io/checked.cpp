#include "io/checked.h"

#include <algorithm>
#include <limits>

namespace lastrow {

std::string shown(std::string_view text) {
  constexpr size_t kLongest = 80;
  const bool cut = text.size() > kLongest;
  if (cut) {
    size_t end = kLongest;  // back to the start of a UTF-8 character
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80u) --end;
    text = text.substr(0, end);
  }
  std::string printable = "'";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F)
      printable += fmt::format("\\x{:02X}", byte);
    else
      printable += c;
  }
  return printable + (cut ? "…'" : "'");
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
