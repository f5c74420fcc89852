#include "cache/cache_options.h"

#include <algorithm>
#include <limits>
#include <set>
#include <span>

#include "core/error.h"
#include "core/number.h"

namespace lastrow {
namespace {

/// A setting that is a whole number: where it is stored, and the least number that makes sense.
struct NumberSetting {
  const char* name;
  int32_t CacheOptions::*value;
  int32_t least;
};

constexpr NumberSetting kContiguousNumbers[] = {{"window", &CacheOptions::window, 1},
                                                {"sinks", &CacheOptions::sinks, 0}};
constexpr NumberSetting kPagedNumbers[] = {{"block", &CacheOptions::block_len, 1},
                                           {"blocks", &CacheOptions::n_blocks, 1}};
constexpr NumberSetting kWindowNumbers[] = {{"w", &CacheOptions::window, 1},
                                            {"sinks", &CacheOptions::sinks, 0},
                                            {"block", &CacheOptions::block_len, 1}};
constexpr NumberSetting kBudgetNumbers[] = {{"rows", &CacheOptions::budget, 1},
                                            {"sinks", &CacheOptions::sinks, 0}};

struct Kind {
  const char* name;
  const char* spelling;
  std::span<const NumberSetting> numbers;
};

constexpr Kind kKinds[] = {
    {"contiguous", "contiguous[:window=W][,sinks=N]", kContiguousNumbers},
    {"paged", "paged[:block=B][,blocks=N]", kPagedNumbers},
    {"window", "window[:w=W][,sinks=N][,positions=kept|new][,block=B]", kWindowNumbers},
    {"budget", "budget:rows=N[,policy=oldest|sinks|heavy|random][,sinks=N][,seed=N]", kBudgetNumbers}};
constexpr const char* kKindNames = "contiguous, paged, window:w=W or budget:rows=N";

constexpr const char* kPositions[] = {"kept", "new"};
constexpr const char* kEvictions[] = {"oldest", "sinks", "heavy", "random"};

const Kind* kind_named(const std::string& name) {
  const auto* const kind = std::ranges::find(kKinds, name, [](const Kind& k) { return std::string(k.name); });
  return kind == std::end(kKinds) ? nullptr : kind;
}

/// Reads the settings of one text. Messages show 80 characters of what the user wrote.
class SettingsReader {
 public:
  SettingsReader(const std::string& text, const Kind& kind) : text_(text), kind_(kind) {}

  void read(CacheOptions& options, const std::string& setting) {
    const size_t equals = setting.find('=');
    const std::string name = setting.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : setting.substr(equals + 1);
    store(options, name, value);
    if (!names_.insert(name).second) refuse("a setting is given twice");
  }

  [[noreturn]] void refuse(const std::string& why) const {
    throw UsageError("cache '{:.80}': {}; use {}", text_, why, kind_.spelling);
  }

 private:
  void store(CacheOptions& options, const std::string& name, const std::string& value) const {
    for (const NumberSetting& number : kind_.numbers)
      if (name == number.name) {
        options.*number.value = whole<int32_t>(name, value, number.least);
        return;
      }
    const std::string kind = kind_.name;
    if (kind == "window" && name == "positions")
      options.positions = static_cast<Positions>(word(name, value, kPositions));
    else if (kind == "budget" && name == "policy")
      options.eviction = static_cast<Eviction>(word(name, value, kEvictions));
    else if (kind == "budget" && name == "seed")
      options.seed = whole<uint64_t>(name, value, 0);
    else
      refuse(fmt::format("there is no setting '{:.80}'", name));
  }

  template <typename Integer>
  Integer whole(const std::string& name, const std::string& value, Integer least) const {
    const auto number = whole_number<Integer>(value);
    if (!number || *number < least)
      refuse(fmt::format("{} is '{:.80}', but it must be a whole number of at least {}", name, value, least));
    return *number;
  }

  /// The number of the word among those that are possible.
  template <size_t n>
  size_t word(const std::string& name, const std::string& value, const char* const (&words)[n]) const {
    for (size_t i = 0; i < n; ++i)
      if (value == words[i]) return i;
    refuse(fmt::format("{} is '{:.80}', which is none of its words", name, value));
  }

  const std::string& text_;
  const Kind& kind_;
  std::set<std::string> names_;
};

}  // namespace

const char* name_of(Eviction eviction) { return kEvictions[static_cast<size_t>(eviction)]; }

CacheOptions cache_options(const std::string& text) {
  CacheOptions options;
  const size_t colon = text.find(':');
  options.kind = text.substr(0, colon);
  const Kind* const kind = kind_named(options.kind);
  if (kind == nullptr) throw UsageError("unknown cache '{:.80}': use {}", text, kKindNames);
  SettingsReader reader(text, *kind);
  for (size_t begin = colon; begin != std::string::npos;) {
    const size_t end = text.find(',', ++begin);
    reader.read(options, text.substr(begin, end == std::string::npos ? end : end - begin));
    begin = end;
  }
  if (options.kind == "contiguous" && options.sinks > 0 && options.window == 0)
    reader.refuse("sinks without a window change nothing");
  if (options.kind == "budget" && options.budget == 0) reader.refuse("the number of rows is missing");
  return options;
}

CacheOptions cache_options(const std::string& text, const std::string& kv_dtype) {
  CacheOptions options = cache_options(text);
  const KvDtypes dtypes = kv_dtypes_from_name(kv_dtype);
  options.dtype_k = dtypes.k;
  options.dtype_v = dtypes.v;
  return options;
}

std::string name_of(const CacheOptions& options) {
  const Kind* const kind = kind_named(options.kind);
  if (kind == nullptr) return options.kind;
  const CacheOptions usual;
  std::string name = options.kind;
  auto add = [&name, first = true](const char* setting, const auto& value) mutable {
    name += fmt::format("{}{}={}", first ? ':' : ',', setting, value);
    first = false;
  };
  for (const NumberSetting& number : kind->numbers) {
    if (options.windowed_every > 0 && number.value == &CacheOptions::window) continue;  // the model's own
    if (options.*number.value != usual.*number.value) add(number.name, options.*number.value);
  }
  if (options.kind == "window" && options.positions != usual.positions)
    add("positions", kPositions[static_cast<size_t>(options.positions)]);
  if (options.kind == "budget" && options.eviction != usual.eviction)
    add("policy", name_of(options.eviction));
  if (options.kind == "budget" && options.seed != usual.seed) add("seed", options.seed);
  return name;
}

}  // namespace lastrow
