// The CPU reference: Eigen products for the linear layers, online softmax over tiles for attention.
//
//   EigenBackend backend;        all cores
//   EigenBackend backend(1);     one
//
// What fixes the bits:
//   linear   outputs are split into fixed panels of kPanel; a panel is one Eigen product, whoever computes it
//   attend   keys are walked in tiles of kTile indices and chunks of kChunk, both counted from index 0. A
//            chunk has a softmax state of its own; chunks merge in order, so that different threads may
//            compute them
// Hence neither the number of threads nor block size and order change a bit. A row product and a matrix
// product sum in different orders, so cached and recomputed results agree within rounding only.
#pragma once

#include "backend/cpu_backend.h"
#include "backend/thread_pool.h"

namespace lastrow {

class EigenBackend final : public CpuBackend<float> {
 public:
  static constexpr int64_t kPanel = 64;   // outputs of a linear layer
  static constexpr int32_t kTile = 64;    // keys that share one softmax update
  static constexpr int32_t kChunk = 512;  // keys that a thread takes at once; a multiple of kTile

  static constexpr const char* kName = "eigen";
  static constexpr const char* kDescription =
      "the CPU reference: Eigen products, online softmax over tiles, threads";

  explicit EigenBackend(int32_t n_threads = 0) : pool_(n_threads) {}

  BackendInfo info() const override;
  void run(const Op& op) override;

 private:
  struct Compute;  // one function an operation
  void attend(const Attend& op);
  void probe(const Probe& op);

  ThreadPool pool_;
  // [n_tokens, n_kv_heads, rooms, group_size, head_dim + 2]: rooms are n_chunks where chunks are shared out,
  // else 2: the total, and the chunk at hand.
  std::vector<float> partials_;
};

}  // namespace lastrow
