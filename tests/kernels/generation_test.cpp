// A whole decoder on the kernels: its text and logits are the judge's, and the forced or chosen rung is the
// one that attends.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

#include "judge/attend_case.h"
#include "judge/tolerance.h"
#include "registry/registry.h"
#include "session/session.h"

namespace lastrow {
namespace {

const char* const kShortPrompt = "the quick brown fox";
/// At least 20 tokens: prefill kernels are used from 16 tokens on, and with 4 query heads per K/V head 80
/// rows are two tiles of k12.
const char* const kLongPrompt =
    "the quick brown fox jumps over the lazy dog . the quick brown fox jumps over the lazy dog .";

struct Run {
  std::vector<int32_t> tokens;              // [n_steps]
  std::vector<double> logits;               // [n_steps, vocab_size]
  std::vector<std::string> attend_kernels;  // [n_steps]
};

struct Task {
  const char* model;
  const char* prompt = kShortPrompt;
  int32_t n_steps = 5;  // the prefill included
  SessionOptions options{};
};

/// If `held` is given, the steps are fed those tokens, whatever they generate.
Run generate(const Task& task, std::unique_ptr<Backend> backend, const std::vector<int32_t>* held = nullptr) {
  const auto model = load_model(task.model);
  DecodeSession session(model, std::move(backend), task.options);
  session.start(model->tokenizer().encode(task.prompt));
  Run run;
  for (int32_t i = 0; i < task.n_steps; ++i) {
    session.advance(held == nullptr || i == 0 ? -1 : held->at(static_cast<size_t>(i) - 1));
    run.tokens.push_back(session.next_token());
    run.logits.insert(run.logits.end(), session.logits().begin(), session.logits().end());
    run.attend_kernels.push_back(session.backend_info().attend_kernel);
  }
  return run;
}

/// What naive-f64 generates, and how far the logits of another backend may be from its logits.
struct Judged {
  Run run;
  double bound;
};

/// The difference between 1 and the next value of a stored type. For int8, int4 and fp4, the largest step if
/// the largest value of the row or group is 1.
double epsilon_of(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return 0x1p-10;
    case DType::bf16:
      return 0x1p-7;
    case DType::fp8_e4m3:
      return 0x1p-3;
    case DType::i8:
    case DType::i8_channel:
      return 1.0 / 127;
    case DType::i4x2:
      return 1.0 / 7;
    case DType::fp4x2:
      return 2.0 / 6;
    default:
      return double{std::numeric_limits<float>::epsilon()};
  }
}

/// The bound is that of judge/tolerance.h over all steps, with the same tokens. In a narrow cache, an element
/// of K or V near the middle between two stored values may be rounded to either. So the one epsilon in the
/// bound is that of the stored type.
Judged judged_task(const Task& task) {
  Run run = generate(task, make_backend("naive-f64"));
  double yardstick = 0;
  for (uint64_t order = 1; order <= judge::kYardstickOrders; ++order) {
    const Run reordered = generate(task, std::make_unique<NaiveBackend<float>>(order), &run.tokens);
    yardstick = std::max(yardstick, judge::difference(reordered.logits, run.logits).largest);
  }
  const double bound = 2 * yardstick + std::max(epsilon_of(task.options.cache.dtype_k),
                                                epsilon_of(task.options.cache.dtype_v)) *
                                           judge::max_abs_finite(run.logits);
  return {std::move(run), bound};
}

/// Expects logits within the bound up to the first token that differs. A token may differ only if the judge's
/// two best logits are so close that errors within the bound can swap them.
void expect_judged(const Run& run, const Judged& judged) {
  const auto& [reference, bound] = judged;
  REQUIRE(run.logits.size() == reference.logits.size());
  const size_t n_steps = reference.tokens.size(), vocab_size = reference.logits.size() / n_steps;
  for (size_t i = 0; i < n_steps; ++i) {
    const auto of_step = [&](const std::vector<double>& all) {
      const auto first = all.begin() + static_cast<int64_t>(i * vocab_size);
      return std::vector<double>(first, first + static_cast<int64_t>(vocab_size));
    };
    std::vector<double> expected = of_step(reference.logits);
    const judge::Difference worst = judge::difference(of_step(run.logits), expected);
    const std::string text = fmt::format("step {}: {}, bound {:.3g}", i, worst.to_string(), bound);
    CHECK_MESSAGE(worst.largest <= bound, text);
    if (run.tokens[i] == reference.tokens[i]) continue;
    std::partial_sort(expected.begin(), expected.begin() + 2, expected.end(), std::greater<>());
    CHECK(expected[0] - expected[1] < 2 * bound);
    return;
  }
}

TEST_CASE("24 tokens of each built-in model are those of the judge") {
  for (const char* model : {"fable-mha", "fable-gqa", "fable-mqa"}) {
    CAPTURE(std::string(model));
    const Task task{.model = model, .n_steps = 24};
    const Run run = generate(task, make_backend("cuda-emulated", 2));
    expect_judged(run, judged_task(task));
    CHECK(run.attend_kernels == std::vector<std::string>(24, "k08"));
  }
}

TEST_CASE("each rung generates the judge's text, under all checks, and is the one that attends") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Task task{.model = "fable-gqa",
                    .prompt = kLongPrompt,
                    .n_steps = 3,
                    .options = {.cache = {.dtype_k = dtype, .dtype_v = dtype}}};
    const Judged judged = judged_task(task);
    for (const KernelEntry& kernel : list_kernels()) {
      if ((kernel.name < "k09") != (dtype == DType::f32)) continue;  // k01 … k08 take f32, the others do not
      CAPTURE(kernel.name);
      gpu::DeviceOptions options;
      options.kernel = kernel.name;
      options.check = true;
      const Run run = generate(task, make_backend("cuda-emulated", options));
      expect_judged(run, judged);
      CHECK(run.attend_kernels == std::vector<std::string>(3, kernel.name));
    }
  }
}

TEST_CASE("a forced rung that cannot take the cache is replaced, and the backend says why") {
  const Run run = generate({.model = "fable-gqa", .n_steps = 2}, make_backend("cuda-emulated:k12"));
  CHECK(run.attend_kernels ==
        std::vector<std::string>(2, "k08 (k12 cannot take this call: it needs K/V in f16 or bf16)"));
}

TEST_CASE("recompute and narrow caches generate the judge's text, with the rungs that are chosen for them") {
  const Task recompute{.model = "fable-mqa", .options = {.mode = Mode::recompute}};
  expect_judged(generate(recompute, make_backend("cuda-emulated", 2)), judged_task(recompute));
  for (const auto& [types, prefill, decode] : {std::tuple{KvDtypes(DType::f32), "k04", "k08"},
                                               {DType::f16, "k12", "k11"},
                                               {DType::bf16, "k12", "k11"},
                                               {DType::i8, "k11", "k11"},
                                               {DType::fp8_e4m3, "k11", "k11"},
                                               {{DType::i8, DType::fp8_e4m3}, "k09", "k09"},
                                               {{DType::i8, DType::fp4x2}, "k13", "k13"},
                                               {DType::i4x2, "k13", "k13"}}) {
    CAPTURE(kv_dtypes_name(types));
    const Task task{.model = "fable-mqa",
                    .prompt = kLongPrompt,
                    .n_steps = 3,
                    .options = {.cache = {.dtype_k = types.k, .dtype_v = types.v}}};
    const Run run = generate(task, make_backend("cuda-emulated", 2));
    expect_judged(run, judged_task(task));
    CHECK(run.attend_kernels == std::vector<std::string>{prefill, decode, decode});
  }
}

/// The steps of 24 tokens and more seal a block of 4 each; the prompt has 20.
TEST_CASE("K with a scale for each channel generates the judge's text, under all checks") {
  for (const auto& [dtype_v, kernel, ran] :
       {std::tuple{DType::i8, "", "k13"},
        {DType::f32, "k08", "k13 (k08 cannot take this call: it needs K and V in the same type)"}}) {
    const Task task{
        .model = "fable-gqa",
        .prompt = kLongPrompt,
        .n_steps = 12,
        .options = {
            .chunk = 20,
            .cache = {.kind = "paged", .block_len = 4, .dtype_k = DType::i8_channel, .dtype_v = dtype_v}}};
    gpu::DeviceOptions options;
    options.kernel = kernel;
    options.check = true;
    const Run run = generate(task, make_backend("cuda-emulated", options));
    expect_judged(run, judged_task(task));
    CHECK(run.attend_kernels == std::vector<std::string>(12, ran));
  }
}

TEST_CASE("the long prompt is long enough for tiles of queries") {
  for (const char* model : {"fable-gqa", "fable-mqa"})
    CHECK(load_model(model)->tokenizer().encode(kLongPrompt).size() >= 20);
}

TEST_CASE("an unknown kernel, and a kernel for a backend that has none, are refused") {
  gpu::DeviceOptions options;
  options.kernel = "k99";
  CHECK_THROWS_WITH_AS(make_backend("cuda-emulated", options), doctest::Contains("use one of k01, k02"),
                       UsageError);
  options.kernel = "k01";
  CHECK_THROWS_WITH_AS(make_backend("eigen", options), doctest::Contains("has no kernels to choose from"),
                       UsageError);
  CHECK_THROWS_WITH_AS(make_backend("eigen:k01"), doctest::Contains("has no kernels to choose from"),
                       UsageError);
  CHECK_THROWS_WITH_AS(make_backend("cuda-emulated:k02", options), doctest::Contains("give only one of them"),
                       UsageError);
  CHECK(make_backend("cuda-emulated:k01", options)->info().name == "cuda-emulated");
  CHECK_THROWS_AS(traffic_report(*make_backend("eigen", 1)), UsageError);
}

TEST_CASE("the smallest possible problem runs on every rung") {
  NaiveBackend<double> judge;
  const judge::AttendCase c{.n_q_heads = 1, .n_kv_heads = 1, .head_dim = 1, .sequences = {{1, 1}}};
  for (const KernelEntry& kernel : list_kernels()) {
    CAPTURE(kernel.name);
    const auto backend = make_backend("cuda-emulated:" + kernel.name);
    CHECK(judge::attend(*backend, c).out == judge::attend(judge, c).out);  // one key, so out is its value
  }
}

TEST_CASE("a shape that no rung takes is refused") {
  const auto backend = make_backend("cuda-emulated", 1);
  judge::AttendCase c{
      .n_q_heads = 2, .n_kv_heads = 2, .head_dim = 300, .sequences = {{1, 5}}, .kv_dtype = DType::f16};
  CHECK_THROWS_WITH_AS(judge::attend(*backend, c),
                       doctest::Contains("no kernel takes K/V in f16 with a head_dim of 300"), ShapeError);
  c.head_dim = 12, c.kv_dtype = {DType::i8, DType::fp4x2};
  CHECK_THROWS_WITH_AS(
      judge::attend(*backend, c),
      "no kernel takes K/V in k=int8,v=fp4 with a head_dim of 12 (k13: it needs head_dim that "
      "is a multiple of 8): use f32, or the backend eigen",
      ShapeError);
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
