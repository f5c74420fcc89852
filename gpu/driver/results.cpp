#include "gpu/driver/results.h"

#include <algorithm>

#include "cache/kv_codec.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "io/input_file.h"
#include "io/json.h"

namespace lastrow::driver {
namespace {

using nlohmann::json;

constexpr struct {
  int32_t n_q_heads, n_kv_heads, head_dim;
} kHeads[] = {{32, 32, 128}, {32, 8, 128}, {64, 8, 128}, {71, 1, 64}, {9, 3, 64}};
constexpr int32_t kBatches[] = {1, 8, 32, 128};
constexpr int32_t kLengths[] = {512, 4096, 32768};
constexpr DType kTypes[] = {DType::bf16, DType::f16, DType::i8, DType::fp8_e4m3};
constexpr int32_t kBlocks[] = {0, 16, 64};
constexpr int32_t kPrefill = 4096;

/// The fastest rival of a shape, or null.
const json* best_rival(const json& results, const std::string& shape) {
  const json* best = nullptr;
  if (results.contains("rivals"))
    for (const json& rival : results.at("rivals"))
      if (rival.at("shape") == shape && (best == nullptr || rival.at("us") < best->at("us"))) best = &rival;
  return best;
}

std::string row(const json& results, const json& shape, const json& r) {
  const double us = r.at("us"), gbps = shape.at("kv_bytes").get<double>() / us / 1e3,
               read = r.at("read_gbps");
  const json* rival = best_rival(results, shape.at("name"));
  const bool decode = shape.at("q_len") == 1;
  return fmt::format(
      "| {} | {:.1f} | {} | {:.1f} | {:.1f}–{:.1f} | {:.1f} | {} | {} | {} | {:.1f} | {} |\n",
      shape.at("name").get<std::string>(), shape.at("kv_bytes").get<double>() / 1e6,
      r.at("kernel").get<std::string>(), us, r.at("low_us").get<double>(), r.at("high_us").get<double>(),
      r.at("launch_us").get<double>(), decode ? fmt::format("{:.0f}", gbps) : "–",
      decode ? fmt::format("{:.0f} %", 100 * gbps / read) : "–", r.at("registers").get<int>(),
      r.at("shared_bytes").get<double>() / 1024,
      rival == nullptr
          ? "not measured"
          : fmt::format("{:.1f} ({})", rival->at("us").get<double>(), rival->at("name").get<std::string>()));
}

std::string read_page(const std::filesystem::path& path) { return read_text(path, int64_t{16} << 20); }

/// Where a line of its own begins that is this and nothing else; npos unless there is exactly one.
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
    throw FileError("{}: has not one line '{}' and after it one line '{}': put them where the table is to be",
                    path.string(), kTableBegin, kTableEnd);
  return {begin + std::string_view(kTableBegin).size(), end};
}

/// What read_results asks of a value.
enum class Field { text, count, positive };

void require_fields(const json& object, std::initializer_list<std::pair<const char*, Field>> fields) {
  if (!object.is_object()) throw FileError("holds {} instead of an object", object.type_name());
  for (const auto& [name, field] : fields) {
    if (!object.contains(name)) throw FileError("lacks '{}'", name);
    const json& value = object.at(name);
    const bool right =
        field == Field::text
            ? value.is_string() && value.get<std::string>().find_first_of("\n\r") == std::string::npos
        : field == Field::count ? value.is_number_unsigned() && value.get<uint64_t>() < (uint64_t{1} << 53)
                                : value.is_number() && value.get<double>() > 0 && value.get<double>() < 1e15;
    if (!right)
      throw FileError("holds no {} in '{}'",
                      field == Field::text    ? "line of text"
                      : field == Field::count ? "count"
                                              : "positive number",
                      name);
  }
}

const json& require_list(const json& results, const char* name) {
  if (!results.contains(name) || !results.at(name).is_array()) throw FileError("lacks the list '{}'", name);
  return results.at(name);
}

void require_results(const json& results) {
  using enum Field;
  require_fields(results, {{"device", text},
                           {"driver", text},
                           {"toolkit", text},
                           {"date", text},
                           {"read_gbps", positive},
                           {"copy_gbps", positive}});
  if (results.contains("torch")) require_fields(results, {{"torch", text}});
  for (const json& shape : require_list(results, "shapes"))
    require_fields(shape, {{"name", text}, {"q_len", count}, {"kv_bytes", positive}});
  for (const json& r : require_list(results, "results"))
    require_fields(r, {{"shape", text},
                       {"kernel", text},
                       {"us", positive},
                       {"low_us", positive},
                       {"high_us", positive},
                       {"launch_us", positive},
                       {"registers", count},
                       {"shared_bytes", count},
                       {"read_gbps", positive}});
  for (const json& rival : require_list(results, "rivals"))
    require_fields(rival, {{"shape", text}, {"name", text}, {"us", positive}});
}

}  // namespace

std::string TimedShape::name() const {
  return fmt::format("{}:{}×{} b{} {}kv{} {}{}", n_q_heads, n_kv_heads, head_dim, batch,
                     q_len == 1 ? "" : fmt::format("q{} ", q_len), kv_len, name_of(dtype),
                     block_len == 0 ? "" : fmt::format(" paged{}", block_len));
}

gpu::AttendShape TimedShape::shape() const {
  const int32_t len = block_len == 0 ? kv_len : block_len, per_seq = (kv_len + len - 1) / len;
  return {.n_q_heads = n_q_heads,
          .n_kv_heads = n_kv_heads,
          .head_dim = head_dim,
          .kv_dtype = dtype,
          .n_tokens = batch * q_len,
          .n_seqs = batch,
          .max_q_len = q_len,
          .max_kv_len = kv_len,
          .block_len = len,
          .blocks_per_seq = per_seq,
          .n_blocks = int64_t{per_seq} * batch};
}

int64_t TimedShape::kv_bytes() const {
  return int64_t{2} * batch * kv_len * n_kv_heads *
         (head_dim * static_cast<int64_t>(size_of(dtype)) + scale_bytes(dtype));
}

std::vector<TimedShape> timed_shapes(bool full) {
  std::vector<TimedShape> shapes;
  for (const auto& [n_q_heads, n_kv_heads, head_dim] : kHeads)
    for (const int32_t batch : kBatches)
      for (const int32_t len : kLengths)
        for (const DType type : kTypes)
          for (const int32_t block : kBlocks) {
            // Quick: every shape of heads in contiguous bf16; of 32:8×128 also every type contiguous and
            // every length of blocks in bf16, but for the largest batch and the shortest length.
            const bool plain = type == DType::bf16 && block == 0, usual = n_q_heads == 32 && n_kv_heads == 8,
                       one = (type == DType::bf16) != (block == 0);
            if (full || plain || (usual && one && batch != 128 && len != 512))
              shapes.push_back({n_q_heads, n_kv_heads, head_dim, batch, 1, len, type, block});
          }
  for (const auto& [n_q_heads, n_kv_heads, head_dim] : kHeads)
    if (full || n_kv_heads == 8)
      shapes.push_back({n_q_heads, n_kv_heads, head_dim, 1, kPrefill, kPrefill, DType::bf16, 0});
  return shapes;
}

json header(const DeviceInfo& device, const Bandwidth& bandwidth, const std::string& date) {
  return {{"device", device.device},     {"driver", device.driver},
          {"toolkit", device.toolkit},   {"date", date},
          {"read_gbps", bandwidth.read}, {"copy_gbps", bandwidth.copy},
          {"shapes", json::array()},     {"results", json::array()},
          {"rivals", json::array()}};
}

bool has_result(const json& results, const TimedShape& shape, const std::string& rung) {
  for (const json& r : results.at("results"))
    if (r.at("shape") == shape.name() && r.at("kernel") == rung) return true;
  return false;
}

void add_result(json& results, const TimedShape& s, const std::string& rung, const Timing& t,
                double read_gbps) {
  const std::string name = s.name();
  json& shapes = results["shapes"];
  if (std::none_of(shapes.begin(), shapes.end(), [&](const json& known) { return known.at("name") == name; }))
    shapes.push_back({{"name", name},
                      {"n_q_heads", s.n_q_heads},
                      {"n_kv_heads", s.n_kv_heads},
                      {"head_dim", s.head_dim},
                      {"batch", s.batch},
                      {"q_len", s.q_len},
                      {"kv_len", s.kv_len},
                      {"dtype", std::string(name_of(s.dtype))},
                      {"block_len", s.block_len},
                      {"kv_bytes", s.kv_bytes()}});
  results["results"].push_back({{"shape", name},
                                {"kernel", rung},
                                {"us", t.median_us},
                                {"low_us", t.low_us},
                                {"high_us", t.high_us},
                                {"launch_us", t.launch_us},
                                {"registers", t.registers},
                                {"shared_bytes", t.shared_bytes},
                                {"read_gbps", read_gbps}});
}

json read_results(const std::filesystem::path& path) {
  json results = read_json(path);
  try {
    require_results(results);
  } catch (const FileError& e) {
    throw FileError("{}: {}: write it with lastrow-kernels --time --json", path.string(), e.what());
  }
  return results;
}

void require_results_file(const std::filesystem::path& path, bool go_on) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  if (!std::filesystem::is_directory(folder))
    throw FileError("{}: there is no folder {}", path.string(), folder.string());
  if (!std::filesystem::exists(path)) return;
  if (!std::filesystem::is_regular_file(path)) throw FileError("{}: is not a file", path.string());
  if (go_on) read_results(path);
}

std::string table(const json& results) {
  std::string text = fmt::format(
      "{}, driver for CUDA {}, toolkit {}{}, {}. Measured beside it: read {:.0f} GB/s, copy {:.0f} GB/s.\n\n"
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
  return text;
}

void require_markers(const std::filesystem::path& path) { table_place(read_page(path), path); }

void rewrite_table(const std::filesystem::path& path, const std::string& table) {
  std::string text = read_page(path);
  const auto [begin, end] = table_place(text, path);
  text.replace(begin, end - begin, "\n" + table);
  write_text_atomically(path, text);
}

}  // namespace lastrow::driver
