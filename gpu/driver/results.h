// What was timed, as the JSON file that machines share. The table made of it: table.h.
//
// {"device", "driver", "toolkit", "date", "read_gbps", "copy_gbps",      of the run that began the file
//  "shapes":  [{"name", "n_q_heads", "n_kv_heads", "head_dim", "batch", "q_len", "kv_len", "dtype",
//               "block_len" (0: contiguous), "kv_bytes"}],
//  "results": [{"shape" (a name), "kernel", "us", "low_us", "high_us", "launch_us", "registers",
//               "shared_bytes", "read_gbps" (of the same run), "check" (a word of words_of),
//               "compared_with" (a kernel), "difference" (null: an output is no number), "agrees"}],
//  "failed":  [{"shape", "kernel", "why"}],       times that could not be taken; another run tries again
//  "lost":    [{"shape", "kernel", "why"}],       times during which the device was lost
//  "running": {"shape", "kernel"},                while one is taken: a process that ends then has lost it
//  "rivals":  [{"shape", "name", "us"}], "torch": its version}            by tests/bench/torch_sdpa.py
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "gpu/driver/check.h"
#include "gpu/driver/runner.h"
#include "gpu/driver/timed_shapes.h"

namespace lastrow::driver {

/// "held", "failed", "broke the device", "not checked".
const char* words_of(CheckResult result);

nlohmann::json header(const DeviceInfo& device, const Bandwidth& bandwidth, const std::string& date);
bool has_result(const nlohmann::json& results, const TimedShape& shape, const std::string& rung);
void add_result(nlohmann::json& results, const TimedShape& shape, const std::string& rung, const Timing& t,
                CheckResult checked, double read_gbps);
void add_failure(nlohmann::json& results, const std::string& shape, const std::string& rung,
                 const std::string& why);
void add_loss(nlohmann::json& results, const std::string& shape, const std::string& rung,
              const std::string& why);
/// Of a time that is tried once more.
void forget_failure(nlohmann::json& results, const std::string& shape, const std::string& rung);
/// How often the device was lost while this rung was timed.
int64_t n_losses(const nlohmann::json& results, const std::string& rung);

/// A file of these. Throws FileError, with the file's name, for anything else.
nlohmann::json read_results(const std::filesystem::path& file);
/// Throws before anything is measured if results could not be written there, or are to be gone on with and
/// are none.
void require_results_file(const std::filesystem::path& file, bool go_on);

}  // namespace lastrow::driver
