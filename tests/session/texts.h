// What the tests of long and interrupted texts share: small models, backends, and the results of a session.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/eigen.h"
#include "backend/naive.h"
#include "registry/registry.h"
#include "session/session.h"

namespace lastrow::test {

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
