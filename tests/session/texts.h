// What the tests of sessions share: small models, backends, and the results of a session.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "backend/eigen.h"
#include "backend/naive.h"
#include "registry/registry.h"
#include "session/session.h"
#include "trace/dependence.h"

namespace lastrow::test {

inline constexpr const char* kModel =
    "random:layers=3,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,seed=2";
inline constexpr int32_t kLayers = 3;  // of kModel
inline const std::vector<int32_t> kPrompt = {3, 14, 15, 9, 26};

/// A model of each kind of attention.
inline const std::vector<std::string> kKinds = {
    "random:layers=3,q_heads=4,kv_heads=4,head_dim=8,vocab=50,context=40,seed=1",
    "random:layers=3,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,seed=2",
    "random:layers=3,q_heads=4,kv_heads=1,head_dim=8,vocab=50,context=40,seed=3",
    "random:arch=gpt2,layers=3,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,seed=4",
    "random:layers=3,q_heads=4,kv_heads=2,head_dim=8,soft_cap=2,window=7,window_period=2,vocab=50,context=40,"
    "seed=5",
    "random:layers=3,q_heads=4,kv_heads=1,head_dim=8,alibi=1,vocab=50,context=40,seed=6"};

inline const std::vector<std::string> kModels = {
    "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,seed=2",
    "random:arch=gpt2,layers=2,q_heads=4,kv_heads=4,head_dim=8,vocab=50,context=40,seed=4"};

/// 17 tokens: one more than the usual block.
inline const std::vector<int32_t> kText = {3, 14, 15, 9, 26, 5, 35, 8, 9, 7, 9, 32, 38, 46, 26, 43, 38};

using Factory = std::unique_ptr<Backend> (*)();
inline std::unique_ptr<Backend> naive() { return std::make_unique<NaiveBackend<float>>(); }
inline std::unique_ptr<Backend> exact() { return std::make_unique<NaiveBackend<double>>(); }
inline std::unique_ptr<Backend> eigen() { return std::make_unique<EigenBackend>(2); }
inline std::unique_ptr<Backend> emulated() { return make_backend("cuda-emulated"); }

inline std::vector<float> logits_of(const DecodeSession& s) { return {s.logits().begin(), s.logits().end()}; }

/// The prompt of 17 tokens, then single tokens up to the context of 40.
inline std::vector<std::vector<float>> talk(DecodeSession& s) {
  std::vector<std::vector<float>> logits;
  s.start(kText);
  while (!s.context_full()) {
    s.advance();
    if (s.current_step() + 1 >= s.n_prefill_steps()) logits.push_back(logits_of(s));
  }
  return logits;
}

/// The positions of the tokens that row 0 of the first output of this operation comes from, ascending.
inline std::vector<int32_t> positions_behind(const Recorder& recorder, int32_t step, int32_t layer,
                                             const char* name) {
  const Lineage lineage(recorder);
  const int32_t at = lineage.find(step, layer, name);
  const Event& event = recorder.events(step)[static_cast<size_t>(at)];
  std::vector<int32_t> positions;
  for (const WrittenRow& row : lineage.ancestors({step, at, event.writes[0].at(0)}))
    if (row.row.space == RowSpace::token)
      positions.push_back(recorder.plan(row.step).positions[static_cast<size_t>(row.row.row)]);
  std::ranges::sort(positions);
  return positions;
}

/// All stored rows of the session, K and V of each layer, by index.
inline std::vector<float> rows_of(const DecodeSession& s) {
  std::vector<float> all;
  for (int32_t layer = 0; layer < s.model().config().n_layers; ++layer)
    for (const RowKind kind : {RowKind::k, RowKind::v})
      for (int32_t index = 0; index < s.kv_len(); ++index) {
        const Tensor row = s.stored_row(layer, kind, index);
        all.insert(all.end(), row.data<float>(), row.data<float>() + row.size());
      }
  return all;
}

inline std::span<const int32_t> text(size_t begin, size_t end) {
  return std::span<const int32_t>(kText).subspan(begin, end - begin);
}

inline CacheOptions paged(int32_t block_len) { return {.kind = "paged", .block_len = block_len}; }
/// The options with K and V of these types, as in --kv-dtype.
inline CacheOptions with_dtypes(CacheOptions options, std::string_view names) {
  const KvDtypes dtypes = kv_dtypes_from_name(names);
  options.dtype_k = dtypes.k;
  options.dtype_v = dtypes.v;
  return options;
}

}  // namespace lastrow::test
