// The backend cuda on a real GPU: whole generations, replayed steps, memory. Without a GPU it says why and
// counts as skipped. test_backend tests the operations, and `lastrow-kernels --check` the rungs.
#include <cuda_runtime_api.h>
#include <doctest/doctest.h>
#include <fmt/core.h>

#include <algorithm>

#include "gpu/cuda_backend.h"
#include "registry/registry.h"
#include "session/session.h"

namespace lastrow {
namespace {

bool has_gpu() {
  static const std::string why = why_no_cuda();
  static const bool said = [] {
    if (!why.empty()) fmt::print("skipped: no usable GPU: {}\n", why);
    return true;
  }();
  return said && why.empty();
}

struct Run {
  std::vector<int32_t> tokens;
  std::vector<std::vector<float>> logits;  // of each step
  BackendInfo info{};
};

Run generate(const std::string& model_name, const std::string& backend, SessionOptions options, int n_steps) {
  const auto model = load_model(model_name);
  DecodeSession session(model, make_backend(backend), std::move(options));
  session.start(model->tokenizer().encode("the quick brown fox"));
  Run run;
  for (int i = 0; i < n_steps; ++i) {
    session.advance();
    run.tokens.push_back(session.next_token());
    run.logits.emplace_back(session.logits().begin(), session.logits().end());
  }
  run.info = session.backend_info();
  return run;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(double{a[i]} - double{b[i]}));
  return most;
}

/// The difference of the two best logits.
double margin(std::vector<float> logits) {
  std::partial_sort(logits.begin(), logits.begin() + 2, logits.end(), std::greater<>());
  return double{logits[0]} - double{logits[1]};
}

/// What the judge generates, and how much a logit may differ: twice the error of single precision itself.
struct Judge {
  Run exact;
  double bound = 0;
  Judge(const std::string& model, const SessionOptions& options, int n_steps)
      : exact(generate(model, "naive-f64", options, n_steps)) {
    const Run single = generate(model, "naive", options, n_steps);
    for (size_t i = 0; i < exact.logits.size() && single.tokens[i] == exact.tokens[i]; ++i)
      bound = std::max(bound, 2 * largest_difference(exact.logits[i], single.logits[i]));
  }
};

/// Expects the judge's tokens, up to a token whose two best logits differ by less than twice the bound.
void expect_same_text(const Run& run, const Judge& judge) {
  for (size_t step = 0; step < run.tokens.size(); ++step) {
    CAPTURE(step);
    if (run.tokens[step] == judge.exact.tokens[step]) continue;
    CHECK(margin(judge.exact.logits[step]) < 2 * judge.bound);
    return;
  }
}

}  // namespace

TEST_CASE("a GPU generates the judge's text with each built-in model and stored type, by replayed steps") {
  if (!has_gpu()) return;
  for (const char* model : {"fable-mha", "fable-gqa", "fable-mqa"})
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::fp8_e4m3, DType::i8}) {
      CAPTURE(std::string(model));
      CAPTURE(name_of(dtype));
      const Judge judge(model, {.cache = {.dtype_k = dtype, .dtype_v = dtype}}, 24);
      const Run run = generate(model, "cuda", {.cache = {.dtype_k = dtype, .dtype_v = dtype}}, 24);
      expect_same_text(run, judge);
      CHECK(run.info.n_replayed > 15);
    }
}

TEST_CASE("on a GPU each rung generates the judge's text, in the stored types that it takes") {
  if (!has_gpu()) return;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Judge judge("fable-gqa", {.cache = {.dtype_k = dtype, .dtype_v = dtype}}, 8);
    for (const KernelEntry& kernel : list_kernels()) {
      CAPTURE(kernel.name);
      CAPTURE(name_of(dtype));
      const Run run =
          generate("fable-gqa", "cuda:" + kernel.name, {.cache = {.dtype_k = dtype, .dtype_v = dtype}}, 8);
      expect_same_text(run, judge);
      MESSAGE(name_of(dtype), ": ", run.info.attend_kernel);
    }
  }
}

TEST_CASE("on a GPU replayed steps have the same bits as steps that are run one by one") {
  if (!has_gpu()) return;
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Run replayed = generate("fable-gqa", "cuda", {.cache = {.dtype_k = dtype, .dtype_v = dtype}}, 40);
    const Run traced = generate(
        "fable-gqa", "cuda", {.record = RecordOptions{}, .cache = {.dtype_k = dtype, .dtype_v = dtype}}, 40);
    CHECK(replayed.info.n_replayed > 30);
    CHECK(traced.info.n_replayed == 0);
    CHECK(replayed.tokens == traced.tokens);
    CHECK(replayed.logits == traced.logits);
  }
}

TEST_CASE("a thousand decode steps use no more memory of a GPU") {
  if (!has_gpu()) return;
  const auto model = load_model("random:layers=2,q_heads=8,kv_heads=2,head_dim=64,context=1100,vocab=64");
  DecodeSession session(model, make_backend("cuda"), {});
  session.start(std::vector<int32_t>(5, 7));
  const auto free_bytes = [] {
    size_t free = 0, total = 0;
    CHECK(cudaMemGetInfo(&free, &total) == cudaSuccess);
    return static_cast<int64_t>(free);
  };
  for (int i = 0; i < 300; ++i) session.advance();  // now there are graphs for 128, 256 and 512 keys
  const int64_t before = free_bytes();
  for (int i = 0; i < 700; ++i) session.advance();
  // The driver may keep one more graph, for 1,024 keys. If each step leaked a page, that would be 2.7 MiB.
  CHECK(before - free_bytes() <= int64_t{2} << 20);
}

}  // namespace lastrow
