#include "train/model_file.h"

#include "core/conversions.h"
#include "core/tensor.h"
#include "io/safetensors.h"
#include "train/lexicon.h"

namespace lastrow::train {
namespace {

Shape shape_of(const ParameterTensor& t) { return t.is_vector ? Shape{t.cols} : Shape{t.rows, t.cols}; }

}  // namespace

std::vector<float> round_to_half(const std::vector<float>& params) {
  std::vector<float> rounded;
  rounded.reserve(params.size());
  for (float x : params) rounded.push_back(to_float(to_half(x)));
  return rounded;
}

void save(AtomicFile& file, const ParameterLayout& layout, const std::vector<float>& params,
          const std::string& origin) {
  SafetensorsWriter writer;
  std::vector<Tensor> tensors;
  for (const ParameterTensor& t : layout.tensors()) {
    const Shape shape = shape_of(t);
    tensors.push_back(Tensor::host(DType::f16, shape));
    convert(ConstTensorView(params.data() + t.offset, shape), tensors.back().view());
    writer.add(t.name, tensors.back().view());
  }
  writer.metadata("lastrow.config", to_json(layout.config()));
  writer.metadata("lastrow.tokenizer", fable_tokenizer().to_json());
  writer.metadata("lastrow.origin", origin);
  writer.write(file);
}

TrainedModel load(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  const auto metadata = [&](const char* key) {
    const auto found = file.metadata().find(key);
    if (found == file.metadata().end())
      throw FileError("{}: no '{}' in its metadata: train_fable did not write it", path.string(), key);
    return found->second;
  };
  if (metadata("lastrow.tokenizer") != fable_tokenizer().to_json())
    throw FileError("{}: its vocabulary differs from that of the grammar: train the model again",
                    path.string());
  TrainedModel model{
      ParameterLayout(config_from_json(metadata("lastrow.config"))), {}, metadata("lastrow.origin")};
  model.params.resize(static_cast<size_t>(model.layout.size()));
  for (const ParameterTensor& t : model.layout.tensors()) {
    const ConstTensorView stored = file.tensor(t.name);
    if (stored.shape() != shape_of(t))
      throw FileError("{}: {} is {}, its config says {}", path.string(), t.name, stored.shape().to_string(),
                      shape_of(t).to_string());
    convert(stored, TensorView(model.params.data() + t.offset, shape_of(t)));
  }
  return model;
}

TrainedModel as_trained(const Model& model) {
  TrainedModel trained{ParameterLayout(model.config()), {}, ""};
  trained.params.resize(static_cast<size_t>(trained.layout.size()));
  for (const ParameterTensor& t : trained.layout.tensors())
    convert(model.weight(t.name), TensorView(trained.params.data() + t.offset, shape_of(t)));
  return trained;
}

}  // namespace lastrow::train
