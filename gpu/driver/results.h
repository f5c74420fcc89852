// The times, as a JSON file that one machine writes and another reads. table.h makes a table of it.
//
// {"device", "driver", "toolkit", "date", "read_gbps", "copy_gbps",      of the run that began the file
//  "shapes":  [{"name", "n_q_heads", "n_kv_heads", "head_dim", "batch", "q_len", "kv_len", "dtype",
//               "block_len" (0: contiguous), "kv_bytes"}],
//  "results": [{"shape" (a name), "kernel", "us", "low_us", "high_us", "launch_us", "registers",
//               "shared_bytes", "read_gbps" (of the same run), "check" (name_of a CheckResult),
//               "compared_with" (a kernel), "difference" (null: an output has NaN), "agrees"}],
//  "failed":  [{"shape", "kernel", "why"}],       times that could not be taken; another run tries again
//  "lost":    [{"shape", "kernel", "why"}],       times during which the device was lost
//  "running": {"shape", "kernel"},                the time that is being taken; lost if the process ends now
//  "rivals":  [{"shape", "name", "us"}], "torch": its version}            from tests/bench/torch_sdpa.py
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "gpu/driver/check.h"
#include "gpu/driver/runner.h"
#include "gpu/driver/timed_shapes.h"

namespace lastrow::driver {

/// "held", "failed", "broke the device", "not checked".
const char* name_of(CheckResult result);

nlohmann::json header(const DeviceInfo& device, const Bandwidth& bandwidth, const std::string& date);
bool has_result(const nlohmann::json& results, const TimedShape& shape, const std::string& rung);
void add_result(nlohmann::json& results, const TimedShape& shape, const std::string& rung, const Timing& t,
                CheckResult checked, double read_gbps);
void add_failure(nlohmann::json& results, const std::string& shape, const std::string& rung,
                 const std::string& why);
void add_loss(nlohmann::json& results, const std::string& shape, const std::string& rung,
              const std::string& why);
/// Removes the failure of a time that is tried again.
void forget_failure(nlohmann::json& results, const std::string& shape, const std::string& rung);
/// How often the device was lost while this rung was timed.
int64_t n_losses(const nlohmann::json& results, const std::string& rung);

/// Reads such a file. Throws FileError, which names the file, if it is anything else.
nlohmann::json read_results(const std::filesystem::path& file);
/// Called before anything is measured. Throws if results cannot be written there, or if go_on is set and the
/// file does not hold results.
void require_results_file(const std::filesystem::path& file, bool go_on);

}  // namespace lastrow::driver
