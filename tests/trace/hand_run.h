// A small random decoder on paged storage, with block tables that a test writes out by hand.
//
//   HandRun run(faulty);                                              a backend, perhaps with a fault
//   run.step({{.sequence = 0, .blocks = {2, 0}, .tokens = {3, 14, 15, 9, 26}}});             a prefill
//   run.step({{.sequence = 0, .blocks = {2, 0}, .past = 5, .tokens = {5}}});                 a decode
//   run.logits[0]                                                     after the last token of the first part
//   run.recorder                                                      every output of every step
//
// So a test can lay out what a cache would: shared blocks, chunks, batches. step() also takes a cache's plan.
#pragma once

#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "trace/recorder.h"
#include "trace/tracing.h"

namespace lastrow::test {

/// What one sequence feeds in a step.
struct Part {
  int32_t sequence = 0;
  std::vector<int32_t> blocks;  // its block table
  int32_t past = 0;             // rows that it holds
  std::vector<int32_t> tokens;
  int32_t n_forgotten = 0;  // rows that it held before; then its tokens have larger positions than indices
};

struct HandRun {
  static constexpr int32_t kLayers = 2, kContext = 32;

  /// 4 query heads, 2 K/V heads, head_dim 8, vocabulary 50.
  static std::shared_ptr<const Model> small_model() {
    return random_model("random:layers=2,q_heads=4,kv_heads=2,head_dim=8,ffn=48,vocab=50,context=32,seed=1");
  }

  /// The same sizes. Layer 0 sees the last 3 keys; layer 1 sees all, or as many with a period of 1.
  static std::shared_ptr<const Model> windowed_model(int period = 2) {
    return random_model(
        "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,ffn=48,vocab=50,context=32,seed=1,window=3,"
        "window_period=" +
        std::to_string(period));
  }

  explicit HandRun(Backend& backend, int32_t block_len = 4, std::shared_ptr<const Model> of = small_model())
      : HandRun(backend, std::move(of),
                {.n_layers = kLayers,
                 .n_kv_heads = 2,
                 .head_dim = 8,
                 .max_seq_len = kContext,
                 .block_len = block_len,
                 .n_blocks = 2 * kContext / block_len}) {}

  /// For a cache of this spec, whose plans go to step().
  HandRun(Backend& backend, std::shared_ptr<const Model> of, const CacheSpec& cache)
      : model(std::move(of)),
        tracing(backend, recorder),
        decoder(*model, tracing),
        workspace(model->config(), tracing, /*max_tokens=*/kContext, /*max_logit_rows=*/4),
        spec(cache),
        storage(tracing.make_storage(spec)) {
    for (int32_t layer = 0; layer < kLayers; ++layer)
      for (const RowKind kind : {RowKind::k, RowKind::v})  // NaN in every slot
        for (const TensorView& all : {storage->rows(layer, kind), storage->scales(layer, kind)})
          if (!all.empty()) std::memset(all.raw(), 0xFF, static_cast<size_t>(all.size_bytes()));
  }

  StepPlan plan_of(const std::vector<Part>& parts) const {
    StepPlan plan;
    plan.block_len = spec.block_len;
    plan.blocks_per_seq = spec.max_blocks_per_seq();
    plan.q_start = {0};
    for (const Part& part : parts) {
      std::vector<int32_t> table = part.blocks;
      table.resize(static_cast<size_t>(plan.blocks_per_seq), -1);
      plan.block_tables.insert(plan.block_tables.end(), table.begin(), table.end());
      int32_t index = part.past;
      for (const int32_t token : part.tokens) {
        plan.tokens.push_back(token);
        plan.positions.push_back(part.n_forgotten + index);
        plan.append_slots.push_back(slot_of({table.data(), plan.blocks_per_seq, plan.block_len}, index++));
      }
      plan.q_start.push_back(plan.n_tokens());
      plan.kv_len.push_back(index);
      plan.logit_rows.push_back(plan.n_tokens() - 1);
      plan.sequences.push_back(part.sequence);
    }
    return plan;
  }

  void step(const std::vector<Part>& parts) { step(plan_of(parts)); }
  void step(const StepPlan& plan) {
    const Batch& batch = tracing.begin_step(plan, *storage);
    const TensorView out = decoder.forward(tracing, batch, *storage, workspace);
    Tensor host = Tensor::host(DType::f64, out.shape());
    tracing.download(out, host.view());
    logits.assign(static_cast<size_t>(out.n_rows()), {});
    for (size_t i = 0; i < logits.size(); ++i) {
      const double* row = host.data<double>() + static_cast<int64_t>(i) * out.dim(1);
      logits[i].assign(row, row + out.dim(1));
    }
  }

  std::shared_ptr<const Model> model;
  Recorder recorder{{.keep = RecordOptions::Keep::all, .ops = {"*"}}};
  TracingBackend tracing;
  Decoder decoder;
  Workspace workspace;
  CacheSpec spec;
  std::unique_ptr<KvStorage> storage;
  std::vector<std::vector<double>> logits;  // of the last step: [logit rows][vocab_size]
};

}  // namespace lastrow::test
