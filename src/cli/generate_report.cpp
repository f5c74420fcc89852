#include "cli/generate_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cache/make_cache.h"
#include "cost/memory.h"
#include "io/checked.h"

namespace lastrow::cli {
namespace {

using nlohmann::ordered_json;

std::string tokens_per_second(const ModeRun& run) {
  double decode_us = 0, n_decodes = 0;
  for (const StepRecord& step : run.steps)
    if (step.phase == Phase::decode) decode_us += step.wall_us, ++n_decodes;
  return decode_us <= 0 ? "–" : with_commas(static_cast<int64_t>(n_decodes / decode_us * 1e6));
}

/// One row of the table: the label, shown(number(total)) for each run, then the ratio recompute / cached.
template <typename Number, typename Shown>
std::string table_row(const GenerateReport& report, std::string_view label, Number number, Shown shown) {
  std::string row = fmt::format("  {:<34}", label);
  std::vector<double> numbers;
  for (const ModeRun& run : report.runs) {
    numbers.push_back(static_cast<double>(number(total(run.steps))));
    row += fmt::format(" {:>26}", numbers.back() == 0 ? "–" : shown(number(total(run.steps))));
  }
  if (numbers.size() == 2 && numbers[0] > 0 && numbers[1] > 0)
    row += fmt::format(" {:>10.1f}×", numbers[1] / numbers[0]);
  return row + "\n";
}

/// One row of the table: the label, then shown(run) for each run.
template <typename Shown>
std::string text_row(const GenerateReport& report, std::string_view label, Shown shown) {
  std::string row = fmt::format("  {:<34}", label);
  for (const ModeRun& run : report.runs) row += fmt::format(" {:>26}", shown(run));
  return row + "\n";
}

/// What the steps did together.
std::string work_rows(const GenerateReport& report) {
  std::string out;
  const auto add = [&](std::string_view label, int64_t StepRecord::*member, auto shown) {
    out += table_row(
        report, label, [member](const StepRecord& s) { return s.*member; }, shown);
  };
  add("rows of Q projected, all layers", &StepRecord::q_rows, with_commas);
  add("rows of K (and of V), all layers", &StepRecord::kv_rows_projected, with_commas);
  add("score cells, all layers and heads", &StepRecord::score_cells, with_commas);
  add("K/V cache read", &StepRecord::cache_bytes_read, gib_and_gb);
  add("K/V cache written", &StepRecord::cache_bytes_written, gib_and_gb);
  add("K/V scratch read and written", &StepRecord::kv_scratch_bytes, gib_and_gb);
  if (std::ranges::any_of(report.runs, [](const ModeRun& run) { return total(run.steps).n_saturated > 0; }))
    add("elements too large for the type", &StepRecord::n_saturated, with_commas);
  add("flop", &StepRecord::flop, with_commas);
  return out;
}

/// The newest rows of K are stored in f32 (cache/kv_channels.h).
bool has_open_rows(const GenerateReport& report) {
  return report.kv_dtype.find(kv_dtype_name(DType::i8_channel)) != std::string::npos;
}

/// What the cache holds at the end. One contiguous block has nothing to show.
std::string held_rows(const GenerateReport& report) {
  if (report.cache == "contiguous") return "";
  const auto rows = [](const StepRecord& s) { return s.rows_held; };
  const auto blocks = [](const StepRecord& s) { return int64_t{s.blocks_used}; };
  const auto bytes = [](const StepRecord& s) { return s.bytes_held; };
  const auto forgotten = [](const StepRecord& s) { return s.rows_evicted; };
  const bool forgets = std::ranges::any_of(report.runs, [](const ModeRun& run) {
    return std::ranges::any_of(run.steps, [](const StepRecord& s) { return s.rows_evicted > 0; });
  });
  return table_row(report, "rows held at the end by a layer", rows, with_commas) +
         (forgets ? table_row(report, "rows forgotten by a layer", forgotten, with_commas) : "") +
         table_row(report, "blocks of such a layer", blocks, with_commas) +
         table_row(
             report,
             has_open_rows(report) ? "bytes of the blocks and f32 rows" : "bytes of the blocks, all layers",
             bytes, gib_and_gb);
}

std::string agreement(const GenerateReport& report) {
  const ModeRun &a = report.runs[0], &b = report.runs[1];
  const Comparison c = compare(a, b);
  if (c.tokens_equal)
    return fmt::format("{}; {}.\n",
                       a.tokens.size() == 1 ? "The token is the same in both modes"
                                            : fmt::format("All {} tokens are equal", a.tokens.size()),
                       c.max_abs_logit_diff == 0
                           ? "the logits are equal too"
                           : fmt::format("the logits differ by at most {:.2g}", c.max_abs_logit_diff));
  const auto i = static_cast<size_t>(c.n_equal);
  return fmt::format(
      "Token {} differs: {} chose \"{}\", {} chose \"{}\"; up to there the logits differ by at most "
      "{:.2g}.\n",
      c.n_equal + 1, name_of(a.mode), report.tokenizer->piece(a.tokens[i]), name_of(b.mode),
      report.tokenizer->piece(b.tokens[i]), c.max_abs_logit_diff);
}

/// A window hides the same keys from both modes. A budget is only in the cache.
std::string price_of_budget(const GenerateReport& report) {
  return cache_options(report.cache).kind == "budget" ? "The recompute mode has no budget: it sees every "
                                                        "token. What differs is what the budget costs.\n"
                                                      : "";
}

ordered_json mode_as_json(const GenerateReport& report, const ModeRun& run) {
  ordered_json turns = ordered_json::array(), steps = ordered_json::array();
  for (const Turn& turn : run.turns)
    turns.push_back({{"prompt_tokens", turn.given}, {"tokens", turn.chosen}});
  for (const StepRecord& step : run.steps) {
    steps.push_back(as_json(step));
    steps.back()["chosen"] = nullptr;
  }
  for (size_t i = 0; i < run.tokens.size(); ++i)
    steps[static_cast<size_t>(run.chosen_by[i])]["chosen"] = run.tokens[i];
  ordered_json json = {{"text", full_text(report, run)},
                       {"tokens", run.tokens},
                       {"turns", std::move(turns)},
                       {"stored_not_finite", run.stored.n_not_finite},
                       {"stored_at_limit", run.stored.n_at_limit}};
  if (!run.attend_kernel.empty()) {
    json["attend_kernel"] = run.attend_kernel;
    json["steps_replayed"] = run.n_replayed;
  }
  json["steps"] = std::move(steps);
  return json;
}

}  // namespace

std::string milliseconds(double us) { return fmt::format("{:.2f} ms", us / 1e3); }

std::string full_text(const GenerateReport& report, const ModeRun& run) {
  return report.tokenizer->decode(all_tokens(run));
}

ordered_json as_json(const StepRecord& step) {
  const ordered_json saturated = step.n_saturated < 0 ? ordered_json() : ordered_json(step.n_saturated);
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
          {"rows_held", step.rows_held},
          {"rows_evicted", step.rows_evicted},
          {"saturated", saturated},
          {"blocks_used", step.blocks_used},
          {"blocks_shared", step.blocks_shared},
          {"bytes_held", step.bytes_held},
          {"flop", step.flop},
          {"wall_us", step.wall_us}};
}

ordered_json as_json(const GenerateReport& report) {
  ordered_json modes = ordered_json::object();
  bool context_full = false;
  for (const ModeRun& run : report.runs) {
    modes[name_of(run.mode)] = mode_as_json(report, run);
    context_full = context_full || run.context_full;
  }
  ordered_json json = {{"model", report.model},
                       {"backend", report.backend},
                       {"cache", report.cache},
                       {"kv_dtype", report.kv_dtype},
                       {"prompt_tokens", report.runs.front().turns.front().given},
                       {"tokens_loaded", report.n_loaded},
                       {"tokens_equal", nullptr},
                       {"max_abs_logit_diff", nullptr},
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
  const std::string title = fmt::format("{} on {}{}{}", escaped(report.model), report.backend,
                                        kernel.empty() || !one_kernel ? "" : ", " + kernel,
                                        report.cache == "contiguous" ? "" : ", " + report.cache);
  // A long title has a line of its own, so that the columns stay where they are.
  std::string out =
      title.size() <= 34 ? fmt::format("  {:<34}", title) : fmt::format("  {}\n  {:<34}", title, "");
  for (const ModeRun& run : report.runs) out += fmt::format(" {:>26}", name_of(run.mode));
  out += report.runs.size() == 2 ? fmt::format(" {:>11}\n", "ratio") : "\n";
  out += text_row(report, "steps, prefill included", [](const ModeRun& run) { return run.steps.size(); });
  if (!kernel.empty())
    out +=
        text_row(report, "steps replayed from a record", [](const ModeRun& run) { return run.n_replayed; });
  if (!one_kernel)
    out += text_row(report, "kernel of the last attention",
                    [](const ModeRun& run) { return run.attend_kernel; });
  out += work_rows(report) + held_rows(report);
  out += table_row(
      report, "time", [](const StepRecord& s) { return s.wall_us; }, milliseconds);
  out += text_row(report, "tokens/s after the prefill", tokens_per_second);
  if (report.runs.size() == 2) out += fmt::format("\n{}{}", agreement(report), price_of_budget(report));
  if (report.kv_dtype != "f32" && report.runs[0].mode == Mode::cached) {
    const char* meaning = report.kv_dtype == "f64" ? "a row has twice the bytes of f32"
                          : has_open_rows(report)
                              ? "the values that it reads are rounded, except the newest rows of K"
                              : "the values that it reads are rounded";
    out += fmt::format("{}The cache stores K and V in {}: {}.\n", report.runs.size() == 2 ? "" : "\n",
                       report.kv_dtype, meaning);
  }
  return out;
}

}  // namespace lastrow::cli
