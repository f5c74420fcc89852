// Reports a finished generation of one text: as JSON for programs, and as a table for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/generation.h"
#include "model/tokenizer.h"

namespace lastrow::cli {

struct GenerateReport {
  std::string model{}, backend{};
  std::string cache = "contiguous";  // as in --cache
  std::string kv_dtype = "f32";      // of the stored K and V, as in --kv-dtype; "f64" on naive-f64
  int32_t n_loaded = 0;              // tokens of --cache-from
  const Tokenizer* tokenizer = nullptr;
  std::vector<ModeRun> runs{};  // one run, or two: cached, recompute
};

/// The text of a run, with everything that was given.
std::string full_text(const GenerateReport& report, const ModeRun& run);

/// `tokens_equal` and `max_abs_logit_diff` are null unless both modes ran.
nlohmann::ordered_json as_json(const GenerateReport& report);
nlohmann::ordered_json as_json(const StepRecord& step);

/// 1234.5 → "1.23 ms"
std::string milliseconds(double us);

/// A table with one column per mode, and whether the modes agree. Ends in a newline.
std::string as_table(const GenerateReport& report);

}  // namespace lastrow::cli
