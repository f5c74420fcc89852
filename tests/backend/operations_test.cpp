// The decoder's other operations: by eye on every CPU backend, then eigen compared with the judge.
#include <doctest/doctest.h>

#include "backend/eigen.h"
#include "backend/naive.h"
#include "judge/attend_case.h"
#include "judge/tolerance.h"
#include "support/backends.h"

using namespace lastrow;
using namespace lastrow::judge;
using namespace lastrow::testing;

namespace {

Tensor host(Shape shape, std::initializer_list<float> values) {
  Tensor t = Tensor::host(DType::f32, shape);
  std::copy(values.begin(), values.end(), t.data<float>());
  return t;
}

/// A plan with tokens of one sequence at the given positions.
StepPlan plan_at(std::vector<int32_t> positions, std::vector<int32_t> tokens) {
  StepPlan plan;
  const auto n = static_cast<int32_t>(positions.size());
  plan.tokens = std::move(tokens), plan.positions = std::move(positions);
  plan.q_start = {0, n}, plan.kv_len = {n}, plan.block_tables = {0}, plan.blocks_per_seq = 1,
  plan.block_len = 16;
  for (int32_t i = 0; i < n; ++i) plan.append_slots.push_back(i);
  return plan;
}

const Site kHere{0, "test"};

}  // namespace

TEST_CASE("linear by eye: a row times each row of the weight") {
  for (const auto& b : all_backends()) {
    const Tensor x = b->upload(host({2, 3}, {1, 2, 3, 0, 1, 0}).view());
    const Tensor w = b->upload(host({2, 3}, {1, 0, 0, 1, 1, 1}).view());
    const Tensor bias = b->upload(host({2}, {10, 20}).view());
    Tensor out = b->make_tensor({2, 2});
    b->run(Linear{kHere, x.view(), w.view(), {}, out.view()});
    CHECK(to_doubles(*b, out.view()) == std::vector<double>{1, 6, 0, 1});
    b->run(Linear{kHere, x.view(), w.view(), bias.view(), out.view()});
    CHECK(to_doubles(*b, out.view()) == std::vector<double>{11, 26, 10, 21});
    b->run(Linear{kHere, x.view().rows(0, 1), w.view(), bias.view(), out.view().rows(0, 1)});
    CHECK(to_doubles(*b, out.view().rows(0, 1)) == std::vector<double>{11, 26});
  }
}

TEST_CASE("rms_norm, swiglu, add and argmax by eye") {
  for (const auto& b : all_backends()) {
    const Tensor x = b->upload(host({1, 4}, {2, -2, 2, -2}).view()),
                 w = b->upload(host({4}, {1, 1, 3, 1}).view());
    Tensor out = b->make_tensor({1, 4});
    b->run(RmsNorm{kHere, x.view(), w.view(), 1e-20f, out.view()});
    const auto normed = to_doubles(*b, out.view());
    for (int i = 0; i < 4; ++i) CHECK(normed[i] == doctest::Approx(std::array{1, -1, 3, -1}[i]));

    const Tensor gate = b->upload(host({1, 3}, {0, 100, -100}).view()),
                 up = b->upload(host({1, 3}, {5, 2, 2}).view());
    Tensor gated = b->make_tensor({1, 3});
    b->run(Swiglu{kHere, gate.view(), up.view(), gated.view()});
    const auto g = to_doubles(*b, gated.view());
    CHECK(g[0] == 0);
    CHECK(g[1] == 200);
    CHECK(std::abs(g[2]) < 1e-35);

    Tensor sum = b->upload(host({1, 3}, {1, 1, 1}).view());
    b->run(Add{kHere, up.view(), sum.view()});
    CHECK(to_doubles(*b, sum.view()) == std::vector<double>{6, 3, 3});

    const Tensor logits = b->upload(host({2, 4}, {1, 3, 3, 2, -1, -5, -1, -2}).view());
    Tensor ids = b->make_tensor({2}, DType::i32);
    b->run(Argmax{kHere, logits.view(), ids.view()});
    int32_t chosen[2] = {};
    b->download(ids.view(), TensorView(chosen, {2}));
    CHECK(chosen[0] == 1);  // the first of two equal ones
    CHECK(chosen[1] == 0);
  }
}

TEST_CASE("layer_norm by eye: centred, scaled to variance 1, then weight and bias") {
  for (const auto& b : all_backends()) {
    // Mean 1003, differences −3, −1, 1, 3, variance 5: a large mean does not change the result.
    const Tensor x = b->upload(host({1, 4}, {1000, 1002, 1004, 1006}).view()),
                 w = b->upload(host({4}, {1, 1, 2, 1}).view()),
                 bias = b->upload(host({4}, {0, 0, 0, 10}).view());
    Tensor out = b->make_tensor({1, 4});
    b->run(LayerNorm{kHere, x, w, bias, 1e-20f, out});
    const auto normed = to_doubles(*b, out.view());
    const double unit = 1 / std::sqrt(5.0), expected[] = {-3 * unit, -unit, 2 * unit, 3 * unit + 10};
    for (int i = 0; i < 4; ++i) CHECK(normed[i] == doctest::Approx(expected[i]));
  }
}

TEST_CASE("gelu by eye: nothing below, itself above, in between by the formula") {
  for (const auto& b : all_backends()) {
    const Tensor x = b->upload(host({1, 5}, {-100, -1, 0, 1, 100}).view());
    Tensor out = b->make_tensor({1, 5});
    b->run(Gelu{kHere, x, out});
    const auto y = to_doubles(*b, out.view());
    CHECK(y[0] == 0);
    CHECK(y[1] == doctest::Approx(-0.158808));  // ½ · −1 · (1 + tanh(−0.833…))
    CHECK(y[2] == 0);
    CHECK(y[3] == doctest::Approx(0.841192));
    CHECK(y[4] == 100);
  }
}

TEST_CASE("embed_positions by eye: each row gets the table's row of its position") {
  for (const auto& b : all_backends()) {
    auto storage = b->make_storage(CacheSpec::contiguous(1, 1, 4, 16));
    const StepPlan plan = plan_at({2, 0}, {0, 0});
    const Tensor table = b->upload(host({3, 2}, {10, 20, 30, 40, 50, 60}).view());
    Tensor x = b->upload(host({2, 2}, {1, 2, 3, 4}).view());
    b->run(EmbedPositions{kHere, table, b->begin_step(plan, *storage), x});
    CHECK(to_doubles(*b, x.view()) == std::vector<double>{51, 62, 13, 24});
  }
}

/// Rows of −1, except the values in `put`.
Tensor logits_of(int64_t n_rows, int64_t vocab_size,
                 std::initializer_list<std::tuple<int64_t, int64_t, float>> put) {
  Tensor t = Tensor::host(DType::f32, {n_rows, vocab_size});
  std::fill_n(t.data<float>(), t.size(), -1.0f);
  for (const auto& [row, i, x] : put) t.data<float>()[row * vocab_size + i] = x;
  return t;
}

std::vector<int32_t> argmax_by(Backend& b, const Tensor& logits) {
  const Tensor rows = b.upload(logits.view());
  const int64_t n_rows = logits.shape()[0];
  Tensor ids = b.make_tensor({n_rows}, DType::i32);
  b.run(Argmax{kHere, rows.view(), ids.view()});
  std::vector<int32_t> chosen(static_cast<size_t>(n_rows));
  b.download(ids.view(), TensorView(chosen.data(), {n_rows}));
  // The same with a view that begins at the second row, so its address has another alignment.
  if (n_rows > 1) {
    std::vector<int32_t> tail(chosen.size() - 1);
    b.run(Argmax{kHere, rows.view().rows(1, n_rows - 1), ids.view().rows(1, n_rows - 1)});
    b.download(ids.view().rows(1, n_rows - 1), TensorView(tail.data(), {n_rows - 1}));
    CHECK(std::equal(tail.begin(), tail.end(), chosen.begin() + 1));
  }
  return chosen;
}

TEST_CASE("argmax of rows of any length: the largest at each place, rows anywhere in memory") {
  for (const auto& b : all_backends())
    for (const int64_t vocab_size : {1, 2, 3, 4, 5, 7, 31, 511, 513, 1030, 17'003}) {
      CAPTURE(vocab_size);
      const int64_t last = vocab_size - 1;
      const Tensor logits =
          logits_of(5, vocab_size, {{0, 0, 2}, {1, last, 2}, {2, last / 2, 2}, {3, last - last / 5, 2}});
      CHECK(argmax_by(*b, logits) == std::vector<int32_t>{0, static_cast<int32_t>(last),
                                                          static_cast<int32_t>(last / 2),
                                                          static_cast<int32_t>(last - last / 5), 0});
    }
}

TEST_CASE("argmax of 150,001 logits: the first of equal ones, in any lane and warp") {
  constexpr int64_t n = 150'001;
  for (const auto& b : all_backends()) {
    CHECK(argmax_by(*b, logits_of(4, n,
                                  {{0, 149'999, 7},
                                   {0, 150'000, 7},
                                   {1, 130'000, 7},
                                   {1, 3, 7},
                                   {2, 4096, 7},
                                   {2, 4095, 7},
                                   {2, 4100, 7},
                                   {3, 150'000, 7}})) == std::vector<int32_t>{149'999, 3, 4095, 150'000});
  }
}

TEST_CASE("argmax: −∞ loses to anything and a row of it has 0; a NaN after a number never wins") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& b : all_backends()) {
    Tensor none = logits_of(1, 5000, {});
    std::fill_n(none.data<float>(), none.size(), -inf);
    CHECK(argmax_by(*b, none) == std::vector<int32_t>{0});
    none.data<float>()[4321] = -3e38f;
    CHECK(argmax_by(*b, none) == std::vector<int32_t>{4321});
    CHECK(argmax_by(
              *b, logits_of(2, 5000, {{0, 77, nan}, {0, 4000, 1}, {1, 9, 1}, {1, 10, nan}, {1, 600, inf}})) ==
          std::vector<int32_t>{4000, 600});
  }
}

TEST_CASE("embed, append, gather_rows and copy_blocks move rows and change no bit") {
  for (const auto& b : all_backends()) {
    auto storage = b->make_storage({1, 2, 2, 16, 16, 3, DType::f32});
    StepPlan plan = plan_at({0, 1}, {2, 0});
    plan.logit_rows = {1};
    plan.append_slots = {17, 4};  // arbitrary slots
    plan.block_copies = {};
    const Batch& batch = b->begin_step(plan, *storage);

    const Tensor table = b->upload(host({3, 2}, {1, 2, 3, 4, 5, 6}).view());
    Tensor x = b->make_tensor({2, 2}), last = b->make_tensor({1, 2});
    b->run(Embed{kHere, table.view(), batch, x.view()});
    CHECK(to_doubles(*b, x.view()) == std::vector<double>{5, 6, 1, 2});
    b->run(GatherRows{kHere, x.view(), batch, last.view()});
    CHECK(to_doubles(*b, last.view()) == std::vector<double>{1, 2});

    const Tensor k = random_tensor({2, 2, 2}, 1, 1), v = random_tensor({2, 2, 2}, 1, 2);
    const Tensor device_k = b->upload(k.view()), device_v = b->upload(v.view());
    b->run(Append{kHere, device_k.view(), device_v.view(), batch, *storage});
    Tensor read = Tensor::host(DType::f32, {2, 2, 2});
    b->read_rows(*storage, 0, RowKind::k, plan.append_slots, read.view());
    CHECK(std::equal(k.data<float>(), k.data<float>() + 8, read.data<float>()));
    b->read_rows(*storage, 0, RowKind::v, plan.append_slots, read.view());
    CHECK(std::equal(v.data<float>(), v.data<float>() + 8, read.data<float>()));

    const BlockCopy copy{1, 2};
    b->copy_blocks(*storage, {&copy, 1});
    const int64_t moved[] = {33, 4};
    b->read_rows(*storage, 0, RowKind::v, moved, read.view());
    CHECK(std::equal(v.data<float>(), v.data<float>() + 8, read.data<float>()));
  }
}

TEST_CASE("rope by eye: position 0 does not rotate, a quarter turn swaps a pair") {
  for (const auto& b : all_backends())
    for (const bool interleaved : {false, true}) {
      auto storage = b->make_storage(CacheSpec::contiguous(1, 1, 4, 16));
      // Position 1 rotates the first pair by a quarter turn and does not rotate the second.
      RopeTable table{b->upload(host({2, 2}, {1, 1, 0, 1}).view()),
                      b->upload(host({2, 2}, {0, 0, 1, 0}).view()), interleaved};
      const StepPlan plan = plan_at({0, 1}, {0, 0});
      Tensor x = b->upload(host({2, 1, 4}, {1, 2, 3, 4, 1, 2, 3, 4}).view());
      b->run(Rope{kHere, table, b->begin_step(plan, *storage), x.view()});
      const std::vector<double> expected = interleaved ? std::vector<double>{1, 2, 3, 4, -2, 1, 3, 4}
                                                       : std::vector<double>{1, 2, 3, 4, -3, 2, 1, 4};
      CHECK(to_doubles(*b, x.view()) == expected);
    }
}

TEST_CASE("eigen's linear, norm and swiglu err at most as the tolerance rule allows") {
  EigenBackend eigen(2);
  NaiveBackend<double> judge;
  for (const int64_t n_rows : {1, 2, 3, 5, 8, 9, 17, 64})
    for (const auto& [n_in, n_out] : {std::pair{1, 1}, {7, 3}, {96, 128}, {192, 96}, {96, 320}, {300, 65}}) {
      const Tensor x = random_tensor({n_rows, n_in}, 1, 1), w = random_tensor({n_out, n_in}, 1, 2),
                   g = random_tensor({n_in}, 1, 3);
      const auto product = [&](Backend& b) {
        const Tensor xb = b.upload(x.view()), wb = b.upload(w.view());
        Tensor out = b.make_tensor({n_rows, n_out});
        b.run(Linear{kHere, xb.view(), wb.view(), {}, out.view()});
        return to_doubles(b, out.view());
      };
      const auto norm = [&](Backend& b) {
        const Tensor xb = b.upload(x.view()), gb = b.upload(g.view());
        Tensor out = b.make_tensor({n_rows, n_in});
        b.run(RmsNorm{kHere, xb.view(), gb.view(), 1e-5f, out.view()});
        return to_doubles(b, out.view());
      };
      const auto gated = [&](Backend& b) {
        const Tensor xb = b.upload(x.view());
        Tensor out = b.make_tensor({n_rows, n_in});
        b.run(Swiglu{kHere, xb.view(), xb.view(), out.view()});
        return to_doubles(b, out.view());
      };
      const auto judged = [&](const char* name, const auto& compute) {
        const auto expected = compute(judge);
        const Difference worst = difference(compute(eigen), expected);
        CAPTURE(name);
        CAPTURE(n_rows);
        CAPTURE(n_in);
        CAPTURE(n_out);
        INFO(worst.to_string());
        CHECK(worst.largest <= tolerance(compute, expected));
      };
      judged("linear", product);
      judged("rms_norm", norm);
      judged("swiglu", gated);
    }
}

TEST_CASE("layer_norm and gelu err at most as the tolerance rule allows, on every backend") {
  NaiveBackend<double> judge;
  for (const auto& [n_rows, dim] : {std::pair{1, 1}, {1, 5}, {3, 96}, {17, 33}, {2, 300}}) {
    const Tensor x = random_tensor({n_rows, dim}, 1, 1), w = random_tensor({dim}, 1, 2),
                 bias = random_tensor({dim}, 1, 3);
    const auto norm = [&](Backend& b) {
      const Tensor xb = b.upload(x.view()), wb = b.upload(w.view()), biasb = b.upload(bias.view());
      Tensor out = b.make_tensor({n_rows, dim});
      b.run(LayerNorm{kHere, xb, wb, biasb, 1e-5f, out});
      return to_doubles(b, out.view());
    };
    const auto activated = [&](Backend& b) {
      const Tensor xb = b.upload(x.view());
      Tensor out = b.make_tensor({n_rows, dim});
      b.run(Gelu{kHere, xb, out});
      return to_doubles(b, out.view());
    };
    const auto expected_norm = norm(judge), expected_gelu = activated(judge);
    const double norm_bound = tolerance(norm, expected_norm),
                 gelu_bound = tolerance(activated, expected_gelu);
    for (const auto& b : all_backends()) {
      CAPTURE(b->info().name);
      CAPTURE(dim);
      CHECK(difference(norm(*b), expected_norm).largest <= norm_bound);
      CHECK(difference(activated(*b), expected_gelu).largest <= gelu_bound);
    }
  }
}

TEST_CASE("the number of threads does not change a bit of a linear layer") {
  for (const int64_t n_rows : {1, 7, 33}) {
    const Tensor x = random_tensor({n_rows, 1500}, 1, 1), w = random_tensor({1111, 1500}, 1, 2);
    std::vector<std::vector<double>> results;
    for (const int32_t n_threads : {1, 2, 4}) {
      EigenBackend b(n_threads);
      Tensor out = b.make_tensor({n_rows, 1111});
      b.run(Linear{kHere, x.view(), w.view(), {}, out.view()});
      results.push_back(to_doubles(b, out.view()));
    }
    CHECK(results[0] == results[1]);
    CHECK(results[0] == results[2]);
  }
}

TEST_CASE("wrong operands of each operation are refused") {
  for (const auto& b : all_backends()) {
    auto storage = b->make_storage(CacheSpec::contiguous(1, 1, 4, 16));
    StepPlan plan = plan_at({0}, {5});
    const Batch& batch = b->begin_step(plan, *storage);
    Tensor x = b->make_tensor({1, 4}), y = b->make_tensor({1, 3}), table = b->make_tensor({5, 4}),
           w = b->make_tensor({4, 4});
    CHECK_THROWS_WITH_AS(b->run(Embed{kHere, table.view(), batch, x.view()}),
                         doctest::Contains("token 5 is outside"), ShapeError);
    CHECK_THROWS_AS(b->run(Linear{kHere, y.view(), w.view(), {}, x.view()}), ShapeError);
    CHECK_THROWS_AS(b->run(RmsNorm{kHere, y.view(), w.view(), 1e-5f, y.view()}), ShapeError);
    CHECK_THROWS_AS(b->run(LayerNorm{kHere, x, table, table, 1e-5f, x}), ShapeError);
    CHECK_THROWS_AS(b->run(Gelu{kHere, y, x}), ShapeError);
    CHECK_THROWS_AS(b->run(EmbedPositions{kHere, table, batch, y}), ShapeError);
    const StepPlan beyond = plan_at({5}, {0});
    CHECK_THROWS_WITH_AS(b->run(EmbedPositions{kHere, table, b->begin_step(beyond, *storage), x}),
                         doctest::Contains("position 5 has no row in the table of learned positions"),
                         ShapeError);
    b->begin_step(plan, *storage);
    CHECK_THROWS_AS(b->run(Add{kHere, y.view(), x.view()}), ShapeError);
    CHECK_THROWS_AS(b->run(Swiglu{kHere, y.view(), x.view(), x.view()}), ShapeError);
    CHECK_THROWS_AS(b->run(GatherRows{kHere, x.view(), batch, x.view()}), ShapeError);
    Tensor k = b->make_tensor({1, 1, 4}), narrow = b->make_tensor({1, 1, 3});
    CHECK_THROWS_AS(b->run(Append{{0, "append"}, k.view(), narrow.view(), batch, *storage}), ShapeError);
    CHECK_THROWS_AS(b->run(Append{{1, "append"}, k.view(), k.view(), batch, *storage}), ShapeError);
    const int64_t slot = 16;
    CHECK_THROWS_AS(b->write_rows(*storage, 0, RowKind::k, {&slot, 1}, k.view()), ShapeError);
    const BlockCopy copy{0, 1};
    CHECK_THROWS_AS(b->copy_blocks(*storage, {&copy, 1}), ShapeError);
  }
}
