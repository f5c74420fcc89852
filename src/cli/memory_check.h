// Whether the host has enough memory for a session, before anything is allocated for it.
#pragma once

#include "backend/backend.h"
#include "cache/make_cache.h"
#include "model/model.h"

namespace lastrow::cli {

struct RunSizes {
  CacheOptions cache{};
  int32_t n_seqs = 1;        // sequences that may step together
  int64_t max_tokens = 0;    // tokens of a step; 0: as a session of one text feeds
  int32_t chunk = 0;         // tokens of one sequence in a step; 0: as a session chooses
  int32_t longest_text = 0;  // SessionOptions::max_seq_len
  int64_t token_bytes = 0;   // what the caller keeps of each token
};

/// Throws CapacityError if the session would need more memory than there is. A GPU's memory is not counted.
void require_room(const Model& model, const BackendInfo& backend, const RunSizes& sizes);

}  // namespace lastrow::cli
