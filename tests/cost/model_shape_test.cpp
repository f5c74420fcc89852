#include "cost/model_shape.h"

#include <doctest/doctest.h>

#include "core/error.h"
#include "support/tiny_shape.h"

using namespace lastrow;
using namespace lastrow::testing;

TEST_CASE("parameters of a tiny model, counted by hand") {
  // A layer has q 8×6, k and v 4×6, o 6×8, gate, up and down 10×6, and two norms of 6.
  // Then come the table and the last norm.
  const int64_t layer = 48 + 24 + 24 + 48 + 60 + 60 + 60 + 6 + 6;
  CHECK(n_params(tiny_shape()) == 2 * layer + 120 + 6);
  ModelShape untied = tiny_shape();
  untied.tied_embeddings = false;
  CHECK(n_params(untied) == n_params(tiny_shape()) + 120);
  ModelShape biased = tiny_shape();
  biased.qkv_bias = true;
  CHECK(n_params(biased) == n_params(tiny_shape()) + 2 * (8 + 4 + 4));
  biased.other_bias = true;
  CHECK(n_params(biased) == n_params(tiny_shape()) + 2 * (8 + 4 + 4 + 6 + 10 + 10 + 6));
  CHECK(weights_bytes(tiny_shape()) == 4 * n_params(tiny_shape()));
}

TEST_CASE("shapes that cannot be are refused") {
  CHECK_THROWS_AS(validate(ModelShape{}), ShapeError);
  ModelShape m = tiny_shape();
  m.n_kv_heads = 3;
  CHECK_THROWS_WITH_AS(validate(m), doctest::Contains("4 query heads cannot share 3"), ShapeError);
  m = tiny_shape();
  m.ffn_dim = -1;
  CHECK_THROWS_WITH_AS((void)n_params(m), doctest::Contains("ffn_dim is -1"), ShapeError);
  m = tiny_shape();
  m.n_layers = m.model_dim = m.ffn_dim = int64_t{1} << 30;
  CHECK_THROWS_WITH_AS((void)n_params(m), doctest::Contains("64 bits"), ShapeError);
  m = tiny_shape();
  m.window = -4;
  CHECK_THROWS_AS(validate(m), ShapeError);
}
