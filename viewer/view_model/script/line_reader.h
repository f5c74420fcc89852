// Takes the words of one line of a script, from left to right.
//
//   LineReader in(name, 3, "poke k 3 zero");
//   in.word("a command")   in.row_part()   in.position()   in.take("zero")
//   in.end();
//
// A function that does not find what it wants throws a ScriptError, which names the file, the line and what
// was expected. Call end() last: it throws if words are left. Never let the reader live longer than the name
// and the text, because it keeps no copies.
#pragma once

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <system_error>

#include "viewer/view_model/script/parse_script.h"

namespace lastrow::view {

class LineReader {
 public:
  LineReader(const std::string& name, int number, std::string_view text)
      : name_(name), number_(number), rest_(text) {
    skip();
  }

  [[noreturn]] void fail(std::string_view expected) const {
    constexpr size_t kMostQuoted = 80;
    const std::string quoted =
        rest_.size() <= kMostQuoted ? std::string(rest_) : std::string(rest_.substr(0, kMostQuoted)) + "…";
    throw ScriptError("{}:{}: expected {}, got {}", name_, number_, expected,
                      rest_.empty() ? "the end of the line" : "“" + quoted + "”");
  }
  bool done() const { return rest_.empty(); }
  void end() const {
    if (!rest_.empty()) fail("the end of the line");
  }
  std::string_view peek() const { return rest_.substr(0, rest_.find_first_of(" \t")); }
  std::string_view word(std::string_view expected) {
    if (rest_.empty()) fail(expected);
    const std::string_view w = peek();
    rest_.remove_prefix(w.size());
    skip();
    return w;
  }
  /// Takes the next word if it is `w`.
  bool take(std::string_view w) {
    if (peek() != w) return false;
    word(w);
    return true;
  }
  /// The rest of the line, without the quotes around it.
  std::string text(std::string_view expected) {
    if (rest_.empty()) fail(expected);
    std::string_view t = rest_;
    if (t.front() == '"') {
      if (t.size() < 2 || t.back() != '"') fail(std::string(expected) + " with a closing quote");
      t = t.substr(1, t.size() - 2);
    }
    rest_ = {};
    return std::string(t);
  }
  template <typename Number>
  Number number(std::string_view expected, Number least, Number most) {
    const std::string_view w = peek();
    Number value{};
    const char* first = w.data();
    if (!w.empty() && w.front() == '+') ++first;
    const auto [end, error] = std::from_chars(first, w.data() + w.size(), value);
    if (error != std::errc() || end != w.data() + w.size() || w.empty() || !(value >= least && value <= most))
      fail(expected);
    word(expected);
    return value;
  }
  ScriptPosition position() {
    if (take("p")) return {.position = 0, .focus = true};
    return {.position = number<int>("a position (0, 1, …) or p", 0, 1 << 20)};
  }
  Part row_part() {
    if (take("q")) return Part::q;
    if (take("k")) return Part::k;
    if (take("v")) return Part::v;
    fail("q, k or v");
  }

 private:
  void skip() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }
  const std::string& name_;
  int number_;
  std::string_view rest_;
};

}  // namespace lastrow::view
