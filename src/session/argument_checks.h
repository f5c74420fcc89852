// What every kind of session requires of its caller's tokens and pokes.
#pragma once

#include <cstdint>
#include <span>

#include "model/config.h"
#include "trace/poke.h"

namespace lastrow {

/// Throws UsageError for a token outside the vocabulary.
void require_in_vocabulary(std::span<const int32_t> tokens, const ModelConfig& config);

/// Throws UsageError for a layer or head that the model does not have. The caller checks
/// the position.
void require_in_model(const Poke& poke, const ModelConfig& config);

}  // namespace lastrow
