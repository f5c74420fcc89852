// A finished generation as JSON for machines and as a table for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/generation.h"

namespace lastrow::cli {

struct GenerateReport {
  std::string model{}, backend{};
  std::string kv_dtype = "f32";  // in which the cache stores K and V; f64 on naive-f64
  const Tokenizer* tokenizer = nullptr;
  std::vector<int32_t> prompt{};
  std::vector<ModeRun> runs{};  // one, or both: cached, recompute
};

/// The whole text of a run, prompt included.
std::string text_of(const GenerateReport& report, const ModeRun& run);

/// `tokens_equal` and `max_abs_logit_diff` are null unless both modes ran.
nlohmann::ordered_json as_json(const GenerateReport& report);

/// What each mode did, side by side, and whether they agree. Ends in a newline.
std::string as_table(const GenerateReport& report);

}  // namespace lastrow::cli
