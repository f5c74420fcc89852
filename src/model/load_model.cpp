// From a name, a path or a description to a Model.
#include <filesystem>

#include "core/error.h"
#include "io/safetensors.h"
#include "model/builtin.h"
#include "model/model.h"

namespace lastrow {
namespace {

Tensor copy_of(ConstTensorView view) {
  Tensor t(Memory::host(), view.dtype(), view.shape());
  convert(view, t.view());
  return t;
}

std::shared_ptr<const Model> model_from(const SafetensorsFile& file) {
  const auto metadata = [&](const char* key) -> const std::string& {
    const auto found = file.metadata().find(key);
    if (found == file.metadata().end())
      throw FileError("{}: no '{}' in its metadata: it is a safetensors file, but not a lastrow model",
                      file.source(), key);
    return found->second;
  };
  const auto parsed = [&](const char* key, const auto& parse) {
    const std::string& text = metadata(key);
    try {
      return parse(text);
    } catch (const Error& e) {
      throw FileError("{}: {}", file.source(), e.what());
    }
  };
  ModelConfig config = parsed("lastrow.config", config_from_json);
  Tokenizer tokenizer = parsed("lastrow.tokenizer", Tokenizer::from_json);
  std::map<std::string, Tensor> weights;
  for (const std::string& name : file.names()) weights.emplace(name, copy_of(file.tensor(name)));
  return std::make_shared<const Model>(file.source(), std::move(config), std::move(tokenizer),
                                       std::move(weights));
}

}  // namespace

std::vector<std::string> builtin_model_names() {
  std::vector<std::string> names;
  for (const BuiltinFile& file : builtin_files()) names.emplace_back(file.name);
  return names;
}

std::shared_ptr<const Model> load_model(const std::string& spec) {
  if (spec.starts_with("random:") || spec == "random") return random_model(spec);
  for (const BuiltinFile& file : builtin_files())
    if (file.name == spec) return model_from(SafetensorsFile::from_bytes(file.bytes, spec));
  const bool looks_like_path = spec.find('/') != std::string::npos || spec.ends_with(".safetensors");
  std::error_code ignored;  // a name that the file system cannot even look up is no file
  if (!looks_like_path && !std::filesystem::exists(spec, ignored))
    throw UsageError("unknown model '{}': use {}, a .safetensors file, or random:layers=4,q_heads=8,…", spec,
                     fmt::join(builtin_model_names(), ", "));
  return model_from(SafetensorsFile::open(spec));
}

}  // namespace lastrow
