// Runs the built `lastrow` and says what came of it.
//
//   Outcome o = lastrow_program({"memory", "--model", "gpt-2"});
//   CHECK(o.status == 0);   o.out   o.err   o.json()
//   check_refused({"generate", "--prompt", ""}, "empty");      exit 2, one line, nothing on standard output
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace program {

struct Outcome {
  int status;  // of exit; −1 if it was killed
  std::string out, err;
  nlohmann::json json() const { return nlohmann::json::parse(out); }
  std::string first_line() const { return out.substr(0, out.find('\n')); }
};

Outcome lastrow_program(const std::vector<std::string>& arguments);

/// Checks that the program says what is wrong in one line that holds `expected`, prints nothing else (but for
/// progress, on a slow machine), and exits with 2.
void check_refused(const std::vector<std::string>& arguments, const std::string& expected);

/// A folder of its own, removed in the end.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  /// Names of the files in it, sorted, each followed by a space.
  std::string listing() const;

 private:
  std::filesystem::path path_;
};

std::string content_of(const std::string& path);
void write_content(const std::string& path, const std::string& content);

}  // namespace program
