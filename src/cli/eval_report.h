// Shows the results of `lastrow eval`: as JSON for programs, as lines for people.
//
//   print(heading(report));                       before the first row
//   print(table_head(report)); print(table_row(report, result)) …; print(int8_claim(report));  --all
//   print(as_text(report));                       one cache
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/eval_rows.h"
#include "model/tokenizer.h"

namespace lastrow::cli {

struct EvalReport {
  std::string model{}, backend{}, text{};  // text: a file; "": the program's own texts
  bool stores_f64 = false;                 // the backend stores f64 where --kv-dtype says f32
  const Texts* texts = nullptr;
  const Tokenizer* tokenizer = nullptr;
  const Reference* reference = nullptr;
  int64_t reference_bytes = 0;
  std::vector<EvalResult> results{};
};

/// What was predicted, and how well by the reference. Ends in a newline, as all of these do.
std::string heading(const EvalReport& report);
/// One cache in full.
std::string as_text(const EvalReport& report, const EvalResult& result);

std::string table_head(const EvalReport& report);
std::string table_row(const EvalReport& report, const EvalResult& result);
/// What is commonly claimed of int8, and what was measured; "" if int8 or f16 was not measured.
std::string int8_claim(const EvalReport& report);

nlohmann::ordered_json as_json(const EvalReport& report);

}  // namespace lastrow::cli
