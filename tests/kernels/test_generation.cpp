// A whole decoder over the kernels: what it generates is what eigen generates, and a rung that is asked for
// is the one that attends.
#include <doctest/doctest.h>

#include "backend/attend_case.h"
#include "backend/naive.h"
#include "registry/registry.h"
#include "session/session.h"

namespace lastrow {
namespace {

struct Run {
  std::vector<int32_t> tokens;
  std::vector<std::vector<float>> logits;
  std::string attend_kernel;
};

Run generate(const std::string& model_name, std::unique_ptr<Backend> backend, int32_t n_tokens,
             SessionOptions options = {}) {
  const auto model = load_model(model_name);
  DecodeSession session(model, std::move(backend), options);
  session.start(model->tokenizer().encode("the quick brown fox"));
  Run run;
  for (int32_t i = 0; i < n_tokens; ++i) {
    session.advance();
    run.tokens.push_back(session.next_token());
    run.logits.emplace_back(session.logits().begin(), session.logits().end());
  }
  run.attend_kernel = session.backend_info().attend_kernel;
  return run;
}

float margin(const std::vector<float>& logits) {
  std::vector<float> sorted = logits;
  std::partial_sort(sorted.begin(), sorted.begin() + 2, sorted.end(), std::greater<>());
  return sorted[0] - sorted[1];
}

/// Equal tokens, or a first difference where the two best logits are nearer than the bound.
void expect_same_text(const Run& run, const Run& reference) {
  constexpr float kLogitBound = 1e-3f;  // far above rounding (1e-5 is usual), far below the models' margins
  for (size_t i = 0; i < reference.tokens.size(); ++i) {
    if (run.tokens[i] == reference.tokens[i]) continue;
    CHECK(margin(reference.logits[i]) < 2 * kLogitBound);
    return;
  }
  for (size_t j = 0; j < reference.logits.back().size(); ++j)
    CHECK(run.logits.back()[j] == doctest::Approx(reference.logits.back()[j]).epsilon(1e-4).scale(10));
}

TEST_CASE("24 tokens of each built-in model are those of eigen") {
  for (const char* model : {"fable-mha", "fable-gqa", "fable-mqa"}) {
    CAPTURE(std::string(model));
    const Run eigen = generate(model, make_backend("eigen", 1), 24);
    const Run emulated = generate(model, make_backend("cuda-emulated", 2), 24);
    CHECK(emulated.tokens == eigen.tokens);
    expect_same_text(emulated, eigen);
    CHECK(emulated.attend_kernel.starts_with("k0"));
  }
}

TEST_CASE("each rung generates the same text, under all checks, and says that it ran") {
  const Run eigen = generate("fable-gqa", make_backend("eigen", 1), 3);
  for (const char* kernel :
       {"k01", "k02", "k03", "k04", "k05", "k06", "k07", "k08", "k09", "k10", "k11", "k12"}) {
    CAPTURE(std::string(kernel));
    gpu::DeviceOptions options;
    options.kernel = kernel;
    options.check = true;
    const Run run = generate("fable-gqa", make_backend("cuda-emulated", options), 3);
    expect_same_text(run, eigen);
    const bool named =
        run.attend_kernel.starts_with(kernel) ||
        run.attend_kernel.find(std::string(kernel) + " cannot take this call") != std::string::npos;
    CHECK(named);
  }
}

TEST_CASE("recompute and narrow caches work as on the other backends") {
  const Run recompute = generate("fable-mqa", make_backend("cuda-emulated", 2), 5, {.mode = Mode::recompute});
  expect_same_text(recompute, generate("fable-mqa", make_backend("eigen", 1), 5));
  for (const DType dtype : {DType::f16, DType::bf16, DType::i8, DType::fp8_e4m3}) {
    const Run emulated = generate("fable-mqa", make_backend("cuda-emulated", 2), 5, {.kv_dtype = dtype});
    expect_same_text(emulated, generate("fable-mqa", make_backend("eigen", 1), 5, {.kv_dtype = dtype}));
  }
}

TEST_CASE("a kernel that is not in the ladder, or asked of a backend without one, is refused") {
  gpu::DeviceOptions options;
  options.kernel = "k99";
  CHECK_THROWS_WITH_AS(make_backend("cuda-emulated", options), doctest::Contains("use one of k01, k02"),
                       UsageError);
  options.kernel = "k01";
  CHECK_THROWS_WITH_AS(make_backend("eigen", options), doctest::Contains("has no kernels to choose from"),
                       UsageError);
  CHECK_THROWS_WITH_AS(make_backend("eigen:k01"), doctest::Contains("has no kernels to choose from"),
                       UsageError);
  CHECK_THROWS_WITH_AS(make_backend("cuda-emulated:k02", options), doctest::Contains("give one of them"),
                       UsageError);
  CHECK(make_backend("cuda-emulated:k01", options)->info().name == "cuda-emulated");
  CHECK_THROWS_AS(traffic_report(*make_backend("eigen", 1)), UsageError);
}

TEST_CASE("the smallest problem there is runs on every rung") {
  NaiveBackend<double> judge;
  const testing::AttendCase c{.n_q_heads = 1, .n_kv_heads = 1, .head_dim = 1, .sequences = {{1, 1}}};
  for (const KernelEntry& kernel : list_kernels()) {
    CAPTURE(kernel.name);
    const auto backend = make_backend("cuda-emulated:" + kernel.name);
    CHECK(testing::attend(*backend, c).out == testing::attend(judge, c).out);  // one key: its value
  }
}

TEST_CASE("a shape that no rung takes is refused, and not left unanswered") {
  const auto backend = make_backend("cuda-emulated", 1);
  testing::AttendCase c{
      .n_q_heads = 2, .n_kv_heads = 2, .head_dim = 300, .sequences = {{1, 5}}, .kv_dtype = DType::f16};
  CHECK_THROWS_WITH_AS(testing::attend(*backend, c),
                       doctest::Contains("no kernel takes K/V in f16 with a head_dim of 300"), ShapeError);
}

TEST_CASE("the traffic report names the kernel and its source lines") {
  gpu::DeviceOptions options;
  options.kernel = "k05";
  options.report = true;
  auto backend = make_backend("cuda-emulated", options);
  const Backend& watched = *backend;
  const auto model = load_model("fable-gqa");
  DecodeSession session(model, std::move(backend), {});
  session.start(model->tokenizer().encode("the quick brown fox"));
  session.advance();
  const std::string report = traffic_report(watched);
  CHECK(report.find("k05_vector_loads   grid ") != std::string::npos);
  CHECK(report.find("k05_vector_loads.cu:") != std::string::npos);
  CHECK(report.find("rms_norm.cu:") != std::string::npos);
}

}  // namespace
}  // namespace lastrow
