#include "cli/attention_rules.h"

#include <cmath>

#include "core/error.h"
#include "core/number.h"
#include "io/checked.h"

namespace lastrow::cli {
namespace {

/// The number in the metadata under `key`; empty if there is no such key. `parse` returns empty for text that
/// is not a number.
template <typename T>
std::optional<T> number(const NamedTensors& file, const char* key,
                        std::optional<T> (&parse)(std::string_view), const char* expected) {
  const std::string* const text = file.metadata(key);
  if (text == nullptr) return {};
  const std::optional<T> x = parse(*text);
  if (!x) throw FileError("{}: metadata {} is {}; write {}", file.source(), key, shown(*text), expected);
  return x;
}

bool truth(const NamedTensors& file, const char* key, bool otherwise) {
  const std::string* const text = file.metadata(key);
  if (text == nullptr) return otherwise;
  if (*text != "true" && *text != "false")
    throw FileError("{}: metadata {} is {}; write \"true\" or \"false\"", file.source(), key, shown(*text));
  return *text == "true";
}

std::optional<float> given(const char* option, const std::optional<std::string>& text) {
  if (!text) return {};
  const std::optional<float> x = real_number(*text);
  if (!x) throw UsageError("{} is {}; give a finite number such as 0.125", option, shown(*text));
  return x;
}

/// real_number gives 0 for a number that is too small for a float. A cap of 0 means none, so it is refused.
void require_cap(const std::string* text, float cap) {
  if (text == nullptr || cap != 0) return;
  const std::string_view digits = std::string_view(*text).substr(0, text->find_first_of("eE"));
  if (digits.find_first_of("123456789") != std::string_view::npos)
    throw UsageError("soft cap {} is too small for single precision; give at least 1e-38, or 0 for none",
                     *text);
}

}  // namespace

AttendSpec read_rules(const NamedTensors& file, int64_t head_dim, int64_t n_q_heads,
                      const RuleOptions& options) {
  constexpr const char *kReal = "a finite number such as \"0.125\"",
                       *kKeys = "a number of keys such as \"128\"";
  const auto default_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  const auto scale = number(file, "scale", real_number, kReal),
             cap = number(file, "soft_cap", real_number, kReal);
  const auto window = number(file, "window", whole_number<int32_t>, kKeys),
             sinks = number(file, "sinks", whole_number<int32_t>, kKeys);
  const bool alibi = truth(file, "alibi", false) || options.alibi;
  AttendSpec spec;
  spec.mask.causal = truth(file, "causal", true);
  spec.score.scale = given("--scale", options.scale).value_or(scale.value_or(default_scale));
  spec.score.soft_cap = given("--soft-cap", options.soft_cap).value_or(cap.value_or(0.0f));
  require_cap(options.soft_cap ? &*options.soft_cap : file.metadata("soft_cap"), spec.score.soft_cap);
  spec.score.alibi_heads = alibi ? static_cast<int32_t>(n_q_heads) : 0;
  spec.mask.window = options.window.value_or(window.value_or(0));
  spec.mask.sinks = options.sinks.value_or(sinks.value_or(0));
  if (spec.score.soft_cap < 0)
    throw FileError("{}: soft_cap is {}; give a number above 0, or 0 for none", file.source(),
                    spec.score.soft_cap);
  if (spec.mask.window < 0)
    throw FileError("{}: window is {}; give a number of keys, or 0 for no window", file.source(),
                    spec.mask.window);
  if (spec.mask.sinks < 0)
    throw FileError("{}: sinks is {}; give a number of keys, or 0 for none", file.source(), spec.mask.sinks);
  if (spec.mask.sinks > 0 && spec.mask.window == 0)
    throw FileError("{}: there are {} sinks, but no window; give a window too, or drop the sinks",
                    file.source(), spec.mask.sinks);
  return spec;
}

}  // namespace lastrow::cli
