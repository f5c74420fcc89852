// A file of prompts: one prompt a line, as UTF-8. The name "-" means standard input.
//
//   const std::vector<FilePrompt> prompts = read_prompts("prompts.txt", tokenizer);
//
// Lines without a word are skipped. They still count, so FilePrompt::line is the number that an editor shows.
// A line may end in "\n" or "\r\n", and the file may begin with a byte order mark. Every error names the file
// and the line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "model/tokenizer.h"

namespace lastrow::cli {

struct FilePrompt {
  int32_t line = 0;  // from 1
  std::string text;  // as it is in the file
  std::vector<int32_t> tokens;
};

/// Throws FileError if the file cannot be read, is longer than 16 MiB, is not UTF-8, or has no prompt.
/// Throws UsageError for a line that the tokenizer refuses.
std::vector<FilePrompt> read_prompts(const std::filesystem::path& path, const Tokenizer& tokenizer);
/// The same for text of any kind, whose lines need not be prompts. Empty if no line has a word.
std::vector<FilePrompt> read_lines(const std::filesystem::path& path, const Tokenizer& tokenizer);

bool is_standard_input(const std::filesystem::path& path);

/// "prompts.txt" or "standard input", for messages.
std::string shown_path(const std::filesystem::path& path);
/// "prompts.txt, line 3", for messages.
std::string place_of(const std::filesystem::path& path, int32_t line);

}  // namespace lastrow::cli
