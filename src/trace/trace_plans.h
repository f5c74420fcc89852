// Reads the plans of the steps of a trace file (trace_file.h says what is in it).
//
//   for (auto& [step, plan] : read_plans(file, checks, "steps", {.policy = true})) …
//
// Every number is in range. Whether the plans fit the cache, TraceChecks::check_plan says.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "cache/step_plan.h"
#include "io/safetensors.h"
#include "trace/trace_checks.h"

namespace lastrow {

using Table = std::span<const int64_t>;  // [n, width], row-major

/// The table of integers with this name: [n, width], or [n] if `width` is 0. Throws FileError if it is another one.
Table integer_table(const SafetensorsFile& file, const TraceChecks& damage, const std::string& name,
                    int64_t width);

/// Which arrays there are besides those of every plan.
struct PlanArrays {
  bool policy = false;         // PLACE.policy, table_first and key_positions
  bool new_positions = false;  // PLACE.new_positions and new_key_positions, if there is a policy
};

/// The plans in the arrays PLACE.NAME, by step. Throws FileError.
std::map<int32_t, StepPlan> read_plans(const SafetensorsFile& file, const TraceChecks& damage,
                                       const std::string& place, PlanArrays arrays);

}  // namespace lastrow
