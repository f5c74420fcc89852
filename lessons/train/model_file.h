// A trained model as the library reads it: f16 safetensors with config, tokenizer and origin in the metadata.
//
//   save(file, layout, params, origin);     params must already be rounded: round_to_half(params)
//   TrainedModel m = load(path);            params back in f32, exactly
//   TrainedModel m = as_trained(*model);     the same of a model that the library has loaded
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/atomic_file.h"
#include "model/model.h"
#include "train/parameters.h"

namespace lastrow::train {

struct TrainedModel {
  ParameterLayout layout;
  std::vector<float> params;
  std::string origin;
};

/// The nearest f16 values, so that what is measured is what is stored.
std::vector<float> round_to_half(const std::vector<float>& params);

/// `origin` is JSON text kept under "lastrow.origin": how the weights came to be. Throws FileError. The caller
/// commits the file.
void save(AtomicFile& file, const ParameterLayout& layout, const std::vector<float>& params,
          const std::string& origin);

/// Throws FileError if it is no model that save() could have written for the fables' vocabulary.
TrainedModel load(const std::filesystem::path& path);

/// The trainer's view of a loaded model: its weights in f32, in the layout's order. No origin.
TrainedModel as_trained(const Model& model);

}  // namespace lastrow::train
