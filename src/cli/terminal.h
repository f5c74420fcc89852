// The text that the program prints: results on standard output, everything else on standard error.
//
//   print("text");                      on standard output, flushed (io/standard_output.h)
//   note("the context is full");        "lastrow: note: …" on standard error
//   Progress progress("recompute");     for work that may take long
//   progress.at(3, 20);                 from time to time
//   progress.print("a result\n");       on standard output, while progress may be shown
//
// How progress is shown:
//   on a terminal     after 0.3 s, as one line that is updated, and removed at the end
//   elsewhere         a new line after 1 s, then every 5 s
// Progress has a thread of its own, so that it is also shown during one long call. If the system starts no
// more threads, nothing is shown.
// Never have two Progress objects at once. While one exists, print only through it: print() first removes the
// line of progress.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <thread>

#include "io/standard_output.h"

namespace lastrow::cli {

/// Prints the JSON indented, with a newline. Bytes that are not UTF-8 become U+FFFD.
void print_json(const nlohmann::ordered_json& json);
void note(std::string_view text);
/// Prints "lastrow: …" on standard error, always as one line: line breaks and escape sequences are replaced.
void print_error(std::string_view message);

class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void at(int64_t done, int64_t total);
  void print(std::string_view text);

 private:
  void show_until_stopped();
  void remove_line();
  std::string line(double seconds) const;

  const bool terminal_;  // whether standard error is one
  std::string what_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false, shown_ = false;
  int64_t done_ = 0, total_ = 0;
  std::thread thread_;  // the last member, because the thread uses the others
};

}  // namespace lastrow::cli
