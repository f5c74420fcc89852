// The K and V rows of a text, outside of any session: in memory, or in a file that numpy can open.
//
//   SavedCache saved = save_cache(session);                   the rows after the session's current step
//   write_saved_cache(saved, "fox.safetensors");              the whole file appears, or nothing
//   SavedCache saved = read_saved_cache("fox.safetensors");
//   session.start_from(saved, new_tokens);                    goes on behind these rows; session/session.h
//
// A row is kept by its index, not by its slot. So it does not matter which kind of cache it came from, nor
// which kind it goes to.
//
// The file is a safetensors file with these tensors:
//   k.LAYER, v.LAYER     [n_rows, n_kv_heads, head_dim]    K is stored as the cache held it, after RoPE
//   tokens, positions    [n_rows] I32                      of each row, by index
// Rows are F16 if the cache stores f16, F64 if the backend stores f64, and F32 for the other types: the
// decoded row, which encodes to the same bits again (cache/kv_codec.h). The metadata has these keys:
//   lastrow.schema             "lastrow.cache.1"
//   lastrow.model              the model's config and the hash of its weights (model/model_identity.h)
//   lastrow.kv_dtype           how the rows were stored, as in --kv-dtype: "f16", or "k=int8,v=f16"
//   lastrow.cache              the kind of cache they came from, as in --cache; for readers only
//
// Rows mean something only to the model that made them. start_from() refuses another model, and a session
// that stores K or V in another type, because its rows would differ from those of a session that kept them.
//
// Invariant of every SavedCache that one of these functions returned: all shapes fit the numbers below,
// tokens are ≥ 0, and positions are 0, 1, 2, …. Rows from a file are finite, and their type stores them
// without a change. start_from() checks whether they fit its model and session.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cache/kv_cache.h"
#include "core/tensor.h"
#include "model/model_identity.h"

namespace lastrow {

class AtomicFile;
class DecodeSession;

struct SavedCache {
  ModelIdentity model;
  std::string kv_dtype;                    // as users write it in --kv-dtype
  std::string cache_name;                  // as users write it in --cache
  std::vector<int32_t> tokens, positions;  // [n_rows]
  std::vector<Tensor> k, v;                // [n_layers] of [n_rows, n_kv_heads, head_dim], f16, f32 or f64
  std::string source = {};                 // the file, for messages; empty if it came from a session

  int32_t n_rows() const { return static_cast<int32_t>(tokens.size()); }
};

/// How K and V are stored, as users write it in --kv-dtype.
std::string kv_dtype_text(const CacheSpec& spec);
/// The type in which rows of this stored type are saved. It holds every decoded element exactly.
DType saved_dtype(DType stored);

/// Copies the rows after the session's current step. Throws UsageError if there are none, if the session
/// does not cache (Mode::recompute), or if a poke is set, because other sessions must not take changed rows
/// for the model's own.
SavedCache save_cache(const DecodeSession& session);

/// Throws FileError if it cannot be written.
void write_saved_cache(const SavedCache& saved, const std::filesystem::path& path);
/// Writes to a file that the caller commits.
void write_saved_cache(const SavedCache& saved, AtomicFile& file);
/// Throws FileError, with the path and one line, if the file cannot be read or is not such a file.
SavedCache read_saved_cache(const std::filesystem::path& path);

}  // namespace lastrow
