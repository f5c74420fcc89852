#include "model/model_identity.h"

#include <nlohmann/json.hpp>

#include "core/xxh64.h"
#include "io/checked.h"
#include "io/json.h"

namespace lastrow {
namespace {

uint64_t hash_of(const Model& model) {
  uint64_t hash = 0;
  for (const auto& [name, weight] : model.weights()) {  // by ascending name
    const std::string head =
        fmt::format("{} {} {}", name, name_of(weight.dtype()), weight.shape().to_string());
    hash = xxh64(std::as_bytes(std::span(head)), hash);
    hash =
        xxh64({static_cast<const std::byte*>(weight.raw()), static_cast<size_t>(weight.size_bytes())}, hash);
  }
  return hash;
}

/// The fields of a config as JSON, without the name.
nlohmann::json fields_of(const ModelConfig& config) {
  nlohmann::json fields = parse_json(to_json(config), "model config");
  fields.erase("name");
  return fields;
}

}  // namespace

bool ModelIdentity::operator==(const ModelIdentity& other) const {
  ModelConfig renamed = other.config;
  renamed.name = config.name;
  return config == renamed && weights_hash == other.weights_hash;
}

ModelIdentity identity_of(const Model& model) { return {model.config(), hash_of(model)}; }

std::string difference(const ModelIdentity& saved, const ModelIdentity& own) {
  const nlohmann::json before = fields_of(saved.config), after = fields_of(own.config);
  const auto text = [](const nlohmann::json& fields, const std::string& name) {
    return fields.contains(name) ? fields[name].dump() : "not set";
  };
  for (const nlohmann::json* fields : {&after, &before})  // a field that is as usual is left out
    for (const auto& [name, value] : fields->items())
      if (text(before, name) != text(after, name))
        return fmt::format("{} is {} there and {} here", name, text(before, name), text(after, name));
  return fmt::format(
      "the sizes are equal, but the weights differ (their hash is {:016x} there and {:016x} here)",
      saved.weights_hash, own.weights_hash);
}

std::string to_json(const ModelIdentity& identity) {
  const nlohmann::json json = {{"config", parse_json(to_json(identity.config), "model config")},
                               {"weights_xxh64", fmt::format("{:016x}", identity.weights_hash)}};
  return json.dump();
}

ModelIdentity identity_from_json(const std::string& text) {
  const nlohmann::json json = parse_json(text, "model identity");
  if (!json.is_object() || !json.contains("config") || !json.contains("weights_xxh64"))
    throw FileError("model identity: it lacks config or weights_xxh64");
  const nlohmann::json& hash = json["weights_xxh64"];
  const std::string digits = hash.is_string() ? hash.get<std::string>() : "";
  if (digits.size() != 16 || digits.find_first_not_of("0123456789abcdef") != std::string::npos)
    throw FileError("model identity: weights_xxh64 is not 16 hexadecimal digits");
  try {
    return {config_from_json(json["config"].dump()), std::stoull(digits, nullptr, 16)};
  } catch (const ShapeError& e) {
    throw FileError("model identity: {}", e.what());
  }
}

}  // namespace lastrow
