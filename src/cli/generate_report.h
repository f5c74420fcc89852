// Reports a finished generation: as JSON for programs, and as a table for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/generation.h"

namespace lastrow::cli {

struct GenerateReport {
  std::string model{}, backend{};
  std::string kv_dtype = "f32";  // the type of the stored K and V; "f64" on naive-f64
  const Tokenizer* tokenizer = nullptr;
  std::vector<int32_t> prompt{};
  std::vector<ModeRun> runs{};  // one run, or two: cached, recompute
};

/// The text of a run, with the prompt.
std::string full_text(const GenerateReport& report, const ModeRun& run);

/// `tokens_equal` and `max_abs_logit_diff` are null unless both modes ran.
nlohmann::ordered_json as_json(const GenerateReport& report);

/// A table with one column per mode, and whether the modes agree. Ends in a newline.
std::string as_table(const GenerateReport& report);

}  // namespace lastrow::cli
