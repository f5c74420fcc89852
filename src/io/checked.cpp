#include "io/checked.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace lastrow {
namespace {

/// The first character of `text`, which should be UTF-8.
struct Character {
  size_t n_bytes = 0;  // 0: not UTF-8
  uint32_t code = 0;
};

Character first_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t n = byte(0) < 0x80u    ? 1
                   : byte(0) >= 0xF8u ? 0
                   : byte(0) >= 0xF0u ? 4
                   : byte(0) >= 0xE0u ? 3
                   : byte(0) >= 0xC0u ? 2
                                      : 0;
  if (n < 2) return {n, byte(0)};
  if (text.size() < n) return {};
  uint32_t code = byte(0) & (0x7Fu >> n);
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) return {};
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  constexpr uint32_t kLeast[] = {0x80, 0x800, 0x10000};  // the smallest code of 2, 3 and 4 bytes
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  return code < kLeast[n - 2] || code > 0x10FFFF || surrogate ? Character{} : Character{n, code};
}

bool is_harmless(uint32_t code) {
  const bool control = code < 0x20 || (code >= 0x7F && code < 0xA0);
  const bool separator = code == 0x2028 || code == 0x2029;
  const bool direction = code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E) ||
                         (code >= 0x2066 && code <= 0x2069);
  return !control && !separator && !direction;
}

}  // namespace

size_t valid_utf8(std::string_view text) {
  size_t n = 0;
  while (n < text.size()) {
    const size_t n_bytes = first_character(text.substr(n)).n_bytes;
    if (n_bytes == 0) break;
    n += n_bytes;
  }
  return n;
}

std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character c = first_character(text);
    const size_t n = std::max<size_t>(c.n_bytes, 1);
    if (c.n_bytes == 0)
      out += "\xEF\xBF\xBD";  // U+FFFD
    else if (is_harmless(c.code))
      out += text.substr(0, n);
    else if (c.code == '\n' || c.code == '\r' || c.code == '\t')
      out += c.code == '\n' ? "\\n" : c.code == '\r' ? "\\r" : "\\t";
    else
      out += fmt::format("\\u{:04x}", c.code);
    text.remove_prefix(n);
  }
  return out;
}

std::string shown(std::string_view text) {
  constexpr size_t kLongest = 80;
  const nlohmann::json start = text.substr(0, kLongest);
  const auto replace = nlohmann::json::error_handler_t::replace;  // replaces bytes that are not UTF-8
  return escaped(start.dump(-1, ' ', false, replace)) + (text.size() > kLongest ? "…" : "");
}

Shape checked_shape(const std::vector<int64_t>& dims, DType dtype, const std::string& what) {
  if (dims.size() > static_cast<size_t>(Shape::kMaxRank))
    throw FileError("{} has {} dimensions, but lastrow allows at most {}; reshape it before saving", what,
                    dims.size(), Shape::kMaxRank);
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
