// What was timed, as the JSON file that machines share and as the table of gpu/README.md.
//
// {"device", "driver", "toolkit", "date", "read_gbps", "copy_gbps",      of the run that began the file
//  "shapes":  [{"name", "n_q_heads", "n_kv_heads", "head_dim", "batch", "q_len", "kv_len", "dtype",
//               "block_len" (0: contiguous), "kv_bytes"}],
//  "results": [{"shape" (a name), "kernel", "us", "low_us", "high_us", "launch_us", "registers",
//               "shared_bytes", "read_gbps" (of the same run)}],
//  "rivals":  [{"shape", "name", "us"}], "torch": its version}            by tests/bench/torch_sdpa.py
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gpu/driver/runner.h"

namespace lastrow::driver {

/// Sequences of equal sizes; decode where q_len is 1, else a causal prefill.
struct TimedShape {
  int32_t n_q_heads, n_kv_heads, head_dim, batch, q_len, kv_len;
  DType dtype;
  int32_t block_len;  // 0: contiguous

  std::string name() const;  // "32:8×128 b8 kv4096 bf16", "… paged16"
  gpu::AttendShape shape() const;
  /// Of K and V, each byte counted once, scales included.
  int64_t kv_bytes() const;
};

/// Five shapes of heads × four batches × three lengths × four types × three kinds of blocks, and prefills; or
/// a part of them that shows what matters: which shapes stand in gpu/README.md's table.
std::vector<TimedShape> timed_shapes(bool full);

nlohmann::json header(const DeviceInfo& device, const Bandwidth& bandwidth, const std::string& date);
bool has_result(const nlohmann::json& results, const TimedShape& shape, const std::string& rung);
void add_result(nlohmann::json& results, const TimedShape& shape, const std::string& rung, const Timing& t,
                double read_gbps);

/// A file of these. Throws FileError, with the file's name, for anything else.
nlohmann::json read_results(const std::filesystem::path& file);
/// Throws before anything is measured if results could not be written there, or are to be gone on with and
/// are none.
void require_results_file(const std::filesystem::path& file, bool go_on);

/// Markdown.
std::string table(const nlohmann::json& results);

/// Throws FileError if the file cannot be read or has not one line of each marker comment, for a table to go
/// between.
void require_markers(const std::filesystem::path& file);
/// Replaces what stands between them.
void rewrite_table(const std::filesystem::path& file, const std::string& table);
inline constexpr const char* kTableBegin = "<!-- table: begin -->";
inline constexpr const char* kTableEnd = "<!-- table: end -->";

}  // namespace lastrow::driver
