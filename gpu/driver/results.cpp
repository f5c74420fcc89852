#include "gpu/driver/results.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "gpu/driver/agreement.h"
#include "io/atomic_file.h"
#include "io/checked.h"
#include "io/json.h"

namespace lastrow::driver {
namespace {

using nlohmann::json;

/// What read_results requires of a value.
enum class Field { text, count, positive, yes_or_no };

void require_fields(const json& object, std::initializer_list<std::pair<const char*, Field>> fields) {
  if (!object.is_object()) throw FileError("holds {} instead of an object", object.type_name());
  for (const auto& [name, field] : fields) {
    if (!object.contains(name)) throw FileError("lacks '{}'", name);
    const json& value = object.at(name);
    const bool right =
        field == Field::text
            ? value.is_string() && escaped(value.get<std::string>()) == value.get<std::string>()
        : field == Field::yes_or_no ? value.is_boolean()
        : field == Field::count ? value.is_number_unsigned() && value.get<uint64_t>() < (uint64_t{1} << 53)
                                : value.is_number() && value.get<double>() > 0 && value.get<double>() < 1e15;
    if (!right)
      throw FileError("holds no {} in '{}'",
                      field == Field::text        ? "line of text"
                      : field == Field::yes_or_no ? "true or false"
                      : field == Field::count     ? "count"
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
                       {"read_gbps", positive},
                       {"check", text},
                       {"compared_with", text},
                       {"agrees", yes_or_no}});
  for (const char* list : {"failed", "lost"})
    for (const json& time : require_list(results, list))
      require_fields(time, {{"shape", text}, {"kernel", text}, {"why", text}});
  if (results.contains("running")) require_fields(results.at("running"), {{"shape", text}, {"kernel", text}});
  for (const json& rival : require_list(results, "rivals"))
    require_fields(rival, {{"shape", text}, {"name", text}, {"us", positive}});
}

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

}  // namespace

const char* name_of(CheckResult result) {
  switch (result) {
    case CheckResult::held:
      return "held";
    case CheckResult::failed:
      return "failed";
    case CheckResult::ended:
      return "broke the device";
    default:
      return "not checked";
  }
}

json header(const DeviceInfo& device, const Bandwidth& bandwidth, const std::string& date) {
  return {{"device", device.device},     {"driver", device.driver},
          {"toolkit", device.toolkit},   {"date", date},
          {"read_gbps", bandwidth.read}, {"copy_gbps", bandwidth.copy},
          {"shapes", json::array()},     {"results", json::array()},
          {"failed", json::array()},     {"lost", json::array()},
          {"rivals", json::array()}};
}

bool has_result(const json& results, const TimedShape& shape, const std::string& rung) {
  for (const json& r : results.at("results"))
    if (r.at("shape") == shape.name() && r.at("kernel") == rung) return true;
  return false;
}

void add_result(json& results, const TimedShape& s, const std::string& rung, const Timing& t,
                CheckResult checked, double read_gbps) {
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
                                {"read_gbps", read_gbps},
                                {"check", name_of(checked)},
                                {"compared_with", t.compared_with},
                                {"difference", std::isfinite(t.difference) ? json(t.difference) : json()},
                                {"agrees", t.difference <= agreement_bound(rung)}});
}

void add_failure(json& results, const std::string& shape, const std::string& rung, const std::string& why) {
  results["failed"].push_back({{"shape", shape}, {"kernel", rung}, {"why", one_line(why)}});
}

void forget_failure(json& results, const std::string& shape, const std::string& rung) {
  json& failed = results.at("failed");
  for (size_t i = failed.size(); i-- > 0;)
    if (failed[i].at("shape") == shape && failed[i].at("kernel") == rung) failed.erase(i);
}

void add_loss(json& results, const std::string& shape, const std::string& rung, const std::string& why) {
  results["lost"].push_back({{"shape", shape}, {"kernel", rung}, {"why", one_line(why)}});
}

int64_t n_losses(const json& results, const std::string& rung) {
  const json& lost = results.at("lost");
  return std::count_if(lost.begin(), lost.end(), [&](const json& l) { return l.at("kernel") == rung; });
}

json read_results(const std::filesystem::path& path) {
  json results = read_json(path);
  try {
    require_results(results);
  } catch (const FileError& e) {
    throw FileError("{}: {}: write the file with lastrow-kernels --time --json", path.string(), e.what());
  }
  return results;
}

void require_results_file(const std::filesystem::path& path, bool go_on) {
  const OutputPlace place = output_place(path);
  if (place.is_direct)
    throw FileError("{}: is a pipe or a device, but results are rewritten after each time: name a file",
                    path.string());
  AtomicFile{path};
  if (go_on && place.exists) read_results(path);
}

}  // namespace lastrow::driver
