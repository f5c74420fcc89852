#include "cli/eval_rows.h"

#include <algorithm>

#include "cli/memory_check.h"
#include "core/error.h"
#include "core/memory_limit.h"

namespace lastrow::cli {

std::vector<EvalRow> all_rows(int32_t context) {
  std::vector<EvalRow> rows;
  for (const char* dtype : {"f32", "f16", "bf16", "int8", "k=int8,v=f32", "k=f32,v=int8", "fp8", "int4",
                            "k=int4,v=f32", "k=f32,v=int4", "fp4"})
    rows.push_back({.kv_dtype = dtype});
  rows.push_back({.cache = "paged"});
  rows.push_back({.cache = "paged", .kv_dtype = "int8-channel"});
  for (const int32_t n : {context / 4, context / 8}) {  // rows that are kept
    const int32_t sinks = std::min(4, n / 2);
    if (sinks < 1) continue;
    rows.push_back({.cache = fmt::format("window:w={}", n)});
    rows.push_back({.cache = fmt::format("window:w={},sinks={}", n - sinks, sinks)});
    rows.push_back({.cache = fmt::format("window:w={},sinks={},positions=new", n - sinks, sinks)});
    for (const std::string& policy :
         std::vector<std::string>{"oldest", fmt::format("sinks,sinks={}", sinks), "heavy", "random"})
      rows.push_back({.cache = fmt::format("budget:rows={},policy={}", n, policy)});
  }
  return rows;
}

EvalJob::EvalJob(std::shared_ptr<const Model> model, const Texts& texts, const BackendFlags& backend,
                 int64_t n_rows)
    : model_(std::move(model)), texts_(texts), backend_(backend), n_runs_(n_rows + 1) {
  require_memory(lastrow::reference_bytes(texts, model_->config().vocab_size), "the logits of the reference",
                 "use a shorter text");
  const auto whole = session({});
  reference_bytes_ = whole->storage_bytes();
  reference_ = run_reference(*whole, texts_, [this](int64_t n) { on_step(n); });
  ++n_done_;
}

std::unique_ptr<DecodeSession> EvalJob::session(const CacheOptions& cache) const {
  auto backend = backend_.make();
  require_room(*model_, backend->info(), {.cache = cache, .chunk = 1});
  // A step feeds one token, so a cache that limits steps needs no room for a longer chunk.
  return std::make_unique<DecodeSession>(model_, std::move(backend),
                                         SessionOptions{.chunk = 1, .cache = cache});
}

void EvalJob::on_step(int64_t n_steps) {
  const int64_t n_all = n_predictions(texts_), done = n_done_ * n_all + n_steps;
  progress_.at(done, n_runs_ * n_all);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  backend_.require_in_time(elapsed.count(), static_cast<double>(done) / static_cast<double>(n_runs_ * n_all));
}

EvalResult EvalJob::measure(const EvalRow& row) {
  const auto tested = session(cache_options(row.cache, row.kv_dtype));
  EvalResult result{.row = row, .storage_bytes = tested->storage_bytes()};
  result.quality = evaluate(*tested, texts_, reference_, [this](int64_t n) { on_step(n); });
  result.bytes_per_token = tested->token_bytes();
  result.change = perplexity_change(reference_, result.quality);
  ++n_done_;
  return result;
}

EvalResult EvalJob::try_measure(const EvalRow& row) {
  try {
    return measure(row);
  } catch (const UsageError& e) {
    ++n_done_;
    return {.row = row, .refused = e.what()};
  } catch (const ShapeError& e) {
    ++n_done_;
    return {.row = row, .refused = e.what()};
  }
}

}  // namespace lastrow::cli
