// The teaching contrast of `lastrow generate --pad-left`: what is wrong with a batch that is padded on the
// left.
//
//   Padding padding = left_padding(prompts, batch);                        how much each prompt is padded
//   auto backend = with_padded_positions(make_backend("eigen"), prompts, padding);
//   …run the prompts again on this backend…
//
// A padded batch has as many rows as prompts, and each is as long as the longest one. Programs fill the
// front of the shorter ones with a padding token, and hide it with a mask. The prompt's own tokens have the
// positions 0 … n − 1, but a generated token is often given the position after the padded length, because
// all rows share it. So RoPE turns its query and its key too far, by the number of padded tokens.
//
// Here only the positions are changed. The padded tokens are not computed: their number is a sum over the
// lengths of the prompts.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "cli/prompts_file.h"
#include "cli/prompts_run.h"
#include "model/tokenizer.h"

namespace lastrow::cli {

/// The padded tokens of each prompt. The first `batch` prompts of the file are one padded batch, and so on.
std::vector<int32_t> left_padding(std::span<const FilePrompt> prompts, int32_t batch);

/// Throws CapacityError if a padded prompt and the tokens behind it do not fit in the context.
void require_padded_fit(std::span<const FilePrompt> prompts, std::span<const int32_t> padding,
                        int32_t n_tokens, int32_t context);

/// The backend, with each generated token at the position of a padded batch. The prompts must join in their
/// order, and without a shared prefix.
std::unique_ptr<Backend> with_padded_positions(std::unique_ptr<Backend> backend,
                                               std::span<const FilePrompt> prompts,
                                               std::span<const int32_t> padding);

/// Compares the packed run with the padded one.
struct PadLeftReport {
  std::span<const FilePrompt> file;
  std::vector<int32_t> padding;
  const PromptsRun* packed;
  const PromptsRun* padded;
  const Tokenizer* tokenizer;
};
std::string as_text(const PadLeftReport& report);
nlohmann::ordered_json as_json(const PadLeftReport& report);

}  // namespace lastrow::cli
