#include "cli/eval_texts.h"

#include <algorithm>

#include "cli/prompts_file.h"
#include "core/error.h"
#include "cost/memory.h"
#include "model/builtin.h"

namespace lastrow::cli {
namespace {

std::string counted(int64_t n, const char* what) {
  return fmt::format("{} {}{}", with_commas(n), what, n == 1 ? "" : "s");
}

/// Splits what is longer than the context, leaves out what has nothing to predict, and notes both.
EvalTexts fitted(const Texts& whole, int32_t context) {
  EvalTexts fitted;
  int64_t n_long = 0, n_windows = 0, n_short = 0;
  for (const std::vector<int32_t>& text : whole) {
    const bool split = std::ssize(text) > context;
    n_long += split ? 1 : 0;
    for (std::span<const int32_t> rest = text; !rest.empty();) {
      const std::span<const int32_t> window = rest.first(std::min(rest.size(), static_cast<size_t>(context)));
      rest = rest.subspan(window.size());
      if (window.size() < 2) {
        ++n_short;
        continue;
      }
      n_windows += split ? 1 : 0;
      fitted.texts.emplace_back(window.begin(), window.end());
    }
  }
  if (n_long > 0)
    fitted.notes.push_back(
        fmt::format("{} of {} {} longer than the context of {} tokens, and split into {}; each starts with "
                    "an empty cache",
                    n_long, counted(std::ssize(whole), "text"), n_long == 1 ? "is" : "are", context,
                    counted(n_windows, "window")));
  if (n_short > 0)
    fitted.notes.push_back(fmt::format("{} of one token left out, because nothing predicts a first token",
                                       n_short == 1 ? "a text is" : fmt::format("{} texts are", n_short)));
  return fitted;
}

/// How many words are not in the vocabulary, so that each of their letters is a token.
void note_spelt_words(EvalTexts& texts, const Tokenizer& tokenizer) {
  int64_t n_words = 0, n_spelt = 0;
  for (const std::vector<int32_t>& text : texts.texts)
    for (const int32_t token : text) {
      const std::string& piece = tokenizer.piece(token);
      n_words += tokenizer.joins_left(token) ? 0 : 1;
      n_spelt += piece.size() == 1 && tokenizer.id_of(piece[0], false) == token ? 1 : 0;
    }
  if (n_spelt > 0)
    texts.notes.push_back(fmt::format(
        "{} of {} {} not in the model's vocabulary: each letter of {} is a token", with_commas(n_spelt),
        counted(n_words, "word"), n_spelt == 1 ? "is" : "are", n_spelt == 1 ? "it" : "them"));
}

void note_random_weights(EvalTexts& texts, const Tokenizer& tokenizer) {
  if (tokenizer.is_numbered())
    texts.notes.emplace_back(
        "the model has random weights and numbers for words: its perplexity means nothing, only what "
        "the cache changes in it");
}

}  // namespace

EvalTexts builtin_texts(const Model& model) {
  Texts whole;
  for (std::string_view rest = held_out_text(); !rest.empty();) {
    const size_t end = rest.find("\n\n");
    try {
      whole.push_back(model.tokenizer().encode(rest.substr(0, end)));
    } catch (const UsageError& e) {
      throw UsageError("the program's own texts do not suit {}: {}: give a text with --text FILE",
                       model.source(), e.what());
    }
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
  }
  EvalTexts texts = fitted(whole, model.config().max_seq_len);
  note_random_weights(texts, model.tokenizer());
  return texts;
}

EvalTexts read_eval_texts(const std::filesystem::path& path, const Model& model) {
  Texts whole;
  int32_t last_line = -1;
  for (const FilePrompt& line : read_lines(path, model.tokenizer())) {
    if (whole.empty() || line.line > last_line + 1) whole.emplace_back();
    whole.back().insert(whole.back().end(), line.tokens.begin(), line.tokens.end());
    last_line = line.line;
  }
  if (whole.empty()) throw FileError("{} has no text: write some words into it", shown_path(path));
  EvalTexts texts = fitted(whole, model.config().max_seq_len);
  if (texts.texts.empty())
    throw FileError("{} has no text of two tokens, so there is nothing to predict: write longer texts",
                    shown_path(path));
  if (!model.tokenizer().is_numbered()) note_spelt_words(texts, model.tokenizer());
  note_random_weights(texts, model.tokenizer());
  return texts;
}

}  // namespace lastrow::cli
