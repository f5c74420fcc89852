// What the program says: results on standard output, everything else on standard error.
//
//   print("text");                        standard output, at once (io/standard_output.h)
//   note("the context is full");          "lastrow: note: …" on standard error
//   Progress progress("recompute");       for work that may take long
//   progress.at(3, 20);                   from time to time
//
// Progress shows on a terminal after a third of a second, as a line that is rewritten and in the end removed;
// elsewhere as a line after one second and then every five. A thread of its own does that, so a single call
// that takes long shows too; where the system gives no more threads, nothing shows. Never have two at once, nor print text while one shows on the same terminal.
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

/// Indented, with a newline; text that is not UTF-8 is shown with U+FFFD.
void print_json(const nlohmann::ordered_json& json);
void note(std::string_view text);
/// "lastrow: …" as one line, whatever line breaks and escape sequences the message holds.
void print_error(std::string_view message);

class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void at(int64_t done, int64_t total);

 private:
  void show_until_stopped();
  std::string line(double seconds) const;

  std::string what_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  int64_t done_ = 0, total_ = 0;
  std::thread thread_;  // last: it uses the others
};

}  // namespace lastrow::cli
