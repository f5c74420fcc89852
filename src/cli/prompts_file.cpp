#include "cli/prompts_file.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/error.h"
#include "io/checked.h"
#include "io/input_file.h"

namespace lastrow::cli {
namespace {

constexpr int64_t kMaxBytes = int64_t{16} << 20;

/// Removes the line up to and including its line break from the front of the text, and returns it without the
/// break.
std::string_view take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// Everything up to the end of standard input.
std::string read_standard_input() {
  std::string all;
  std::array<char, 65536> part{};
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, part.data(), part.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      throw FileError("standard input cannot be read ({}): send text into it, or name a file",
                      std::strerror(errno));
    if (n == 0) return all;
    all.append(part.data(), static_cast<size_t>(n));
    if (static_cast<int64_t>(all.size()) > kMaxBytes)
      throw FileError("standard input is longer than {} bytes: give less text", kMaxBytes);
  }
}

}  // namespace

std::string shown_path(const std::filesystem::path& path) {
  return is_standard_input(path) ? "standard input" : escaped(path.string());
}

bool is_standard_input(const std::filesystem::path& path) { return path == "-"; }

std::string place_of(const std::filesystem::path& path, int32_t line) {
  return fmt::format("{}, line {}", shown_path(path), line);
}

std::vector<FilePrompt> read_lines(const std::filesystem::path& path, const Tokenizer& tokenizer) {
  const std::string all = is_standard_input(path) ? read_standard_input() : read_text(path, kMaxBytes);
  std::string_view rest = all;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);  // a byte order mark
  std::vector<FilePrompt> prompts;
  for (int32_t line = 1; !rest.empty(); ++line) {
    const std::string_view text = take_line(rest);
    if (const size_t n = valid_utf8(text); n < text.size())
      throw FileError("{}: byte {} is not UTF-8: save the file as UTF-8", place_of(path, line), n + 1);
    if (const size_t n = text.find('\0'); n != std::string_view::npos)
      throw FileError("{}: byte {} is NUL: save the file as UTF-8 text", place_of(path, line), n + 1);
    if (text.find_first_not_of(" \t\v\f\r") == std::string_view::npos) continue;
    try {
      prompts.push_back({line, std::string(text), tokenizer.encode(text)});
    } catch (const UsageError& error) {
      throw UsageError("{}: {}", place_of(path, line), error.what());
    }
  }
  return prompts;
}

std::vector<FilePrompt> read_prompts(const std::filesystem::path& path, const Tokenizer& tokenizer) {
  std::vector<FilePrompt> prompts = read_lines(path, tokenizer);
  if (prompts.empty()) throw FileError("{} has no prompt: write one prompt on each line", shown_path(path));
  return prompts;
}

}  // namespace lastrow::cli
