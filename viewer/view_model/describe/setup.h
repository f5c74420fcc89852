// What stays the same while the user steps through one generation: model, prompt, backend, value scales.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cache/make_cache.h"
#include "model/model.h"
#include "model/sampler.h"
#include "viewer/view_model/state/value_scale.h"

namespace lastrow::view {

/// The colours of one layer's values.
struct LayerScales {
  ValueScale q, k, v, score, out;
};

/// What the times of a backend can be compared with.
enum class TimesMean : uint8_t {
  cpu_speed,    // it computes on the CPU and is built for speed
  plain_loops,  // it computes on the CPU and is written to be read
  emulation,    // it emulates a GPU on the CPU
  gpu_speed     // it computes on a GPU
};

struct Setup {
  std::shared_ptr<const Model> model;
  std::string model_name, backend, prompt;
  TimesMean times = TimesMean::cpu_speed;
  SamplingOptions sampling;
  CacheOptions cache{};  // of the side with the cache, as the user chose it
  CacheSpec spec{};      // what that came to
  int prompt_len = 0;
  int n_prefill_steps = 1;  // prompt_len if the cache uses new positions, because a step then feeds one token
  int max_seq_len = 0;
  std::vector<LayerScales> scales;  // [n_layers]; fixed when the sessions start
  const ModelConfig& config() const { return model->config(); }
  bool uses_new_positions() const { return cache.positions == Positions::renumbered; }
  /// The tokens of the text at the end of a step, and the step that fed a position.
  int n_tokens_at(int step) const { return prompt_len - n_prefill_steps + 1 + step; }
  int step_of(int position) const { return std::max(0, position - (prompt_len - n_prefill_steps)); }
  int last_possible_step() const { return max_seq_len - n_tokens_at(0); }
  const std::string& piece(int32_t token) const { return model->tokenizer().piece(token); }
};

}  // namespace lastrow::view
