#include "cli/memory_check.h"

#include "core/memory_limit.h"
#include "model/decoder.h"
#include "session/session_cache.h"
#include "session/session_state.h"

namespace lastrow::cli {
namespace {

/// The bytes that the backend's storage has. A backend in double precision stores f64 for f32.
int64_t storage_bytes(const CacheSpec& spec, const BackendInfo& backend) {
  int64_t bytes = spec.bytes();
  if (backend.activation_dtype != DType::f64) return bytes;
  for (const RowKind kind : {RowKind::k, RowKind::v})
    if (spec.dtypes().of(kind) == DType::f32) bytes += spec.bytes_of(kind);
  return bytes;
}

}  // namespace

void require_room(const Model& model, const BackendInfo& backend, const RunSizes& sizes) {
  if (!backend.in_host_memory) return;
  const ModelConfig& c = model.config();
  const DType activations = backend.activation_dtype;
  const CacheOptions options = completed(sizes.cache, c);
  const int32_t longest = longest_text(options, sizes.longest_text, c);
  const CacheSpec cache = cache_spec(options, {.n_layers = c.n_layers,
                                               .n_kv_heads = c.n_kv_heads,
                                               .head_dim = c.head_dim,
                                               .max_seq_len = longest,
                                               .n_seqs = sizes.n_seqs,
                                               .longest_step = longest_chunk(options, sizes.chunk, longest)});
  const int64_t max_tokens = sizes.max_tokens > 0 ? sizes.max_tokens : longest_forward(options, longest);
  constexpr int64_t kSessionTokenBytes = 2 * int64_t{sizeof(int32_t) + sizeof(TakenStep)};  // and a backup
  constexpr int64_t kLayerOverheadBytes = 2048;  // the Tensor objects and alignment of nine weights, K and V
  require_memory(Decoder::bytes(c, activations) + Workspace::bytes(c, activations, max_tokens, sizes.n_seqs) +
                     storage_bytes(cache, backend) +
                     (uses_new_positions(options) ? Workspace::rotated_keys_bytes(cache, activations) : 0) +
                     c.n_layers * kLayerOverheadBytes + longest * (kSessionTokenBytes + sizes.token_bytes),
                 longest > c.max_seq_len ? fmt::format("{} with a text of {} tokens", c.name, longest)
                 : sizes.n_seqs == 1
                     ? fmt::format("{} with its context of {} tokens", c.name, c.max_seq_len)
                     : fmt::format("{} with {} contexts of {} tokens", c.name, sizes.n_seqs, c.max_seq_len),
                 longest > c.max_seq_len ? "use a smaller model or fewer tokens"
                 : sizes.n_seqs == 1     ? "use a smaller model or a shorter context"
                                         : "use a smaller --batch, a smaller model or a shorter context");
}

}  // namespace lastrow::cli
