// A trained model as the library reads it: f16 safetensors with config, tokenizer and origin in the metadata.
//
//   save(file, layout, params, origin);    params must be rounded before: round_to_half(params)
//   TrainedModel m = load(path);           gives exactly these params, in f32
//   TrainedModel m = as_trained(*model);   the same for a model that the library has loaded
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

/// The nearest f16 values. Measure with these, because these are stored.
std::vector<float> round_to_half(const std::vector<float>& params);

/// `origin` is JSON text that says how the weights were made; it is stored as "lastrow.origin". The caller
/// commits the file. Throws FileError.
void save(AtomicFile& file, const ParameterLayout& layout, const std::vector<float>& params,
          const std::string& origin);

/// Throws FileError if save() could not have written this model with the vocabulary of the fables.
TrainedModel load(const std::filesystem::path& path);

/// A loaded model as the trainer needs it: its weights in f32, in the order of the layout, without an origin.
TrainedModel as_trained(const Model& model);

}  // namespace lastrow::train
