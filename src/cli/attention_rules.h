// The rules of an attention for `lastrow attend`, from the metadata of its file and from options.
//
//   AttendSpec spec = read_rules(file, head_dim, n_q_heads, options);     an option replaces the metadata
//
//   metadata   option        value
//   causal                   "true" or "false"; default "true"
//   scale      --scale       a finite number; default 1/√head_dim
//   soft_cap   --soft-cap    a number above 0, or 0 for none; default 0
//   alibi      --alibi       "true" or "false"; default "false". The slopes are those of attention/score.h
//   window     --window      a number of keys, or 0 for all; default 0
//   sinks      --sinks       a number of keys that stay visible beside the window; default 0
//
// A value that makes no sense throws FileError or UsageError, which names it and says what to give.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "attention/score.h"
#include "cli/named_tensors.h"

namespace lastrow::cli {

/// Empty: as in the metadata.
struct RuleOptions {
  std::optional<std::string> scale{}, soft_cap{};
  std::optional<int32_t> window{}, sinks{};
  bool alibi = false;
};

AttendSpec read_rules(const NamedTensors& file, int64_t head_dim, int64_t n_q_heads,
                      const RuleOptions& options);

}  // namespace lastrow::cli
