#include "cli/pad_left.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "cost/memory.h"
#include "io/checked.h"
#include "trace/faults.h"
#include "trace/owning.h"

namespace lastrow::cli {
namespace {

using nlohmann::ordered_json;

/// Knows which prompt each sequence of the cache runs, and moves its generated tokens.
class PaddedPositions {
 public:
  PaddedPositions(std::span<const FilePrompt> prompts, std::span<const int32_t> padding) {
    for (size_t i = 0; i < prompts.size(); ++i) waiting_.push_back({prompts[i].tokens, padding[i]});
  }

  void operator()(StepPlan& plan) {
    for (int32_t i = 0; i < plan.n_seqs(); ++i) {
      const auto sequence = static_cast<size_t>(plan.sequences[i]);
      if (padding_.size() <= sequence) padding_.resize(sequence + 1);
      if (plan.q_len(i) == plan.kv_len[i])
        padding_[sequence] = take_padding(std::span(plan.tokens).subspan(plan.q_start[i], plan.q_len(i)));
      else
        for (int32_t t = plan.q_start[i]; t < plan.q_start[i + 1]; ++t)
          plan.positions[t] += padding_[sequence];
    }
  }

 private:
  struct Waiting {
    std::vector<int32_t> tokens;
    int32_t padding;
  };

  /// The padding of the first waiting prompt with these tokens. It then waits no more.
  int32_t take_padding(std::span<const int32_t> tokens) {
    const auto found = std::ranges::find_if(
        waiting_, [&](const Waiting& w) { return std::ranges::equal(w.tokens, tokens); });
    LASTROW_CHECK(found != waiting_.end(), "a prompt of {} tokens joined, but none like it waits",
                  tokens.size());
    const int32_t padding = found->padding;
    waiting_.erase(found);
    return padding;
  }

  std::deque<Waiting> waiting_;
  std::vector<int32_t> padding_;  // [sequences of the cache]
};

struct Verdict {
  int32_t n_equal = 0;           // tokens before the first that differs
  float max_abs_logit_diff = 0;  // of the last token; only if all tokens are equal
  bool tokens_equal = true;
};

Verdict compare(const PromptResult& packed, const PromptResult& padded) {
  const auto [a, b] =
      std::mismatch(packed.tokens.begin(), packed.tokens.end(), padded.tokens.begin(), padded.tokens.end());
  Verdict verdict{.n_equal = static_cast<int32_t>(a - packed.tokens.begin()),
                  .tokens_equal = a == packed.tokens.end() && b == padded.tokens.end()};
  for (size_t i = 0; verdict.tokens_equal && i < packed.logits.size(); ++i)
    verdict.max_abs_logit_diff =
        std::max(verdict.max_abs_logit_diff, std::abs(packed.logits[i] - padded.logits[i]));
  return verdict;
}

std::string verdict_text(const PadLeftReport& report, size_t i) {
  const PromptResult &packed = report.packed->prompts[i], &padded = report.padded->prompts[i];
  const Verdict verdict = compare(packed, padded);
  if (report.padding[i] == 0) return verdict.tokens_equal ? "right: it needs no padding" : "differs";
  if (packed.tokens.size() < 2) return "right: its only token has no position yet";
  if (verdict.tokens_equal && verdict.max_abs_logit_diff == 0)
    return "wrong rows, but the same tokens and the same last logits";
  if (verdict.tokens_equal)
    return fmt::format("wrong rows, but the same tokens; the last logits differ by up to {:.2g}",
                       verdict.max_abs_logit_diff);
  const auto at = static_cast<size_t>(verdict.n_equal);
  return fmt::format("wrong: token {} is \"{}\" instead of \"{}\"", at + 1,
                     escaped(report.tokenizer->piece(padded.tokens[at])),
                     escaped(report.tokenizer->piece(packed.tokens[at])));
}

struct Counts {
  int64_t padded = 0, own = 0;
};

Counts count(const PadLeftReport& report) {
  Counts counts;
  for (size_t i = 0; i < report.file.size(); ++i) {
    counts.padded += report.padding[i];
    counts.own += static_cast<int64_t>(report.file[i].tokens.size());
  }
  return counts;
}

}  // namespace

std::vector<int32_t> left_padding(std::span<const FilePrompt> prompts, int32_t batch) {
  std::vector<int32_t> padding;
  for (size_t first = 0; first < prompts.size(); first += static_cast<size_t>(batch)) {
    const auto group = prompts.subspan(first, std::min(static_cast<size_t>(batch), prompts.size() - first));
    size_t longest = 0;
    for (const FilePrompt& prompt : group) longest = std::max(longest, prompt.tokens.size());
    for (const FilePrompt& prompt : group)
      padding.push_back(static_cast<int32_t>(longest - prompt.tokens.size()));
  }
  return padding;
}

void require_padded_fit(std::span<const FilePrompt> prompts, std::span<const int32_t> padding,
                        int32_t n_tokens, int32_t context) {
  for (size_t i = 0; i < prompts.size(); ++i) {
    const int64_t padded = static_cast<int64_t>(prompts[i].tokens.size()) + padding[i];
    if (padding[i] > 0 && padded + n_tokens - 1 > context)
      throw CapacityError(
          "--pad-left: a batch padded to {} tokens and {} generated ones do not fit in the context of {}: "
          "use fewer --tokens or shorter prompts",
          padded, n_tokens, context);
  }
}

std::unique_ptr<Backend> with_padded_positions(std::unique_ptr<Backend> backend,
                                               std::span<const FilePrompt> prompts,
                                               std::span<const int32_t> padding) {
  auto shifted = std::make_unique<Owning<FaultingBackend>>(std::move(backend));
  shifted->decorator().on_plan(PaddedPositions(prompts, padding));
  return shifted;
}

std::string as_text(const PadLeftReport& report) {
  const Counts counts = count(report);
  std::string out =
      "\nThe same prompts as left-padded batches: a generated token has the position behind the padded "
      "length.\n";
  for (size_t i = 0; i < report.file.size(); ++i)
    out += fmt::format("  line {:<4} {:>4} padded tokens   {}\n", report.file[i].line, report.padding[i],
                       verdict_text(report, i));
  out += fmt::format(
      "{} of {} prompt tokens would be padding ({:.0f} %), computed for nothing.\n",
      with_commas(counts.padded), with_commas(counts.padded + counts.own),
      100.0 * static_cast<double>(counts.padded) / static_cast<double>(counts.padded + counts.own));
  return out +
         "lastrow pads nowhere else: it packs sequences of different length one after the other. So each "
         "token has\nits own position, and no padding is computed.\n";
}

ordered_json as_json(const PadLeftReport& report) {
  const Counts counts = count(report);
  ordered_json prompts = ordered_json::array();
  for (size_t i = 0; i < report.file.size(); ++i) {
    const Verdict verdict = compare(report.packed->prompts[i], report.padded->prompts[i]);
    ordered_json first = nullptr;
    if (!verdict.tokens_equal) first = verdict.n_equal;
    prompts.push_back({{"line", report.file[i].line},
                       {"padded_tokens", report.padding[i]},
                       {"tokens", report.padded->prompts[i].tokens},
                       {"first_wrong_token", first}});
  }
  return {{"padded_tokens", counts.padded}, {"prompt_tokens", counts.own}, {"prompts", std::move(prompts)}};
}

}  // namespace lastrow::cli
