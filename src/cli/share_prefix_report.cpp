#include "cli/share_prefix_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cost/memory.h"

namespace lastrow::cli {
namespace {

using nlohmann::ordered_json;

/// The numbers of one of the two runs.
struct Numbers {
  double mean_us = 0, median_us = 0;      // time to first token
  int64_t asked = 0, found = 0, fed = 0;  // prompt tokens
  int64_t n_hits = 0;                     // prompts of which something was found
  int64_t bytes_saved = 0;                // K and V rows that were not computed and stored again
  int64_t most_bytes = 0;                 // of the blocks in use, at any step
};

Numbers numbers_of(std::span<const FilePrompt> file, const PromptsRun& run) {
  Numbers n{.found = run.n_found()};
  for (const FilePrompt& prompt : file) n.asked += static_cast<int64_t>(prompt.tokens.size());
  n.fed = n.asked - n.found;
  std::vector<double> times_us;
  for (const PromptResult& prompt : run.prompts) {
    times_us.push_back(prompt.first_token_us);
    n.mean_us += prompt.first_token_us / static_cast<double>(run.prompts.size());
    n.n_hits += prompt.n_found > 0 ? 1 : 0;
  }
  std::sort(times_us.begin(), times_us.end());
  n.median_us = times_us[times_us.size() / 2];
  n.bytes_saved = n.found * run.row_bytes;
  for (const StepRecord& step : run.steps) n.most_bytes = std::max(n.most_bytes, step.bytes_held);
  return n;
}

std::string row(std::string_view label, const std::string& without, const std::string& with,
                double ratio = 0) {
  return fmt::format("  {:<38} {:>24} {:>24}{}\n", label, without, with,
                     ratio > 0 ? fmt::format(" {:>10.1f}×", ratio) : "");
}

std::string milliseconds(double us) { return fmt::format("{:.2f} ms", us / 1e3); }
double ratio(double without, double with) { return with > 0 ? without / with : 0; }

std::string hits(const Numbers& n, size_t n_prompts) {
  return fmt::format("{} of {} ({:.0f} %)", n.n_hits, n_prompts,
                     100.0 * static_cast<double>(n.n_hits) / static_cast<double>(n_prompts));
}

/// The prompts whose tokens are not the same in both runs.
std::vector<size_t> differing(const SharePrefixReport& report) {
  std::vector<size_t> out;
  for (size_t i = 0; i < report.file.size(); ++i)
    if (report.without->prompts[i].tokens != report.with->prompts[i].tokens) out.push_back(i);
  return out;
}

std::string agreement(const SharePrefixReport& report) {
  const std::vector<size_t> others = differing(report);
  if (others.empty()) return fmt::format("All {} texts are equal.\n", report.file.size());
  return fmt::format(
      "{} of {} texts differ, the first in line {}: the two runs sum in another order, and two tokens were "
      "almost equally probable.\n",
      others.size(), report.file.size(), report.file[others.front()].line);
}

ordered_json as_json(const Numbers& n, const PrefixCounts& counts) {
  return {{"first_token_us_mean", n.mean_us},
          {"first_token_us_median", n.median_us},
          {"prompt_tokens", n.asked},
          {"prompt_tokens_found", n.found},
          {"prompt_tokens_fed", n.fed},
          {"prompts_that_hit", n.n_hits},
          {"bytes_saved", n.bytes_saved},
          {"bytes_held_at_most", n.most_bytes},
          {"blocks_evicted", counts.blocks_evicted}};
}

}  // namespace

std::string as_text(const SharePrefixReport& report) {
  const Numbers a = numbers_of(report.file, *report.without), b = numbers_of(report.file, *report.with);
  const auto percent = [](int64_t part, int64_t all) {
    return fmt::format("{} ({:.0f} %)", with_commas(part),
                       100.0 * static_cast<double>(part) / static_cast<double>(all));
  };
  return "\n" + row("", "without sharing", "with sharing") +
         row("time to first token, mean", milliseconds(a.mean_us), milliseconds(b.mean_us),
             ratio(a.mean_us, b.mean_us)) +
         row("time to first token, median", milliseconds(a.median_us), milliseconds(b.median_us),
             ratio(a.median_us, b.median_us)) +
         row("prompt tokens fed", with_commas(a.fed), with_commas(b.fed),
             ratio(static_cast<double>(a.fed), static_cast<double>(b.fed))) +
         row("prompt tokens found in the cache", "–", percent(b.found, b.asked)) +
         row("prompts that found something", "–", hits(b, report.file.size())) +
         row("K/V bytes not computed again", "–", gib_and_gb(b.bytes_saved)) +
         row("K/V bytes in use, at most", gib_and_gb(a.most_bytes), gib_and_gb(b.most_bytes),
             ratio(static_cast<double>(a.most_bytes), static_cast<double>(b.most_bytes))) +
         row("blocks of ended texts evicted", "–", with_commas(report.with->prefix.blocks_evicted)) + "\n" +
         agreement(report);
}

ordered_json as_json(const SharePrefixReport& report) {
  ordered_json lines = ordered_json::array();
  for (const size_t i : differing(report)) lines.push_back(report.file[i].line);
  return {{"without", as_json(numbers_of(report.file, *report.without), report.without->prefix)},
          {"with", as_json(numbers_of(report.file, *report.with), report.with->prefix)},
          {"lines_that_differ", std::move(lines)}};
}

}  // namespace lastrow::cli
