// What all checkers share. A checker tests the answer to an exercise and says in words what is wrong.
//
//   void check_01(Checker& c) {
//     c.tries("4 queries on 4 keys");                    a new case begins; the one before has passed
//     if (…) throw Wrong{"query 0, key 1: …", "hint"};   ends the check
//   }
//   int main(int argc, char** argv) { return run_checker(argc, argv, {…}, check_01); }
//
// The answer runs in a process of its own, with a time limit for each case. So a crash or an endless loop is
// reported together with its case. The arrays that the answer writes have fences around them (Fenced).
//
// Options: --line (one line, for lists), --no-color, --help.
// Exit status: 0 done; 1 not yet; 2 it could not run.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lessons/exercises/exercises.h"
#include "lessons/support/screen.h"

namespace lastrow::exercises {

struct Exercise {
  int number;
  std::string_view title;  // "the causal mask"
  std::string_view file;   // "lessons/exercises/01_causal_mask.cpp"
  std::string_view next;   // printed when it is done: what to look at next
};

/// Thrown by a checker: the first thing that is wrong, and one hint.
struct Wrong {
  std::string what, hint;
  // A table, if it helps.
  std::vector<std::string> head = {};
  std::vector<std::vector<std::string>> rows = {};
};

class Checker {
 public:
  explicit Checker(lessons::Screen& screen, std::span<char> case_at_hand)
      : screen_(screen), case_at_hand_(case_at_hand) {}

  /// Begins a new case and its time limit. The case before, if any, has passed.
  void tries(const std::string& what);
  /// The current case has passed.
  void passed();
  /// A checker may also show what it has measured.
  lessons::Screen& screen() { return screen_; }

 private:
  lessons::Screen& screen_;
  std::span<char> case_at_hand_;  // in memory that the waiting process can read
};

int run_checker(int argc, char** argv, const Exercise& exercise, void (*check)(Checker&));

/// "0.25", "−∞", "NaN"
std::string shown(double x);

/// n elements that are not yet written, between two fences.
///   Fenced<float> out(n);   answer(out.data());   out.require_intact("out");   out.written(i)   out[i]
template <typename T>
class Fenced {
 public:
  explicit Fenced(int64_t n) : Fenced(n, 2 * n + 4096) {}
  Fenced(int64_t n, int64_t fence) : n_(n), fence_(fence), all_(static_cast<size_t>(n + 2 * fence_)) {
    std::memset(all_.data(), kMark, all_.size() * sizeof(T));
  }
  T* data() { return all_.data() + fence_; }
  int64_t size() const { return n_; }
  T operator[](int64_t i) const { return all_[static_cast<size_t>(fence_ + i)]; }
  bool written(int64_t i) const {
    unsigned char bytes[sizeof(T)];
    std::memset(bytes, kMark, sizeof bytes);
    return std::memcmp(&all_[static_cast<size_t>(fence_ + i)], bytes, sizeof bytes) != 0;
  }
  bool same_bits(const Fenced& other) const {
    return all_.size() == other.all_.size() &&
           std::memcmp(all_.data(), other.all_.data(), all_.size() * sizeof(T)) == 0;
  }
  /// Throws Wrong if an element of a fence was written.
  void require_intact(const std::string& name) const {
    for (int64_t i = -fence_; i < n_ + fence_; ++i)
      if ((i < 0 || i >= n_) && written(i))
        throw Wrong{fmt::format("{}[{}] was written, but {} has {} elements", name, i, name, n_),
                    "Compute by hand at which element the first and the last row of this case begin."};
  }

 private:
  static constexpr int kMark = 0xFF;  // every byte: a float or double is NaN then, an integer −1

  int64_t n_, fence_;
  std::vector<T> all_;
};

/// Finds the first element that was not written or is further than `bound` from the expected one.
/// Throws Wrong with place(i): "scores[3] is 0, expected 1.25".
template <typename T, typename Place>
void require_same(const Fenced<T>& actual, std::span<const double> expected, double bound, const Place& place,
                  const std::string& hint) {
  for (int64_t i = 0; i < actual.size(); ++i) {
    const double x = actual[i], y = expected[static_cast<size_t>(i)];
    if (x == y || std::abs(x - y) <= bound) continue;
    if (!actual.written(i))
      throw Wrong{fmt::format("{} was never written, expected {}", place(i), shown(y)), hint};
    throw Wrong{fmt::format("{} is {}, expected {}", place(i), shown(x), shown(y)), hint};
  }
}

}  // namespace lastrow::exercises
