// Loads a model for the viewer.
#pragma once

#include <memory>
#include <string>

#include "model/model.h"

namespace lastrow::view {

/// As load_model (model/model.h), but a trace file, which is a safetensors file too,
/// gets a message of its own.
std::shared_ptr<const Model> open_model(const std::string& name);

}  // namespace lastrow::view
