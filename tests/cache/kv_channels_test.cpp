// Channels of a block of K as int8: by eye, then what always holds.
#include "cache/kv_channels.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/random.h"

using namespace lastrow;

TEST_CASE("the scale of a channel is that of its largest element, and other channels do not change it") {
  // Channel 1 is 100 times as large as channel 0. One scale for a row would round channel 0 to 0.
  const float rows[] = {0.5f, 127.0f, -1.0f, -63.5f, 0.25f, 0.0f};  // 3 rows of 2 channels
  Int8Channel codes[6];
  const float first = encode_channel(rows, 3, 2, codes), second = encode_channel(rows + 1, 3, 2, codes + 1);
  CHECK(second == 1.0f);
  CHECK(first == doctest::Approx(1.0 / 127));
  const int expected[] = {64, 127, -127, -64, 32, 0};  // ties to even: 63.5 → 64
  for (int i = 0; i < 6; ++i) CHECK(codes[i].code == expected[i]);
}

TEST_CASE("a decoded channel encodes to itself, and a foreign scale cuts off what is too large") {
  Random random(3, 1);
  for (int repeat = 0; repeat < 1000; ++repeat) {
    float x[16], decoded[16];
    Int8Channel codes[16], again[16];
    for (float& e : x) e = static_cast<float>(random.normal() * std::pow(10.0, random.below(9)));
    const float scale = encode_channel(x, 16, 1, codes);
    for (int i = 0; i < 16; ++i) decoded[i] = decode_channel(codes[i], scale);
    CHECK(encode_channel(decoded, 16, 1, again) == scale);
    for (int i = 0; i < 16; ++i) {
      CHECK(again[i].code == codes[i].code);
      CHECK(to_int8_within(decoded[i], scale).code == codes[i].code);
    }
  }
  CHECK(to_int8_within(1000.0f, 0.5f).code == 127);
  CHECK(to_int8_within(-1000.0f, 0.5f).code == -127);
  CHECK(to_int8_within(std::numeric_limits<float>::quiet_NaN(), 0.5f).code == 0);
  const float with_nan[] = {1.0f, std::numeric_limits<float>::quiet_NaN()};
  Int8Channel codes[2];
  CHECK(std::isnan(decode_channel(codes[0], encode_channel(with_nan, 2, 1, codes))));
}
