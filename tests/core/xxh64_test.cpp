// The published hash: its known values, and that every byte counts.
#include "core/xxh64.h"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <string_view>

using namespace lastrow;

namespace {

uint64_t hash(std::string_view text, uint64_t seed = 0) {
  return xxh64(std::as_bytes(std::span(text)), seed);
}

}  // namespace

TEST_CASE("known values of XXH64") {
  CHECK(hash("") == 0xEF46DB3751D8E999);
  CHECK(hash("a") == 0xD24EC4F1A98C6E5B);
  CHECK(hash("abc") == 0x44BC2CF5AD770999);
  CHECK(hash("Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1);  // 39 bytes: uses the lanes
}

TEST_CASE("every byte, the length and the seed count, in all lengths around the lanes") {
  std::set<uint64_t> seen;
  size_t n = 0;
  for (size_t length = 0; length <= 70; ++length) {
    std::string text(length, 'x');
    seen.insert(hash(text));
    seen.insert(hash(text, 1));
    n += 2;
    for (size_t i = 0; i < length; ++i) {
      text[i] = 'y';
      seen.insert(hash(text));
      ++n;
      text[i] = 'x';
    }
  }
  CHECK(seen.size() == n);
}
