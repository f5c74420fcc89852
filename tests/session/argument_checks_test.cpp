#include "session/argument_checks.h"

#include <doctest/doctest.h>

#include <array>

#include "core/error.h"

using namespace lastrow;

TEST_CASE("tokens outside the vocabulary are refused") {
  ModelConfig config;
  config.vocab_size = 5;
  require_in_vocabulary(std::array{0, 4}, config);
  require_in_vocabulary({}, config);
  CHECK_THROWS_WITH_AS(require_in_vocabulary(std::array{0, 5}, config),
                       doctest::Contains("token 5 is outside the vocabulary, 0 to 4"), UsageError);
  CHECK_THROWS_AS(require_in_vocabulary(std::array{-1}, config), UsageError);
}

TEST_CASE("pokes of a layer or a head that the model does not have are refused") {
  ModelConfig config;
  config.n_layers = 3, config.n_q_heads = 4, config.n_kv_heads = 2;
  using enum Poke::What;
  require_in_model({.what = q, .layer = 2, .head = 3}, config);
  require_in_model({.what = k, .layer = 0, .head = 1}, config);
  require_in_model({.what = v, .layer = 0, .head = -1}, config);
  const auto refused = [&](const Poke& poke, const char* why) {
    CHECK_THROWS_WITH_AS(require_in_model(poke, config), doctest::Contains(why), UsageError);
  };
  refused({.what = q, .layer = 3}, "poke in layer 3: the model has layers 0 to 2");
  refused({.what = q, .layer = -1}, "poke in layer -1");
  refused({.what = q, .head = 4}, "poke of query head 4: that layer has heads 0 to 3");
  refused({.what = k, .head = 2}, "poke of K/V head 2: that layer has heads 0 to 1");
  refused({.what = v, .head = -2}, "poke of K/V head -2");
}
