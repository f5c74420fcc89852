#include "ops/step_cost.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/error.h"
#include "cost/presets.h"
#include "ops/op.h"
#include "support/tiny_shape.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace {

/// The operations of one forward, one after the other, in the decoder's order.
OpCost forward_written_out(const ModelShape& m, int64_t q_len, int64_t kv_len, int64_t n_logit_rows,
                           int64_t w, int64_t c) {
  OpCost sum = cost::embed(q_len, m.model_dim, w);
  for (int64_t layer = 0; layer < m.n_layers; ++layer) {
    const int64_t window = m.layer_window(layer);
    sum += cost::rms_norm(q_len, m.model_dim, w);
    sum += cost::linear(q_len, m.model_dim, m.n_q_heads * m.head_dim, false, w);
    sum += cost::linear(q_len, m.model_dim, m.n_kv_heads * m.head_dim, false, w);
    sum += cost::linear(q_len, m.model_dim, m.n_kv_heads * m.head_dim, false, w);
    sum += cost::rope(q_len, m.n_q_heads, m.head_dim);
    sum += cost::rope(q_len, m.n_kv_heads, m.head_dim);
    sum += cost::append(q_len, m.n_kv_heads, m.head_dim, {c}, {c});
    sum += cost::attend({.visible_cells = cost::visible_cells(q_len, kv_len, true, window),
                         .kv_rows = cost::visible_rows(q_len, kv_len, true, window),
                         .n_tokens = q_len,
                         .n_q_heads = m.n_q_heads,
                         .n_kv_heads = m.n_kv_heads,
                         .head_dim = m.head_dim,
                         .k = {c},
                         .v = {c}});
    sum += cost::linear(q_len, m.n_q_heads * m.head_dim, m.model_dim, false, w);
    sum += cost::add(q_len, m.model_dim);
    sum += cost::rms_norm(q_len, m.model_dim, w);
    sum += cost::linear(q_len, m.model_dim, m.ffn_dim, false, w);
    sum += cost::linear(q_len, m.model_dim, m.ffn_dim, false, w);
    sum += cost::swiglu(q_len, m.ffn_dim);
    sum += cost::linear(q_len, m.ffn_dim, m.model_dim, false, w);
    sum += cost::add(q_len, m.model_dim);
  }
  sum += cost::gather_rows(n_logit_rows, m.model_dim);
  sum += cost::rms_norm(n_logit_rows, m.model_dim, w);
  sum += cost::linear(n_logit_rows, m.model_dim, m.vocab_size, false, w);
  return sum;
}

}  // namespace

TEST_CASE("one decode step of one tiny layer, all by hand") {
  ModelShape m = tiny_shape();
  m.n_layers = 1;
  const OpCost c = step_cost(m, {.q_len = 1, .kv_len = 3, .n_logit_rows = 1});
  const int64_t norm = 4 * 6 + 4;
  const int64_t attention = 2 * (48 + 24 + 24) + 3 * 8 + 3 * 4 + 4 * 4 * 2 * 3 + 2 * 48 + 6;
  const int64_t mlp = 2 * (60 + 60) + 4 * 10 + 2 * 60 + 6;
  CHECK(c.flop == norm + attention + norm + mlp + norm + 2 * 6 * 20);
  CHECK(c.cache_bytes_written == 2 * 4 * 4);       // K and V of one token: 2 heads of 2, f32
  CHECK(c.cache_bytes_read == 2 * 3 * 4 * 4);      // three tokens
  CHECK(c.weight_bytes == 4 * (n_params(m) + 6));  // every parameter once, and one row of the table
}

TEST_CASE("a step costs the sum of its operations") {
  ModelShape windowed = tiny_shape();
  windowed.n_layers = 5;
  windowed.window = 3;
  windowed.window_period = 2;
  ModelShape all_windowed = windowed;
  all_windowed.window_period = 1;
  for (const ModelShape& m : {tiny_shape(), windowed, all_windowed})
    for (const int64_t q_len : {0, 1, 2, 7})
      for (const int64_t kv_len : {7, 8, 31})
        for (const int64_t rows : {0, 1, 7}) {
          if (rows > q_len) continue;
          INFO("q_len ", q_len, " kv_len ", kv_len, " rows ", rows, " window ", m.window);
          CHECK(step_cost(m, {q_len, kv_len, rows, 2, {1}, {1}}) ==
                forward_written_out(m, q_len, kv_len, rows, 2, 1));
        }
}

TEST_CASE("prefill and single decodes do the same flop; only weights and cache reads differ") {
  const ModelShape& m = find_preset("smollm2-135m");
  const int64_t n = 50;
  const OpCost prefill = step_cost(m, {n, n, n, 2, {2}, {2}});
  OpCost decodes;
  for (int64_t len = 1; len <= n; ++len) decodes += step_cost(m, {1, len, 1, 2, {2}, {2}});
  CHECK(prefill.flop == decodes.flop);
  CHECK(prefill.cache_bytes_written == decodes.cache_bytes_written);
  CHECK(prefill.activation_bytes == decodes.activation_bytes);
  CHECK(decodes.weight_bytes > 49 * prefill.weight_bytes);
  CHECK(2 * decodes.cache_bytes_read == (n + 1) * prefill.cache_bytes_read);  // Σ len against n
}

TEST_CASE("each weight is read once a step, and a decode does about 2 flop with it") {
  for (const ModelShape& m : presets()) {
    const OpCost c = step_cost(m, {.q_len = 1, .kv_len = 1, .weight_elem_bytes = 2, .k = {2}, .v = {2}});
    int64_t read = n_params(m) + m.model_dim;  // one row of the embedding table
    if (!m.tied_embeddings) read -= m.vocab_size * m.model_dim;
    if (m.learned_positions) read -= (m.max_seq_len - 1) * m.model_dim;
    INFO(m.name);
    CHECK(c.weight_bytes == 2 * read);
    CHECK(std::abs(static_cast<double>(c.flop) / (2.0 * static_cast<double>(read)) - 1) < 0.01);
  }
}

TEST_CASE("a batch multiplies everything but the weights") {
  const ModelShape& m = find_preset("mistral-7b");
  const StepSize one{
      .q_len = 1, .kv_len = 6000, .n_logit_rows = 1, .weight_elem_bytes = 2, .k = {2}, .v = {2}};
  StepSize many = one;
  many.batch = many.n_logit_rows = 16;
  const OpCost a = step_cost(m, one), b = step_cost(m, many);
  CHECK(b.flop == 16 * a.flop);
  CHECK(b.cache_bytes_read == 16 * a.cache_bytes_read);
  CHECK(a.cache_bytes_read == 32 * 2 * 8 * 128 * 2 * 4096);        // only the window, not all 6,000 tokens
  CHECK(b.weight_bytes == a.weight_bytes + 15 * m.model_dim * 2);  // 15 more rows of the table
}

TEST_CASE("long contexts still count") {
  const OpCost c = step_cost(find_preset("llama-3-70b"), {.q_len = 1'000'000, .kv_len = 1'000'000});
  CHECK(c.flop > 4 * int64_t{80} * 64 * 128 * 500'000'500'000);
}

TEST_CASE("impossible steps are refused") {
  CHECK_THROWS_AS((void)step_cost(tiny_shape(), {.q_len = 4, .kv_len = 3}), ShapeError);
  CHECK_THROWS_AS((void)step_cost(tiny_shape(), {.q_len = -1, .kv_len = 3}), ShapeError);
  CHECK_THROWS_AS((void)step_cost(tiny_shape(), {.q_len = 1, .kv_len = 3, .n_logit_rows = 2}), ShapeError);
  CHECK_THROWS_AS((void)step_cost(tiny_shape(), {.q_len = 1, .kv_len = 3, .weight_elem_bytes = 0}),
                  ShapeError);
  CHECK_THROWS_AS((void)step_cost(tiny_shape(), {.q_len = 1, .kv_len = int64_t{1} << 40}), ShapeError);
  CHECK_THROWS_WITH_AS(
      (void)step_cost(find_preset("llama-3-70b"), {.q_len = int64_t{1} << 31, .kv_len = int64_t{1} << 31}),
      doctest::Contains("64 bits"), ShapeError);
}
