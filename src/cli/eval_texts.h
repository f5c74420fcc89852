// The texts that `lastrow eval` predicts: those that the program carries, or a file.
//
//   const EvalTexts texts = builtin_texts(*model);  or  read_eval_texts("story.txt", *model);
//   for (const std::string& line : texts.notes) note(line);
//
// An empty line separates two texts; other line breaks are white space. Each text starts with an empty cache. So
// a text that is longer than the model's context is split into windows of the context, and each of them is then
// a text of its own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "model/model.h"
#include "session/evaluation.h"

namespace lastrow::cli {

struct EvalTexts {
  Texts texts;
  std::vector<std::string> notes;  // what the reader must know of them: what was split, left out, or is spelt
};

/// The held-out fables (model/builtin.h), in the tokens of the model. Throws UsageError if the model's alphabet
/// cannot write them.
EvalTexts builtin_texts(const Model& model);

/// Throws as read_prompts does, and FileError if no text has two tokens. "-" is standard input.
EvalTexts read_eval_texts(const std::filesystem::path& path, const Model& model);

}  // namespace lastrow::cli
