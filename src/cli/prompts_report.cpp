#include "cli/prompts_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/generate_report.h"
#include "cost/memory.h"
#include "io/checked.h"

namespace lastrow::cli {
namespace {

using nlohmann::ordered_json;

std::string full_text(const PromptsReport& report, const PromptsRun& run, size_t i) {
  std::vector<int32_t> all = report.file[i].tokens;
  const std::vector<int32_t>& chosen = run.prompts[i].tokens;
  all.insert(all.end(), chosen.begin(), chosen.end());
  return report.tokenizer->decode(all);
}

template <typename Value>
std::string row(std::string_view label, const Value& value) {
  return fmt::format("  {:<38} {:>24}\n", label, value);
}

ordered_json prompt_as_json(const PromptsReport& report, const PromptsRun& run, size_t i) {
  const FilePrompt& prompt = report.file[i];
  const PromptResult& result = run.prompts[i];
  return {{"line", prompt.line},
          {"prompt", prompt.text},
          {"prompt_tokens", prompt.tokens},
          {"tokens", result.tokens},
          {"text", full_text(report, run, i)},
          {"context_full", result.context_full},
          {"tokens_found", result.n_found},
          {"queued_us", result.queued_us},
          {"first_token_us", result.first_token_us},
          {"first_step", result.first_step},
          {"last_step", result.last_step}};
}

}  // namespace

std::string line_of(const PromptsReport& report, const PromptsRun& run, size_t i) {
  return fmt::format("{:>4}  {}\n", report.file[i].line, escaped(full_text(report, run, i)));
}

std::string as_table(const PromptsReport& report, const PromptsRun& run) {
  int64_t given = 0, chosen = 0;
  for (size_t i = 0; i < report.file.size(); ++i) {
    given += static_cast<int64_t>(report.file[i].tokens.size());
    chosen += static_cast<int64_t>(run.prompts[i].tokens.size());
  }
  StepRecord most;
  for (const StepRecord& step : run.steps) {
    most.rows_held = std::max(most.rows_held, step.rows_held);
    most.blocks_used = std::max(most.blocks_used, step.blocks_used);
    most.blocks_shared = std::max(most.blocks_shared, step.blocks_shared);
    most.bytes_held = std::max(most.bytes_held, step.bytes_held);
  }
  const StepRecord all = total(run.steps);
  std::string out = fmt::format("  {} on {}, {}, batch {}\n", escaped(report.model), report.backend,
                                report.cache, report.batch);
  out += row("prompts", report.file.size());
  out += row("steps", run.steps.size());
  out += row("prompt tokens", with_commas(given));
  out += row("generated tokens", with_commas(chosen));
  out += row("generated tokens for each step",
             fmt::format("{:.1f}", static_cast<double>(chosen) / static_cast<double>(run.steps.size())));
  out += row("rows held, a shared one in each text", with_commas(most.rows_held));
  out += row("blocks in use, at most", with_commas(most.blocks_used));
  out += row("of these, shared by two or more", with_commas(most.blocks_shared));
  out += row("bytes of these blocks at one time", gib_and_gb(most.bytes_held));
  out += row("time", fmt::format("{:.2f} ms", all.wall_us / 1e3));
  out +=
      row("generated tokens/s",
          with_commas(static_cast<int64_t>(static_cast<double>(chosen) / std::max(all.wall_us, 1.0) * 1e6)));
  return out;
}

ordered_json as_json(const PromptsReport& report, const PromptsRun& run) {
  ordered_json prompts = ordered_json::array(), steps = ordered_json::array();
  for (size_t i = 0; i < report.file.size(); ++i) prompts.push_back(prompt_as_json(report, run, i));
  for (size_t i = 0; i < run.steps.size(); ++i) {
    steps.push_back(as_json(run.steps[i]));
    steps.back()["prompts"] = run.stepped[i];
  }
  return {{"model", report.model},       {"backend", report.backend}, {"cache", report.cache},
          {"kv_dtype", report.kv_dtype}, {"batch", report.batch},     {"prompts", std::move(prompts)},
          {"steps", std::move(steps)}};
}

}  // namespace lastrow::cli
