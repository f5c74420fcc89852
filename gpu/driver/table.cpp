#include "gpu/driver/table.h"

#include <algorithm>

#include "core/error.h"
#include "gpu/driver/results.h"
#include "io/atomic_file.h"
#include "io/input_file.h"

namespace lastrow::driver {
namespace {

using nlohmann::json;

/// The fastest rival of a shape, or null.
const json* best_rival(const json& results, const std::string& shape) {
  const json* best = nullptr;
  if (results.contains("rivals"))
    for (const json& rival : results.at("rivals"))
      if (rival.at("shape") == shape && (best == nullptr || rival.at("us") < best->at("us"))) best = &rival;
  return best;
}

/// What is wrong with a result; empty if nothing is wrong.
std::string complaint(const json& r) {
  const std::string checked = r.at("check");
  std::string text;
  if (checked == name_of(CheckResult::failed)) text = "missed its bound in the check";
  if (checked == name_of(CheckResult::ended)) text = "broke the device in the check";
  if (checked == name_of(CheckResult::not_checked)) text = "was not checked";
  if (!r.at("agrees").get<bool>())
    text += fmt::format("{}its output {} that of {}", text.empty() ? "" : "; ",
                        r.at("difference").is_null() ? "cannot be compared (NaN or infinity) with"
                                                     : fmt::format("differs by {:.2g} of its size from",
                                                                   r.at("difference").get<double>()),
                        r.at("compared_with").get<std::string>());
  return text;
}

/// Lines about the results that the table marks, and about the times that are missing.
std::string notes(const json& results) {
  std::string text;
  for (const json& r : results.at("results"))
    if (const std::string why = complaint(r); !why.empty())
      text += fmt::format("✗ {} at {}: {}.  \n", r.at("kernel").get<std::string>(),
                          r.at("shape").get<std::string>(), why);
  for (const char* list : {"failed", "lost"})
    for (const json& time : results.at(list))
      text += fmt::format("{} at {}: no time: {}.  \n", time.at("kernel").get<std::string>(),
                          time.at("shape").get<std::string>(), time.at("why").get<std::string>());
  return text.empty() ? "" : "\n" + text;
}

std::string row(const json& results, const json& shape, const json& r) {
  const double us = r.at("us"), gbps = shape.at("kv_bytes").get<double>() / us / 1e3,
               read = r.at("read_gbps");
  const json* rival = best_rival(results, shape.at("name"));
  const bool decode = shape.at("q_len") == 1;
  return fmt::format(
      "| {} | {:.1f} | {} | {:.1f} | {:.1f}–{:.1f} | {:.1f} | {} | {} | {} | {:.1f} | {} |\n",
      shape.at("name").get<std::string>(), shape.at("kv_bytes").get<double>() / 1e6,
      r.at("kernel").get<std::string>() + (complaint(r).empty() ? "" : " ✗"), us,
      r.at("low_us").get<double>(), r.at("high_us").get<double>(), r.at("launch_us").get<double>(),
      decode ? fmt::format("{:.0f}", gbps) : "–", decode ? fmt::format("{:.0f} %", 100 * gbps / read) : "–",
      r.at("registers").get<int>(), r.at("shared_bytes").get<double>() / 1024,
      rival == nullptr
          ? "not measured"
          : fmt::format("{:.1f} ({})", rival->at("us").get<double>(), rival->at("name").get<std::string>()));
}

std::string read_page(const std::filesystem::path& path) { return read_text(path, int64_t{16} << 20); }

/// Where the only line begins that equals `line`; npos if there is not exactly one.
size_t only_line(const std::string& text, std::string_view line) {
  size_t found = std::string::npos;
  for (size_t at = text.find(line); at != std::string::npos; at = text.find(line, at + 1)) {
    const size_t end = at + line.size();
    if ((at > 0 && text[at - 1] != '\n') || (end < text.size() && text[end] != '\n')) continue;
    if (found != std::string::npos) return std::string::npos;
    found = at;
  }
  return found;
}

/// Where the table begins and ends in a page.
std::pair<size_t, size_t> table_place(const std::string& text, const std::filesystem::path& path) {
  const size_t begin = only_line(text, kTableBegin), end = only_line(text, kTableEnd);
  if (begin == std::string::npos || end == std::string::npos || end < begin)
    throw FileError("{}: needs one line '{}' and after it one line '{}': add them where the table belongs",
                    path.string(), kTableBegin, kTableEnd);
  return {begin + std::string_view(kTableBegin).size(), end};
}

}  // namespace

std::string table(const json& results) {
  std::string text = fmt::format(
      "{}, driver for CUDA {}, toolkit {}{}, {}. Measured in the same run: read {:.0f} GB/s, copy {:.0f} "
      "GB/s.\n\n"
      "| shape | K/V MB | kernel | µs | 10–90 % of samples | with launch µs | GB/s | of read | registers | "
      "shared KiB "
      "| fastest of PyTorch's, µs |\n"
      "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
      results.at("device").get<std::string>(), results.at("driver").get<std::string>(),
      results.at("toolkit").get<std::string>(),
      results.contains("torch") ? ", PyTorch " + results.at("torch").get<std::string>() : "",
      results.at("date").get<std::string>(), results.at("read_gbps").get<double>(),
      results.at("copy_gbps").get<double>());
  for (const json& shape : results.at("shapes"))
    for (const json& r : results.at("results"))
      if (r.at("shape") == shape.at("name")) text += row(results, shape, r);
  return text + notes(results);
}

void require_markers(const std::filesystem::path& path) { table_place(read_page(path), path); }

void rewrite_table(const std::filesystem::path& path, const std::string& table) {
  std::string text = read_page(path);
  const auto [begin, end] = table_place(text, path);
  text.replace(begin, end - begin, "\n" + table);
  write_text_atomically(path, text);
}

}  // namespace lastrow::driver
