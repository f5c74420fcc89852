// JSON from files that nobody has vouched for.
//
//   nlohmann::json j = parse_json(text, "config.json");   or read_json(path)
//
// Throws FileError "config.json: line 3, column 7: …" on bad syntax, bad UTF-8, a key that occurs twice in
// one object, and on more text, depth or values than the limits allow; nothing else is thrown for any text.
// To write, dump() into write_text_atomically (io/atomic_file.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace lastrow {

struct JsonLimits {
  int64_t max_bytes = 64 << 20;
  int64_t max_values =
      4 << 20;         // objects, arrays, strings, numbers, … together; about 100 bytes of memory each
  int max_depth = 64;  // objects and arrays inside each other
};

/// `source` is the name that messages start with.
nlohmann::json parse_json(std::string_view text, const std::string& source, const JsonLimits& limits = {});
nlohmann::json read_json(const std::filesystem::path& path, const JsonLimits& limits = {});

}  // namespace lastrow
