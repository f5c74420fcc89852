// The table of gpu/README.md, made from results (results.h).
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace lastrow::driver {

/// Markdown: a line that says what was measured where, the table, and the meaning of its marks.
std::string table(const nlohmann::json& results);

/// Throws FileError if the file cannot be read, or if it does not have exactly one line of each marker
/// comment, in this order.
void require_markers(const std::filesystem::path& file);
/// Replaces what is between the marker comments.
void rewrite_table(const std::filesystem::path& file, const std::string& table);
inline constexpr const char* kTableBegin = "<!-- table: begin -->";
inline constexpr const char* kTableEnd = "<!-- table: end -->";

}  // namespace lastrow::driver
