// The table of gpu/README.md, made of results.h.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace lastrow::driver {

/// Markdown: a line of what was measured where, the table, and what its marks mean.
std::string table(const nlohmann::json& results);

/// Throws FileError if the file cannot be read or has not one line of each marker comment, for a table to go
/// between.
void require_markers(const std::filesystem::path& file);
/// Replaces what stands between them.
void rewrite_table(const std::filesystem::path& file, const std::string& table);
inline constexpr const char* kTableBegin = "<!-- table: begin -->";
inline constexpr const char* kTableEnd = "<!-- table: end -->";

}  // namespace lastrow::driver
