// The CPU reference: Eigen products for the linear layers, online softmax over tiles for attention.
//
//   EigenBackend backend;        uses all cores
//   EigenBackend backend(1);     uses one thread
//
// Invariant: the number of threads, the block size and the block order do not change a bit. The reasons:
//   linear   The outputs are split into fixed panels of kPanel. A panel is one product, on any thread.
//   attend   Keys are taken in tiles of kTile indices and in chunks of kChunk, both counted from index 0.
//            Each chunk has its own softmax state. Chunks are merged in order, so threads may share them.
//
// But one row, a few rows (few_rows.h) and many rows are different products, which sum in different orders.
// So cached and recomputed results differ by rounding.
#pragma once

#include "backend/cpu_backend.h"
#include "backend/thread_pool.h"

namespace lastrow {

class EigenBackend final : public CpuBackend<float> {
 public:
  static constexpr int64_t kPanel = 64;   // outputs of a linear layer in one product
  static constexpr int32_t kTile = 64;    // keys in one softmax update
  static constexpr int32_t kChunk = 512;  // keys that one thread takes at a time; a multiple of kTile

  static constexpr const char* kName = "eigen";
  static constexpr const char* kDescription =
      "the CPU reference: Eigen products, online softmax over tiles, threads";

  /// How attend makes its sums: in vector registers where this build can (vector_rows.h), or by the clear text
  /// of row_sums.h, which the other is tested against. They round differently.
  enum class Sums : uint8_t { fast, clear };

  explicit EigenBackend(int32_t n_threads = 0, Sums sums = Sums::fast);

  BackendInfo info() const override;
  void run(const Op& op) override;

 private:
  struct Compute;                        // one function for each operation
  void attend(const Attend& op);         // eigen_attend.cpp
  void probe(const Probe& op);           // eigen_probabilities.cpp
  void score_mass(const ScoreMass& op);  // eigen_probabilities.cpp

  ThreadPool pool_;
  bool in_registers_;  // attend uses vector_rows
  // [n_tokens, n_kv_heads, n_partials, group_size, head_dim + 2]. n_partials is n_chunks if several threads
  // share the chunks, else 2: the total and the current chunk.
  std::vector<float> partials_;
  std::vector<float> few_rows_;  // the copy that FewRows makes
};

}  // namespace lastrow
