#include "train/trainer.h"

#include <Eigen/Dense>
#include <chrono>
#include <system_error>
#include <thread>

#include "core/error.h"
#include "train/grammar.h"
#include "train/network.h"

namespace lastrow::train {
namespace {

/// The part of a step that one thread does.
struct Lane {
  Lane(const ParameterLayout& layout, int seq_len) : network(layout, seq_len), gradient(layout.size()) {}

  Network<float> network;
  Eigen::VectorXf
      gradient;  // Eigen's memory has a fixed alignment, and the order of its sums depends on that
  double loss = 0, floor = 0;  // this lane's part of the mean nats per token of the step

  /// Sequences begin … end − 1 of the step's `batch`.
  void run(const float* params, const TrainOptions& o, int64_t step, int seq_len, int begin, int end,
           int batch) {
    gradient.setZero();
    loss = floor = 0;
    for (int i = begin; i < end; ++i) {
      Random random(o.seed, (static_cast<uint64_t>(step + 1) << 20) + static_cast<uint64_t>(i));
      const Sample sample = write(seq_len, random, true);
      network.forward(params, sample.tokens);
      loss += network.cross_entropy(sample.next) / seq_len / batch;
      floor += sample.entropy() / batch;
      network.backward(params, sample.tokens, 1.0f / static_cast<float>(batch * seq_len), gradient.data());
    }
  }
};

/// Calls run(lane, i) for each lane on a thread of its own, and for the last lane on the caller's thread. If
/// a thread cannot start, its lane also runs on the caller's thread:
/// the result depends only on the lane's sequences.
template <typename Run>
void run_all(std::vector<Lane>& lanes, const Run& run) {
  std::vector<std::jthread> threads;
  threads.reserve(lanes.size());
  size_t next = 0;
  try {
    for (; next + 1 < lanes.size(); ++next)
      threads.emplace_back([&run, &lanes, i = next] { run(lanes[i], static_cast<int>(i)); });
  } catch (const std::system_error&) {
  }
  for (; next < lanes.size(); ++next) run(lanes[next], static_cast<int>(next));
}

}  // namespace

ModelConfig fable_config(const std::string& name) {
  ModelConfig c;
  c.n_layers = 4;
  c.model_dim = 96;
  c.n_q_heads = 8;
  c.n_kv_heads = name == "fable-mha" ? 8 : name == "fable-gqa" ? 2 : name == "fable-mqa" ? 1 : 0;
  if (c.n_kv_heads == 0) throw UsageError("unknown fable '{}': use fable-mha, fable-gqa or fable-mqa", name);
  c.head_dim = 16;
  c.ffn_dim = 192;
  c.max_seq_len = 256;
  c.vocab_size = fable_tokenizer().vocab_size();
  c.name = name;
  return c;
}

std::vector<float> fit(const ParameterLayout& layout, const TrainOptions& options,
                       const std::function<void(const Progress&)>& report) {
  using Clock = std::chrono::steady_clock;
  LASTROW_CHECK(options.first_seq_len <= options.seq_len && options.seq_len <= layout.config().max_seq_len,
                "texts of {} and {} tokens, context {}", options.first_seq_len, options.seq_len,
                layout.config().max_seq_len);
  std::vector<float> initial = initial_parameters(layout, options.seed);
  Eigen::VectorXf params = Eigen::Map<Eigen::VectorXf>(initial.data(), layout.size());
  AdamW adamw(layout, options.adamw);
  std::vector<Lane> lanes;
  for (int i = 0; i < options.n_threads; ++i) lanes.emplace_back(layout, options.seq_len);
  const Clock::time_point start = Clock::now();
  double loss = 0, floor = 0;
  int64_t reported = 0;
  const int64_t n_steps = options.adamw.n_steps;
  for (int64_t step = 0; step < n_steps; ++step) {
    const bool first = static_cast<double>(step) < options.first_part * static_cast<double>(n_steps);
    const int seq_len = first ? options.first_seq_len : options.seq_len;
    const int batch = options.batch * options.seq_len / seq_len;
    run_all(lanes, [&](Lane& lane, int i) {
      lane.run(params.data(), options, step, seq_len, batch * i / options.n_threads,
               batch * (i + 1) / options.n_threads, batch);
    });
    for (size_t i = 0; i < lanes.size(); ++i) {
      if (i > 0) lanes[0].gradient += lanes[i].gradient;
      loss += lanes[i].loss;
      floor += lanes[i].floor;
    }
    adamw.step(params.data(), lanes[0].gradient.data());
    if ((step + 1) % options.report_every != 0 && step + 1 != n_steps) continue;
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const double n = static_cast<double>(step + 1 - reported);
    report({step + 1, n_steps, loss / n, floor / n, seconds,
            seconds / static_cast<double>(step + 1) * static_cast<double>(n_steps - step - 1)});
    loss = floor = 0;
    reported = step + 1;
  }
  return {params.begin(), params.end()};
}

}  // namespace lastrow::train
