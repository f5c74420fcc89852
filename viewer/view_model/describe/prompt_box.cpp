#include "viewer/view_model/describe/prompt_box.h"

#include <fmt/format.h>

#include "core/error.h"
#include "viewer/view_model/describe/sampling.h"
#include "viewer/view_model/describe/spelling.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

/// What is wrong with the two numbers, or "" and what they do.
std::string check_sampling(const PromptDraft& draft, std::string& note) {
  try {
    note = sampling_note(sampling_from(draft.temperature, draft.seed));
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

int count_tokens(const std::vector<PromptWord>& words) {
  size_t n = 0;
  for (const PromptWord& word : words)
    for (const PromptWord::Piece& piece : word.pieces) n += piece.tokens.size();
  return static_cast<int>(n);
}

}  // namespace

std::string why_not_readable(const Setup& setup, const std::string& text) {
  if (text.find_first_not_of(" \t\n\r\v\f") == std::string::npos) return "";
  try {
    const auto n = static_cast<int>(setup.model->tokenizer().encode(text).size());
    if (n > setup.max_seq_len)
      return fmt::format("{} do not fit: this model reads at most {}", plural(n, "token"), setup.max_seq_len);
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

PromptBox build_prompt_box(const Setup* setup, const PromptDraft& draft) {
  PromptBox box;
  box.open = true;
  box.text = draft.text;
  box.temperature = draft.temperature;
  box.seed = draft.seed;
  box.serial = draft.serial;
  box.help = "Type a text, or click words below. Enter runs it; Esc leaves everything as it is.";
  box.error = check_sampling(draft, box.sampling_note);
  if (setup != nullptr) {
    const Tokenizer& tokenizer = setup->model->tokenizer();
    box.hint = "accepted: " + tokenizer.accepted();
    box.words = prompt_words(tokenizer, draft.text);
    box.n_tokens = count_tokens(box.words);
    box.count = fmt::format("{} of {}", box.n_tokens, plural(setup->max_seq_len, "token"));
    box.vocabulary = vocabulary(tokenizer);
    box.vocabulary_note = vocabulary_note(tokenizer);
    if (const std::string wrong = why_not_readable(*setup, draft.text); !wrong.empty()) box.error = wrong;
  }
  box.can_run = box.error.empty() && (setup == nullptr || box.n_tokens > 0);
  if (!box.can_run) box.cannot_run = box.error.empty() ? "Type or click at least one word first." : box.error;
  if (box.error.empty()) box.error = draft.refused;
  return box;
}

}  // namespace lastrow::view
