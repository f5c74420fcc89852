// Temperature and seed: what the fields accept, and which probabilities the bars show.
#include "viewer/view_model/describe/sampling.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"

using namespace lastrow;
using namespace lastrow::view;

TEST_CASE(
    "the fields take a temperature from 0 to 2 and a whole seed, and refuse anything else with a reason") {
  CHECK(sampling_from("0", "1").temperature == 0);
  CHECK(sampling_from(" 0.8 ", " 7 ").temperature == 0.8f);
  CHECK(sampling_from("2", "18446744073709551615").seed == 18446744073709551615u);
  for (const auto& [temperature, seed] : {std::pair{"", "1"},
                                          {"warm", "1"},
                                          {"-0.1", "1"},
                                          {"2.1", "1"},
                                          {"nan", "1"},
                                          {"inf", "1"},
                                          {"1", ""},
                                          {"1", "x"},
                                          {"1", "-1"},
                                          {"1", "1.5"},
                                          {"1", "18446744073709551616"}}) {
    CAPTURE(temperature);
    CAPTURE(seed);
    CHECK_THROWS_AS(sampling_from(temperature, seed), UsageError);
  }
}

TEST_CASE("a temperature is spelt so that it reads back, and steps are tenths within the limits") {
  float t = 0;
  for (int i = 0; i < 25; ++i) {
    CHECK(sampling_from(temperature_text(t), "1").temperature == t);
    t = temperature_after(t, +1);
  }
  CHECK(t == 2);
  CHECK(temperature_text(temperature_after(0.7f, +1)) == "0.8");
  CHECK(temperature_after(0, -1) == 0);
}

TEST_CASE("bars at a temperature are softmax(logits / temperature); greedy leaves them alone") {
  const std::vector<float> logits = {1, 3, 2};
  NextTokens next;
  next.top = {{1, "b", 3, 0.6f, 0}, {2, "c", 2, 0.3f, 0}};
  at_temperature(next, logits, 0);
  CHECK(next.top[0].probability == 0.6f);
  at_temperature(next, logits, 0.5f);
  const double sum = std::exp(2.0) + std::exp(6.0) + std::exp(4.0);
  CHECK(next.top[0].probability == doctest::Approx(std::exp(6.0) / sum));
  CHECK(next.top[1].probability == doctest::Approx(std::exp(4.0) / sum));
}
