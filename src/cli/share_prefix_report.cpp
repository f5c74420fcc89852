#include "cli/share_prefix_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/generate_report.h"
#include "cost/memory.h"

namespace lastrow::cli {
namespace {

using nlohmann::ordered_json;

/// The numbers of one of the two runs.
struct Numbers {
  double mean_us = 0, median_us = 0;      // time to first token, over the prompts
  double queued_us = 0;                   // mean part of it before the prefill
  int64_t asked = 0, found = 0, fed = 0;  // prompt tokens
  int64_t n_hits = 0;                     // prompts of which something was found
  int64_t bytes_saved = 0;                // K and V rows that were not computed and stored again
  int64_t most_bytes = 0;                 // of the blocks in use, at any step
};

double median(std::vector<double> all) {
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
  std::nth_element(all.begin(), middle, all.end());
  return *middle;
}

/// The median over the runs of one time of prompt i.
double median_us(std::span<const PromptsRun> runs, size_t i, double PromptResult::*time) {
  std::vector<double> all;
  for (const PromptsRun& run : runs) all.push_back(run.prompts[i].*time);
  return median(std::move(all));
}

Numbers numbers_of(std::span<const FilePrompt> file, std::span<const PromptsRun> runs) {
  const PromptsRun& run = runs.front();
  Numbers n{.found = run.n_found()};
  for (const FilePrompt& prompt : file) n.asked += static_cast<int64_t>(prompt.tokens.size());
  n.fed = n.asked - n.found;
  std::vector<double> times_us;
  const auto n_prompts = static_cast<double>(file.size());
  for (size_t i = 0; i < file.size(); ++i) {
    times_us.push_back(median_us(runs, i, &PromptResult::first_token_us));
    n.mean_us += times_us.back() / n_prompts;
    n.queued_us += median_us(runs, i, &PromptResult::queued_us) / n_prompts;
    n.n_hits += run.prompts[i].n_found > 0 ? 1 : 0;
  }
  n.median_us = median(std::move(times_us));
  n.bytes_saved = n.found * run.row_bytes;
  for (const StepRecord& step : run.steps) n.most_bytes = std::max(n.most_bytes, step.bytes_held);
  return n;
}

std::string row(std::string_view label, const std::string& without, const std::string& with,
                double ratio = 0) {
  return fmt::format("  {:<38} {:>24} {:>24}{}\n", label, without, with,
                     ratio > 0 ? fmt::format(" {:>10.1f}×", ratio) : "");
}

double ratio(double without, double with) { return with > 0 ? without / with : 0; }

std::string hits(const Numbers& n, size_t n_prompts) {
  return fmt::format("{} of {} ({:.0f} %)", n.n_hits, n_prompts,
                     100.0 * static_cast<double>(n.n_hits) / static_cast<double>(n_prompts));
}

/// The prompts whose tokens are not the same in both runs.
std::vector<size_t> differing(const SharePrefixReport& report) {
  std::vector<size_t> out;
  for (size_t i = 0; i < report.file.size(); ++i)
    if (report.without.front().prompts[i].tokens != report.with.front().prompts[i].tokens) out.push_back(i);
  return out;
}

std::string agreement(const SharePrefixReport& report) {
  const std::vector<size_t> others = differing(report);
  if (others.empty())
    return report.file.size() == 1 ? "The text is the same in both.\n"
                                   : fmt::format("All {} texts are equal.\n", report.file.size());
  return fmt::format(
      "Not equal: {} of {} texts, the first in line {}. The two runs sum in another order, and two tokens "
      "were almost equally probable.\n",
      others.size(), report.file.size(), report.file[others.front()].line);
}

ordered_json as_json(const Numbers& n, const PrefixCounts& counts) {
  return {{"first_token_us_mean", n.mean_us},   {"first_token_us_median", n.median_us},
          {"queued_us_mean", n.queued_us},      {"prompt_tokens", n.asked},
          {"prompt_tokens_found", n.found},     {"prompt_tokens_fed", n.fed},
          {"prompts_that_hit", n.n_hits},       {"bytes_saved", n.bytes_saved},
          {"bytes_held_at_most", n.most_bytes}, {"blocks_evicted", counts.blocks_evicted}};
}

}  // namespace

std::string as_text(const SharePrefixReport& report) {
  const Numbers a = numbers_of(report.file, report.without), b = numbers_of(report.file, report.with);
  const auto percent = [](int64_t part, int64_t all) {
    return fmt::format("{} ({:.0f} %)", with_commas(part),
                       100.0 * static_cast<double>(part) / static_cast<double>(all));
  };
  const size_t n_runs = report.with.size();
  const std::string how = n_runs == 1 ? "one run" : fmt::format("the medians of {} runs", n_runs);
  return fmt::format(
             "\nTimes are {} each way, taken in turn. They count from the start of the run, when all "
             "prompts wait.\nSo they include the wait of a prompt until another one has filled the blocks "
             "that "
             "both share.\n\n",
             how) +
         row("", "without sharing", "with sharing") +
         row("time to first token, mean", milliseconds(a.mean_us), milliseconds(b.mean_us),
             ratio(a.mean_us, b.mean_us)) +
         row("time to first token, median", milliseconds(a.median_us), milliseconds(b.median_us),
             ratio(a.median_us, b.median_us)) +
         row("of the mean, before the prefill", milliseconds(a.queued_us), milliseconds(b.queued_us)) +
         row("prompt tokens fed", with_commas(a.fed), with_commas(b.fed),
             ratio(static_cast<double>(a.fed), static_cast<double>(b.fed))) +
         row("prompt tokens found in the cache", "–", percent(b.found, b.asked)) +
         row("prompts that found something", "–", hits(b, report.file.size())) +
         row("K/V bytes saved, summed over prompts", "–", gib_and_gb(b.bytes_saved)) +
         row("K/V bytes in use at one time, at most", gib_and_gb(a.most_bytes), gib_and_gb(b.most_bytes),
             ratio(static_cast<double>(a.most_bytes), static_cast<double>(b.most_bytes))) +
         row("blocks of ended texts evicted", "–", with_commas(report.with.front().prefix.blocks_evicted)) +
         "\n" + agreement(report);
}

ordered_json as_json(const SharePrefixReport& report) {
  ordered_json lines = ordered_json::array();
  for (const size_t i : differing(report)) lines.push_back(report.file[i].line);
  return {{"without", as_json(numbers_of(report.file, report.without), report.without.front().prefix)},
          {"with", as_json(numbers_of(report.file, report.with), report.with.front().prefix)},
          {"runs_each_way", report.with.size()},
          {"lines_that_differ", std::move(lines)}};
}

}  // namespace lastrow::cli
