// A tiny attention: a few layers of append and attend on a naive backend. Its rows depend only on (layer,
// position), so the same step can run with the cache or without it.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "backend/naive.h"
#include "cache/contiguous_cache.h"
#include "judge/random_tensor.h"
#include "ops/site.h"

namespace lastrow::test {

using judge::random_tensor;

inline bool same_bits(ConstTensorView a, ConstTensorView b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.size_bytes())) == 0;
}

struct TinySizes {
  int32_t n_layers = 2, n_q_heads = 4, n_kv_heads = 2, head_dim = 8, max_seq_len = 16;
  DType kv_dtype = DType::f32;
};

/// One sequence. step(backend, n, emptied) feeds n new tokens. With `emptied`, it first empties the cache and
/// feeds the whole prefix too.
class Tiny {
 public:
  explicit Tiny(Backend& innermost, TinySizes sizes = {})
      : sizes_(sizes),
        cache_(CacheSpec::contiguous(sizes.n_layers, sizes.n_kv_heads, sizes.head_dim, sizes.max_seq_len, 1,
                                     sizes.kv_dtype)),
        storage_(innermost.make_storage(cache_.spec())) {
    for (int32_t layer = 0; layer < sizes.n_layers; ++layer)
      for (RowKind kind : {RowKind::k, RowKind::v}) {
        for (const TensorView& all : {storage_->rows(layer, kind), storage_->scales(layer, kind)})
          if (!all.empty())  // NaN in every unused slot
            std::memset(all.raw(), 0xFF, static_cast<size_t>(all.size_bytes()));
      }
  }

  /// The rows [n_tokens, n_heads, head_dim] of the tokens first, first + 1, … `what`: 0 is q, 1 is k, 2 is v.
  Tensor rows(int32_t layer, uint64_t what, int32_t first, int32_t n_tokens) const {
    const int32_t n_heads = what == 0 ? sizes_.n_q_heads : sizes_.n_kv_heads;
    Tensor all = Tensor::host(DType::f32, {n_tokens, n_heads, sizes_.head_dim});
    for (int32_t t = 0; t < n_tokens; ++t) {
      const Tensor row = random_tensor({n_heads * sizes_.head_dim}, 7,
                                       uint64_t(layer) * 1000 + uint64_t(first + t) * 3 + what);
      std::memcpy(all.view().rows(t, 1).raw(), row.view().raw(), static_cast<size_t>(row.size_bytes()));
    }
    return all;
  }

  /// Returns the attention output of each layer, [n_tokens, n_q_heads, head_dim].
  std::vector<Tensor> step(Backend& backend, int32_t n_new, bool emptied = false,
                           AttendSpec spec = {{.scale = 0.35f}, {}}) {
    const int32_t past = cache_.length(0);
    if (emptied) cache_.reset(0);
    const int32_t first = emptied ? 0 : past, n_tokens = emptied ? past + n_new : n_new;
    const std::vector<int32_t> tokens(static_cast<size_t>(n_tokens), 1);
    const SequenceInput input{0, tokens, LogitRows::last};
    const StepPlan& plan = cache_.plan({&input, 1});
    try {
      const Batch& batch = backend.begin_step(plan, *storage_);
      std::vector<Tensor> outs;
      for (int32_t layer = 0; layer < sizes_.n_layers; ++layer)
        outs.push_back(attend(backend, layer, first, batch, spec));
      cache_.commit(plan);
      return outs;
    } catch (...) {
      cache_.abort(plan);
      throw;
    }
  }

  KvStorage& storage() { return *storage_; }
  KvCache& cache() { return cache_; }
  const TinySizes& sizes() const { return sizes_; }

 private:
  Tensor attend(Backend& backend, int32_t layer, int32_t first, const Batch& batch, const AttendSpec& spec) {
    const int32_t n_tokens = batch.plan->n_tokens();
    const Tensor q = backend.upload(rows(layer, 0, first, n_tokens).view());
    const Tensor k = backend.upload(rows(layer, 1, first, n_tokens).view());
    const Tensor v = backend.upload(rows(layer, 2, first, n_tokens).view());
    Tensor out = backend.make_tensor(q.shape()), lse = backend.make_tensor({n_tokens, sizes_.n_q_heads});
    backend.run(Append{{layer, site::kAppend}, k.view(), v.view(), batch, *storage_});
    backend.run(Attend{{layer, site::kAttend}, q.view(), *storage_, batch, spec, out.view(), lse.view()});
    Tensor host = Tensor::host(DType::f32, out.shape());
    backend.download(out.view(), host.view());
    return host;
  }

  TinySizes sizes_;
  ContiguousCache cache_;
  std::unique_ptr<KvStorage> storage_;
};

}  // namespace lastrow::test
