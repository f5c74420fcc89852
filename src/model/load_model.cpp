// Makes a Model from a name, a path or a description.
#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "core/memory_limit.h"
#include "io/safetensors.h"
#include "model/builtin.h"
#include "model/model.h"

namespace lastrow {
namespace {

std::shared_ptr<const Model> model_from(SafetensorsFile file) {
  const auto metadata = [&](const char* key) -> const std::string& {
    const auto found = file.metadata().find(key);
    if (found == file.metadata().end())
      throw FileError("{}: its metadata has no '{}': it is a safetensors file, but not a lastrow model",
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
  return std::make_shared<const Model>(std::move(file), std::move(config), std::move(tokenizer));
}

/// Reads the whole file if it fits in memory. If its size cannot be found out, open() reports the reason.
SafetensorsFile open_file(const std::string& path) {
  std::error_code unknown;
  if (const auto bytes = std::filesystem::file_size(path, unknown); !unknown)
    require_memory(static_cast<int64_t>(bytes), path, "use a smaller model, or close other programs");
  return SafetensorsFile::open(path);
}

}  // namespace

std::vector<std::string> builtin_model_names() {
  std::vector<std::string> names;
  for (const BuiltinFile& file : builtin_files()) names.emplace_back(file.name);
  return names;
}

std::string model_file(const std::string& spec) {
  const auto is_spec = [&](const BuiltinFile& file) { return file.name == spec; };
  const bool is_random = spec.starts_with("random:") || spec == "random";
  return is_random || std::ranges::any_of(builtin_files(), is_spec) ? "" : spec;
}

std::shared_ptr<const Model> load_model(const std::string& spec) {
  if (spec.starts_with("random:") || spec == "random") return random_model(spec);
  for (const BuiltinFile& file : builtin_files())
    if (file.name == spec) return model_from(SafetensorsFile::from_bytes(file.bytes, spec));
  const bool looks_like_path = spec.find('/') != std::string::npos || spec.ends_with(".safetensors");
  std::error_code ignored;  // if the file system cannot look a name up, no file has it
  if (!looks_like_path && !std::filesystem::exists(spec, ignored))
    throw UsageError("unknown model '{}': use {}, a .safetensors file, or random:layers=4,q_heads=8,…", spec,
                     fmt::join(builtin_model_names(), ", "));
  return model_from(open_file(spec));
}

}  // namespace lastrow
