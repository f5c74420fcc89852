// What a lesson writes on the screen: sentences, tables and bars, never wider than 80 columns.
//
//   Screen screen({.color = true});
//   screen.section("The naive way");
//   screen.say("Three tokens, two dimensions. …");          a paragraph, wrapped
//   screen.table({"", "k[0]", "k[1]"}, {{"q[0]", "0.50", "·"}});
//   screen.bars({{"recompute", 5.2}, {"cached", 0.1}}, "ms");
//   screen.check(true, "both agree");                        "✓ both agree"
//
// Colour is used only where it was asked for; without it the same words stand there. A table that would be
// wider than 80 columns is our mistake and stops the program; sentences, bars and checks are made to fit.
#pragma once

#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lastrow::lessons {

inline constexpr int kScreenColumns = 80;

enum class Ink { plain, bold, dim, good, bad, accent };

/// Columns that UTF-8 text takes in a terminal. Every character counts 1, combining marks and escape
/// sequences 0.
int columns_of(std::string_view text);
/// Padded with spaces to `columns`; left as it is if it is longer.
std::string left(std::string_view text, int columns);
std::string right(std::string_view text, int columns);
/// Lines of at most `columns`, broken at spaces. A word that is longer stands alone on a line, cut.
std::vector<std::string> wrapped(std::string_view text, int columns);

struct Bar {
  std::string label;
  double value = 0;        // ≥ 0
  std::string shown = "";  // what stands beside the bar; "" for the value with its unit
};

/// Is standard output a terminal on which colour is wanted? Not with NO_COLOR, nor where TERM is dumb.
bool terminal_with_color();

class Screen {
 public:
  struct Options {
    std::FILE* file = stdout;
    bool color = false;
    bool silent = false;  // says nothing: the lesson prints JSON instead
    bool cut = false;     // shortens a line that is too wide, as numbers of a faulty run may make it
  };
  explicit Screen(Options options) : options_(options) {}

  /// A section and a paragraph that are shown as soon as something else is: what fails before that has
  /// printed nothing. announce_also adds a paragraph.
  void announce(std::string_view title, std::string_view paragraph);
  void announce_also(std::string_view paragraph) { announced_.emplace_back(paragraph); }
  /// A heading: number, title and a rule across the screen, after an empty line.
  void section(std::string_view title);
  /// A paragraph, wrapped; an empty line before it.
  void say(std::string_view text);
  /// One line as it stands, indented by two, for formulas and code. At most 78 columns.
  void line(std::string_view text, Ink ink = Ink::plain);
  /// The first column is aligned left, the others right; a header of "" leaves the head out.
  void table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);
  /// One bar a line, the longest as wide as fits.
  void bars(std::span<const Bar> bars, std::string_view unit);
  /// A number or "" in the margin, and wrapped text beside it, as in a list.
  void entry(std::string_view mark, std::string_view text, Ink ink = Ink::plain);
  /// An empty line.
  void gap();
  /// A question, at whose end the answer is typed.
  void prompt(std::string_view text);
  /// What is being done just now: a line that the next one replaces, on a terminal only. "" takes it away.
  void progress(std::string_view text);
  /// "✓ …" or "✗ …", wrapped; an empty line before the first of several.
  void check(bool passed, std::string_view what);

  std::string paint(Ink ink, std::string_view text) const;

 private:
  void put(std::string_view text);
  void put_line(std::string_view text);

  Options options_;
  std::vector<std::string> announced_;  // title, paragraphs
  bool after_check_ = false;            // checks stand together
};

}  // namespace lastrow::lessons
