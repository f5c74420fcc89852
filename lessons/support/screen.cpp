#include "lessons/support/screen.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "core/error.h"

namespace lastrow::lessons {
namespace {

constexpr int kIndent = 2;

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

/// Combining marks U+0300 … U+036F take no column: 0xCC 0x80 … 0xCD 0xAF.
bool is_combining(std::string_view at) {
  if (at.size() < 2) return false;
  const auto a = static_cast<unsigned char>(at[0]), b = static_cast<unsigned char>(at[1]);
  return a == 0xCC || (a == 0xCD && b <= 0xAF);
}

/// As much of the text, from its start, as fits in `columns`.
std::string_view first_columns(std::string_view text, int columns) {
  size_t end = 0;
  int n = 0;
  while (end < text.size()) {
    size_t next = end + 1;
    while (next < text.size() && !begins_character(text[next])) ++next;
    if (n + columns_of(text.substr(end, next - end)) > columns) break;
    n += columns_of(text.substr(end, next - end));
    end = next;
  }
  return text.substr(0, end);
}

std::string repeated(std::string_view text, int n) {
  std::string result;
  for (int i = 0; i < n; ++i) result += text;
  return result;
}

/// A bar in eighths of a column.
std::string bar_text(double share, int columns) {
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * columns * 8));
  return repeated("█", eighths / 8) + kEighths[eighths % 8];
}

}  // namespace

bool terminal_with_color() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && !std::getenv("NO_COLOR") && term && std::string_view(term) != "dumb";
}

int columns_of(std::string_view text) {
  int n = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      while (i < text.size() && text[i] != 'm') ++i;
    } else if (begins_character(text[i]) && !is_combining(text.substr(i))) {
      ++n;
    }
  }
  return n;
}

std::string left(std::string_view text, int columns) {
  return std::string(text) + repeated(" ", columns - columns_of(text));
}

std::string right(std::string_view text, int columns) {
  return repeated(" ", columns - columns_of(text)) + std::string(text);
}

std::vector<std::string> wrapped(std::string_view text, int columns) {
  std::vector<std::string> lines;
  std::string line;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = first_columns(text.substr(0, end), columns);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    if (!line.empty() && columns_of(line) + 1 + columns_of(word) > columns)
      lines.push_back(std::exchange(line, ""));
    line += (line.empty() ? "" : " ") + std::string(word);
  }
  if (!line.empty()) lines.push_back(line);
  return lines;
}

std::string Screen::paint(Ink ink, std::string_view text) const {
  static constexpr const char* kCodes[] = {"", "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[36m"};
  if (!options_.color || ink == Ink::plain) return std::string(text);
  return fmt::format("{}{}\x1b[0m", kCodes[static_cast<int>(ink)], text);
}

void Screen::put(std::string_view text) {
  if (options_.silent) return;
  if (!announced_.empty()) {
    const auto announced = std::exchange(announced_, {});
    section(announced.front());
    for (size_t i = 1; i < announced.size(); ++i) say(announced[i]);
  }
  std::fwrite(text.data(), 1, text.size(), options_.file);
}

void Screen::put_line(std::string_view text) {
  const bool fits = columns_of(text) <= kScreenColumns;
  LASTROW_CHECK(fits || options_.cut, "{} columns: {}", columns_of(text), text);
  put(fits ? std::string(text) : std::string(first_columns(text, kScreenColumns - 1)) + "…");
  put("\n");
  last_ = Last::other;
}

void Screen::gap_unless(bool joined) {
  if (!joined) put("\n");
}

void Screen::announce(std::string_view title, std::string_view paragraph) {
  announced_ = {std::string(title), std::string(paragraph)};
}

void Screen::section(std::string_view title) {
  const std::string_view fitting = first_columns(title, kScreenColumns - 8);
  put("\n");
  put_line(paint(Ink::bold,
                 fmt::format("── {} {}", fitting, repeated("─", kScreenColumns - 4 - columns_of(fitting)))));
  last_ = Last::heading;
}

void Screen::say(std::string_view text) {
  gap_unless(last_ == Last::heading);
  for (const std::string& line : wrapped(text, kScreenColumns)) put_line(line);
  last_ = Last::paragraph;
}

void Screen::line(std::string_view text, Ink ink) { put_line(repeated(" ", kIndent) + paint(ink, text)); }

void Screen::table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows) {
  std::vector<int> widths;
  for (const std::string& cell : head) widths.push_back(columns_of(cell));
  for (const auto& row : rows) {
    LASTROW_CHECK(row.size() == head.size(), "{} cells under {} heads", row.size(), head.size());
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  const auto put_row = [&](const std::vector<std::string>& row, Ink ink) {
    std::string text = repeated(" ", kIndent) + left(row.front(), widths.front());
    for (size_t i = 1; i < row.size(); ++i) text += "  " + right(row[i], widths[i]);
    while (text.ends_with(' ')) text.pop_back();
    put_line(paint(ink, text));
  };
  gap_unless(last_ == Last::heading || last_ == Last::paragraph);
  const bool has_head = std::any_of(head.begin(), head.end(), [](const auto& cell) { return !cell.empty(); });
  if (has_head) put_row(head, Ink::dim);
  for (const auto& row : rows) put_row(row, Ink::plain);
  last_ = Last::numbers;
}

void Screen::bars(std::span<const Bar> bars, std::string_view unit) {
  double most = 0;
  int label_columns = 0, shown_columns = 0;
  std::vector<std::string> shown;
  for (const Bar& bar : bars) {
    most = std::max(most, bar.value);
    label_columns = std::max(label_columns, columns_of(bar.label));
    shown.push_back(bar.shown.empty() ? fmt::format("{:.3g} {}", bar.value, unit) : bar.shown);
    shown_columns = std::max(shown_columns, columns_of(shown.back()));
  }
  const int room = kScreenColumns - kIndent - label_columns - shown_columns - 2;
  LASTROW_CHECK(room >= 8, "{} columns are left for the bars", room);
  gap_unless(last_ == Last::heading || last_ == Last::paragraph);
  for (size_t i = 0; i < bars.size(); ++i)
    put_line(fmt::format("  {} {} {}", left(bars[i].label, label_columns),
                         paint(Ink::accent, bar_text(most > 0 ? bars[i].value / most : 0, room)), shown[i]));
  last_ = Last::numbers;
}

void Screen::entry(std::string_view mark, std::string_view text, Ink ink) {
  constexpr int kMargin = 4;
  for (const std::string& line : wrapped(text, kScreenColumns - kMargin))
    put_line(left(std::exchange(mark, ""), kMargin) + paint(ink, line));
}

void Screen::gap() {
  put("\n");
  last_ = Last::other;
}

void Screen::prompt(std::string_view text) {
  put(text);
  std::fflush(options_.file);
}

void Screen::progress(std::string_view text) {
  if (options_.silent || ::isatty(::fileno(options_.file)) != 1) return;
  put("\r\x1b[K" + std::string(first_columns(text, kScreenColumns - 1)));
  std::fflush(options_.file);
}

void Screen::check(bool passed, std::string_view what) {
  gap_unless(last_ != Last::other);
  bool first = true;
  for (const std::string& line : wrapped(what, kScreenColumns - kIndent)) {
    const std::string mark = first ? (passed ? "✓ " : "✗ ") : "  ";
    put_line(paint(passed ? Ink::good : Ink::bad, mark + line));
    first = false;
  }
  last_ = Last::check;
}

}  // namespace lastrow::lessons
