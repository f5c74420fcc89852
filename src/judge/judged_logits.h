// The logits of a whole text from one forward, and the largest difference that rounding can explain.
//
//   std::vector<double> logits = all_logits(*model, backend, tokens);    [n_tokens · vocab_size], one prefill
//   JudgedLogits judged = judged_logits(*model, tokens);                 by naive-f64, with the bound
//   judged_logits(*model, tokens, window, sinks);                        under the mask of a window cache
//   difference(logits, judged.logits).largest <= judged.bound            rounding; if it is larger: a bug
//
// The bound is that of judge/tolerance.h: twice the largest error of naive<float> over 16 seeded orders of
// summation, plus one epsilon of f32 × the largest logit. It is measured for these tokens, not chosen.
// judged_logits makes its own backends, so a --fault does not change them.
#pragma once

#include <span>
#include <vector>

#include "cache/contiguous_cache.h"
#include "judge/tolerance.h"
#include "model/decoder.h"

namespace lastrow::judge {

inline std::vector<double> all_logits(const Model& model, Backend& backend, std::span<const int32_t> tokens,
                                      int32_t window = 0, int32_t sinks = 0) {
  const ModelConfig& config = model.config();
  const auto n = static_cast<int32_t>(tokens.size());
  const CacheSpec spec = CacheSpec::contiguous(config.n_layers, config.n_kv_heads, config.head_dim, n);
  const auto storage = backend.make_storage(spec);
  ContiguousCache cache(spec, window, sinks);
  Decoder decoder(model, backend);
  Workspace workspace(config, backend, n, n);
  const SequenceInput input{0, tokens, LogitRows::all};
  const StepPlan& plan = cache.plan({&input, 1});
  const TensorView rows = decoder.forward(backend, backend.begin_step(plan, *storage), *storage, workspace);
  cache.commit(plan);
  std::vector<double> logits(static_cast<size_t>(rows.size()));
  backend.download(rows, TensorView(logits.data(), rows.shape()));
  return logits;
}

struct JudgedLogits {
  std::vector<double> logits;  // [n_tokens · vocab_size]
  double bound = 0;
};

inline JudgedLogits judged_logits(const Model& model, std::span<const int32_t> tokens, int32_t window = 0,
                                  int32_t sinks = 0) {
  const auto compute = [&](Backend& backend) { return all_logits(model, backend, tokens, window, sinks); };
  NaiveBackend<double> exact;
  JudgedLogits judged{compute(exact)};
  judged.bound = tolerance(compute, judged.logits);
  return judged;
}

}  // namespace lastrow::judge
