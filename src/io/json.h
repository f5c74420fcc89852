// Reads JSON from files that may be damaged or hostile.
//
//   nlohmann::json j = parse_json(text, "config.json");
//   nlohmann::json j = read_json("config.json");
//
// Both throw FileError "config.json: line 3, column 7: …" for bad syntax, for bad UTF-8, for a key that
// occurs twice in one object, and for more text, depth or values than the limits allow. No text makes them
// throw anything else. To write JSON, pass dump() to write_text_atomically (io/atomic_file.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace lastrow {

struct JsonLimits {
  int64_t max_bytes = 64 << 20;
  int64_t max_values = 4 << 20;  // objects, arrays, strings, numbers and so on; each takes about 100 bytes
  int max_depth = 64;            // of objects and arrays inside each other
};

/// Messages start with `source`.
nlohmann::json parse_json(std::string_view text, const std::string& source, const JsonLimits& limits = {});
nlohmann::json read_json(const std::filesystem::path& path, const JsonLimits& limits = {});

}  // namespace lastrow
