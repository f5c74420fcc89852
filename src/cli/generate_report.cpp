#include "cli/generate_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cost/memory.h"
#include "io/checked.h"

namespace lastrow::cli {
namespace {

using nlohmann::ordered_json;

ordered_json step_as_json(const StepRecord& step) {
  return {{"position", step.position},
          {"phase", name_of(step.phase)},
          {"q_len", step.q_len},
          {"kv_len", step.kv_len},
          {"q_rows", step.q_rows},
          {"kv_rows_projected", step.kv_rows_projected},
          {"score_cells", step.score_cells},
          {"cache_bytes_read", step.cache_bytes_read},
          {"cache_bytes_written", step.cache_bytes_written},
          {"kv_scratch_bytes", step.kv_scratch_bytes},
          {"flop", step.flop},
          {"wall_us", step.wall_us}};
}

std::string milliseconds(double us) { return fmt::format("{:.2f} ms", us / 1e3); }

std::string tokens_per_second(const ModeRun& run) {
  double decode_us = 0;
  for (size_t i = 1; i < run.steps.size(); ++i) decode_us += run.steps[i].wall_us;
  if (run.steps.size() < 2 || decode_us <= 0) return "–";
  return with_commas(static_cast<int64_t>(static_cast<double>(run.steps.size() - 1) / decode_us * 1e6));
}

/// One row of the table: the label, shown(number(total)) for each run, then the ratio recompute / cached.
template <typename Number, typename Shown>
std::string table_row(const GenerateReport& report, std::string_view label, Number number, Shown shown) {
  std::string row = fmt::format("  {:<34}", label);
  std::vector<double> numbers;
  for (const ModeRun& run : report.runs) {
    numbers.push_back(static_cast<double>(number(total(run))));
    row += fmt::format(" {:>26}", numbers.back() == 0 ? "–" : shown(number(total(run))));
  }
  if (numbers.size() == 2 && numbers[0] > 0 && numbers[1] > 0)
    row += fmt::format(" {:>10.1f}×", numbers[1] / numbers[0]);
  return row + "\n";
}

std::string agreement(const GenerateReport& report) {
  const ModeRun &a = report.runs[0], &b = report.runs[1];
  const Comparison c = compare(a, b);
  if (c.tokens_equal)
    return fmt::format("All {} tokens are equal; the logits differ by at most {:.2g}.\n", a.tokens.size(),
                       c.max_abs_logit_diff);
  const auto i = static_cast<size_t>(c.n_equal);
  return fmt::format(
      "Token {} differs: {} chose \"{}\", {} chose \"{}\"; up to there the logits differ by at most "
      "{:.2g}.\n",
      c.n_equal + 1, name_of(a.mode), report.tokenizer->piece(a.tokens[i]), name_of(b.mode),
      report.tokenizer->piece(b.tokens[i]), c.max_abs_logit_diff);
}

}  // namespace

std::string full_text(const GenerateReport& report, const ModeRun& run) {
  std::vector<int32_t> all = report.prompt;
  all.insert(all.end(), run.tokens.begin(), run.tokens.end());
  return report.tokenizer->decode(all);
}

ordered_json as_json(const GenerateReport& report) {
  ordered_json modes = ordered_json::object();
  bool context_full = false;
  for (const ModeRun& run : report.runs) {
    ordered_json steps = ordered_json::array();
    for (const StepRecord& step : run.steps) steps.push_back(step_as_json(step));
    modes[name_of(run.mode)] = {{"text", full_text(report, run)},
                                {"tokens", run.tokens},
                                {"stored_not_finite", run.stored.n_not_finite},
                                {"stored_at_limit", run.stored.n_at_limit},
                                {"steps", std::move(steps)}};
    if (!run.attend_kernel.empty()) {
      modes[name_of(run.mode)]["attend_kernel"] = run.attend_kernel;
      modes[name_of(run.mode)]["steps_replayed"] = run.n_replayed;
    }
    context_full = context_full || run.context_full;
  }
  ordered_json json = {{"model", report.model},       {"backend", report.backend},
                       {"kv_dtype", report.kv_dtype}, {"prompt_tokens", report.prompt},
                       {"tokens_equal", nullptr},     {"max_abs_logit_diff", nullptr},
                       {"context_full", context_full}};
  if (report.runs.size() == 2) {
    const Comparison c = compare(report.runs[0], report.runs[1]);
    json["tokens_equal"] = c.tokens_equal;
    json["max_abs_logit_diff"] = c.max_abs_logit_diff;
  }
  json["modes"] = std::move(modes);
  return json;
}

std::string as_table(const GenerateReport& report) {
  const std::string kernel = report.runs.empty() ? "" : report.runs.front().attend_kernel;
  const bool one_kernel = std::all_of(report.runs.begin(), report.runs.end(),
                                      [&](const ModeRun& run) { return run.attend_kernel == kernel; });
  std::string out = fmt::format("  {:<34}", fmt::format("{} on {}{}", escaped(report.model), report.backend,
                                                        kernel.empty() || !one_kernel ? "" : ", " + kernel));
  for (const ModeRun& run : report.runs) out += fmt::format(" {:>26}", name_of(run.mode));
  out += report.runs.size() == 2 ? fmt::format(" {:>11}\n", "ratio") : "\n";
  const auto count = [&](std::string_view label, int64_t StepRecord::*member) {
    return table_row(
        report, label, [member](const StepRecord& s) { return s.*member; }, with_commas);
  };
  const auto bytes = [&](std::string_view label, int64_t StepRecord::*member) {
    return table_row(
        report, label, [member](const StepRecord& s) { return s.*member; }, gib_and_gb);
  };
  out += fmt::format("  {:<34}", "steps, prefill included");
  for (const ModeRun& run : report.runs) out += fmt::format(" {:>26}", run.steps.size());
  out += "\n";
  if (!kernel.empty()) {
    out += fmt::format("  {:<34}", "steps replayed from a record");
    for (const ModeRun& run : report.runs) out += fmt::format(" {:>26}", run.n_replayed);
    out += "\n";
  }
  if (!one_kernel) {
    out += fmt::format("  {:<34}", "kernel of the last attention");
    for (const ModeRun& run : report.runs) out += fmt::format(" {:>26}", run.attend_kernel);
    out += "\n";
  }
  out += count("rows of Q projected", &StepRecord::q_rows);
  out += count("rows of K (and of V) projected", &StepRecord::kv_rows_projected);
  out += count("score cells", &StepRecord::score_cells);
  out += bytes("K/V cache read", &StepRecord::cache_bytes_read);
  out += bytes("K/V cache written", &StepRecord::cache_bytes_written);
  out += bytes("K/V scratch, kept for one step", &StepRecord::kv_scratch_bytes);
  out += count("flop", &StepRecord::flop);
  out += table_row(
      report, "time", [](const StepRecord& s) { return s.wall_us; }, milliseconds);
  out += fmt::format("  {:<34}", "tokens/s after the prefill");
  for (const ModeRun& run : report.runs) out += fmt::format(" {:>26}", tokens_per_second(run));
  out += "\n";
  if (report.runs.size() == 2) out += fmt::format("\n{}", agreement(report));
  if (report.kv_dtype != "f32" && report.runs[0].mode == Mode::cached)
    out += fmt::format("{}The cache stores K and V in {}: {}.\n", report.runs.size() == 2 ? "" : "\n",
                       report.kv_dtype,
                       report.kv_dtype == "f64" ? "a row has twice the bytes of f32"
                                                : "the values that it reads are rounded");
  return out;
}

}  // namespace lastrow::cli
