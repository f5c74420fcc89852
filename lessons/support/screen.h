// What a lesson writes on the screen: sentences, tables and bars, never wider than 80 columns.
//
//   Screen screen({.color = true});
//   screen.section("The naive way");                               a heading
//   screen.say("Three tokens, two dimensions. …");                 a paragraph, wrapped
//   screen.table({"", "k[0]", "k[1]"}, {{"q[0]", "0.50", "·"}});   columns that line up
//   screen.bars({{"recompute", 5.2}, {"cached", 0.1}}, "ms");      one bar per line
//   screen.check(true, "both agree");                              "✓ both agree"
//
// An empty line comes before each block. It is left out after a heading, before what a paragraph introduces
// (a table, bars, checks), and before checks of the table or bars above. Colour is used only if
// Options::color is set; the words are the same without it. A table wider than 80 columns is our mistake and
// stops the program. Sentences, bars and checks always fit.
#pragma once

#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lastrow::lessons {

inline constexpr int kScreenColumns = 80;

enum class Ink { plain, bold, dim, good, bad, accent };

/// Columns that UTF-8 text takes in a terminal.
/// Every character counts 1; combining marks and escape sequences count 0.
int columns_of(std::string_view text);
/// Pads the text with spaces to `columns`. A longer text is returned unchanged.
std::string left(std::string_view text, int columns);
std::string right(std::string_view text, int columns);
/// Lines of at most `columns`, broken at spaces. A longer word gets a line of its own and is cut.
std::vector<std::string> wrapped(std::string_view text, int columns);

struct Bar {
  std::string label;
  double value = 0;        // ≥ 0
  std::string shown = "";  // the text beside the bar; "": the value with its unit
};

/// Is standard output a terminal that shows colour? No if NO_COLOR is set or TERM is "dumb".
bool terminal_with_color();

class Screen {
 public:
  struct Options {
    std::FILE* file = stdout;
    bool color = false;
    bool silent = false;  // writes nothing: the lesson prints JSON instead
    bool cut = false;     // cuts a line that is too wide: the numbers of a faulty run may be long
  };
  explicit Screen(Options options) : options_(options) {}

  /// A heading and a paragraph that are written together with the next output. So a run that fails before its
  /// first output writes nothing. announce_also adds a paragraph.
  void announce(std::string_view title, std::string_view paragraph);
  void announce_also(std::string_view paragraph) { announced_.emplace_back(paragraph); }
  /// A heading with a rule across the screen, after an empty line.
  void section(std::string_view title);
  /// A paragraph, wrapped, after an empty line.
  void say(std::string_view text);
  /// One line as it is, indented by two, for formulas and code. At most 78 columns.
  void line(std::string_view text, Ink ink = Ink::plain);
  /// The first column is aligned left, the others right. If all of `head` is "", there is no header line.
  void table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows);
  /// One bar per line. The longest bar is as wide as fits.
  void bars(std::span<const Bar> bars, std::string_view unit);
  /// An item of a list: a number or "" in the margin, and wrapped text beside it.
  void entry(std::string_view mark, std::string_view text, Ink ink = Ink::plain);
  /// An empty line.
  void gap();
  /// A question. The answer is typed on the same line.
  void prompt(std::string_view text);
  /// What the lesson is doing now, on a terminal only. The next progress line replaces it; "" removes it.
  void progress(std::string_view text);
  /// "✓ …" or "✗ …", wrapped. Checks in a row stay together.
  void check(bool passed, std::string_view what);

  std::string paint(Ink ink, std::string_view text) const;

 private:
  /// An empty line, unless the next block joins the last one.
  void gap_unless(bool joined);
  void put(std::string_view text);
  void put_line(std::string_view text);

  Options options_;
  std::vector<std::string> announced_;                                                // title, paragraphs
  enum class Last { other, heading, paragraph, numbers, check } last_ = Last::other;  // what was written last
};

}  // namespace lastrow::lessons
