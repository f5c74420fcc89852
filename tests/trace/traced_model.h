// A small random decoder on a naive backend, with a recorder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/naive.h"
#include "cache/make_cache.h"
#include "model/decoder.h"
#include "trace/recorder.h"
#include "trace/tracing.h"

namespace lastrow::test {

/// 4 query heads, 2 K/V heads, head_dim 8, model_dim 32, ffn_dim 48, vocabulary 50, context 32.
struct TracedModel {
  TracedModel(RecordOptions options, int32_t n_layers, const CacheOptions& cache_options = {})
      : model(random_model("random:layers=" + std::to_string(n_layers) +
                           ",q_heads=4,kv_heads=2,head_dim=8,ffn=48,vocab=50,context=32,seed=1")),
        recorder(std::move(options)),
        made(make_cache(cache_options,
                        {.n_layers = n_layers,
                         .n_kv_heads = 2,
                         .head_dim = 8,
                         .max_seq_len = 32,
                         .longest_step = cache_options.positions == Positions::renumbered ? 1 : 4})) {
    if (cache_options.positions == Positions::renumbered) workspace.make_rotated_keys(cache.spec(), tracing);
  }

  /// One forward of these tokens through `outermost`, or through the tracer if there is none.
  void step(const std::vector<int32_t>& tokens, Backend* outermost = nullptr) {
    Backend& backend = outermost != nullptr ? *outermost : tracing;
    const SequenceInput input{0, tokens, LogitRows::last};
    const StepPlan& plan = cache.plan({&input, 1});
    const Batch& batch = backend.begin_step(plan, *storage);
    const TensorView out = decoder.forward(backend, batch, *storage, workspace);
    cache.commit(plan);
    logits.resize(static_cast<size_t>(out.size()));
    backend.download(out, TensorView(logits.data(), out.shape()));
  }

  std::shared_ptr<const Model> model;
  NaiveBackend<float> naive;
  Recorder recorder;
  TracingBackend tracing{naive, recorder};
  Decoder decoder{*model, tracing};
  Workspace workspace{model->config(), tracing, 32, 1};
  std::unique_ptr<KvCache> made;
  KvCache& cache = *made;
  std::unique_ptr<KvStorage> storage = tracing.make_storage(cache.spec());
  std::vector<float> logits;  // the logits of the last token of the last step
};

}  // namespace lastrow::test
