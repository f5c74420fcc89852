#include "cache/alternating_cache.h"

#include "core/error.h"

namespace lastrow {
namespace {

/// The options of the layers that see all keys.
CacheOptions full_options(const CacheOptions& options) {
  return {.kind = "paged",
          .block_len = options.block_len,
          .dtype_k = options.dtype_k,
          .dtype_v = options.dtype_v};
}

}  // namespace

CacheSpec alternating_spec(const CacheOptions& options, const CacheSizes& sizes) {
  const CacheSpec ring = window_spec(options, sizes);
  CacheSpec spec = cache_spec(full_options(options), sizes);
  spec.windowed = {options.windowed_every, ring.n_blocks, ring.held_rows, ring.table_len};
  validate(spec);
  return spec;
}

AlternatingCache::AlternatingCache(const CacheOptions& options, const CacheSizes& sizes)
    : spec_(alternating_spec(options, sizes)),
      full_(spec_.group(0), sizes.n_seqs),
      windowed_(spec_.group(1), sizes.n_seqs, window_rule(options, sizes)) {}

const KvCache& AlternatingCache::group(int32_t i) const {
  if (i == 1) return windowed_;
  return full_;
}

/// The two plans of the step are in one: the plan itself, and StepPlan::of_windowed.
const StepPlan& AlternatingCache::plan(std::span<const SequenceInput> inputs) {
  LASTROW_CHECK(full_plan_ == nullptr, "plan() again before commit() or abort()");
  full_plan_ = &full_.plan(inputs);
  try {
    windowed_plan_ = &windowed_.plan(inputs);
    std::vector<StepPlan> of_windowed = std::move(plan_.of_windowed);  // keeps the memory of its arrays
    plan_ = *full_plan_;
    plan_.of_windowed = std::move(of_windowed);
    plan_.of_windowed.resize(1);
    plan_.of_windowed.front() = *windowed_plan_;
    plan_.windowed_every = spec_.windowed.every;
  } catch (...) {
    forget_plans();
    throw;
  }
  return plan_;
}

/// Aborts the plans that were made for the current step.
void AlternatingCache::forget_plans() {
  full_.abort(*full_plan_);
  if (windowed_plan_ != nullptr) windowed_.abort(*windowed_plan_);
  full_plan_ = windowed_plan_ = nullptr;
}

void AlternatingCache::require_current(const StepPlan& plan) const {
  LASTROW_CHECK(full_plan_ != nullptr && &plan == &plan_,
                "commit() or abort() of a plan that is not the current one");
}

void AlternatingCache::commit(const StepPlan& plan) {
  require_current(plan);
  full_.commit(*full_plan_);
  windowed_.commit(*windowed_plan_);
  full_plan_ = windowed_plan_ = nullptr;
}

void AlternatingCache::abort(const StepPlan& plan) {
  require_current(plan);
  forget_plans();
}

void AlternatingCache::truncate(int32_t sequence, int32_t n_tokens) {
  windowed_.truncate(sequence, n_tokens);  // throws if it cannot, and then nothing has changed
  full_.truncate(sequence, n_tokens);
}

void AlternatingCache::fork(int32_t from, int32_t to) { windowed_.fork(from, to); }  // refuses it

int32_t AlternatingCache::adopt_prefix(int32_t sequence, std::span<const int32_t> tokens) {
  return windowed_.adopt_prefix(sequence, tokens);
}

CacheUsage AlternatingCache::usage() const {
  CacheUsage usage = full_.usage();
  usage.rows_evicted = windowed_.usage().rows_evicted;
  return usage;
}

void AlternatingCache::copy_from(const KvCache& other) {
  const auto* same = dynamic_cast<const AlternatingCache*>(&other);
  LASTROW_CHECK(same != nullptr && same->spec_.windowed.every == spec_.windowed.every,
                "copy_from() a cache of another kind or size");
  LASTROW_CHECK(full_plan_ == nullptr && same->full_plan_ == nullptr,
                "copy_from() between plan() and commit() or abort()");
  full_.copy_from(same->full_);
  windowed_.copy_from(same->windowed_);
}

}  // namespace lastrow
