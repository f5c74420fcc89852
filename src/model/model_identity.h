// Whether two models compute the same function: their configs and the bits of all weights.
//
//   ModelIdentity identity = identity_of(model);
//   if (identity != other) throw UsageError("{}", difference(identity, other));
//
// The name of a model does not count, and neither does the file that it came from. The tokenizer does not
// count: a caller who compares texts compares tokens.
#pragma once

#include <cstdint>
#include <string>

#include "model/config.h"
#include "model/model.h"

namespace lastrow {

struct ModelIdentity {
  ModelConfig config;         // with its name, for messages only
  uint64_t weights_hash = 0;  // of the names, types, shapes and bits of all weights

  /// Equal in everything but the name.
  bool operator==(const ModelIdentity& other) const;
};

/// Reads every weight once. Cost: about the time to read the weights from memory.
ModelIdentity identity_of(const Model& model);

/// What differs, as part of a sentence: "n_layers is 4 there and 3 here" (there: `saved`, here:
/// `own`).
std::string difference(const ModelIdentity& saved, const ModelIdentity& own);

/// One line of JSON, and back. identity_from_json throws FileError.
std::string to_json(const ModelIdentity& identity);
ModelIdentity identity_from_json(const std::string& text);

}  // namespace lastrow
