// The rows of `lastrow eval`: a cache and its types, and what they cost in quality and save in bytes.
//
//   for (const EvalRow& row : all_rows(context)) …       the table of --all
//   EvalJob job(model, texts, backend_flags, n_rows);    runs the reference
//   EvalResult r = job.measure(row);                     then each row, against the same reference
//
// all_rows is the one list of the caches in that table. A row names its cache as --cache does. If this build, or
// this backend, refuses it, the table says so in place of numbers.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cli/backend_flags.h"
#include "cli/terminal.h"
#include "session/evaluation.h"

namespace lastrow::cli {

struct EvalRow {
  std::string cache = "contiguous", kv_dtype = "f32";  // as in --cache and --kv-dtype
};

/// The types of K and V in a contiguous cache; blocks, in f32 and in the type that needs them; then each policy that
/// forgets rows, in f32. These keep a quarter and an eighth of the context.
std::vector<EvalRow> all_rows(int32_t context);

struct EvalResult {
  EvalRow row;
  std::string refused{};  // why nothing was measured; "": it was
  Quality quality{};
  Change change{};              // of the perplexity
  int64_t storage_bytes = 0;    // that were allocated for K and V; a backend may round up what it allocates
  int64_t bytes_per_token = 0;  // DecodeSession::token_bytes
};

class EvalJob {
 public:
  /// Runs the reference. `n_rows` will be measured; progress counts their steps too. Throws as run_reference
  /// does, and CapacityError if there is too little memory, or the emulator would take too long.
  EvalJob(std::shared_ptr<const Model> model, const Texts& texts, const BackendFlags& backend,
          int64_t n_rows);

  const Reference& reference() const { return reference_; }
  int64_t reference_bytes() const { return reference_bytes_; }

  /// Throws UsageError or ShapeError for a cache that cannot be made or used, and as the constructor does.
  EvalResult measure(const EvalRow& row);
  /// The same, but what the cache refuses becomes EvalResult::refused. A lack of memory or time still throws.
  EvalResult try_measure(const EvalRow& row);
  /// On standard output, while progress is shown.
  void print(std::string_view text) { progress_.print(text); }

 private:
  std::unique_ptr<DecodeSession> session(const CacheOptions& cache) const;
  void on_step(int64_t n_steps);

  std::shared_ptr<const Model> model_;
  const Texts& texts_;
  const BackendFlags& backend_;
  const int64_t n_runs_;
  int64_t n_done_ = 0;  // runs
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  Progress progress_{"steps of all runs"};
  Reference reference_;
  int64_t reference_bytes_ = 0;
};

}  // namespace lastrow::cli
