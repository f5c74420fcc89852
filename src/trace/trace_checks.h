// Checks of a trace file, before its contents go into a Recorder. Each check throws FileError if it fails.
//
//   TraceChecks checks(source);                   the name of the file, for the messages
//   checks.check_plan(plan, spec, step);          and the other checks
//   checks.fail("its metadata lacks {}", key);    for damage that no check covers
//
// Invariant: after these checks, no call of a Recorder or a Lineage reads outside an array, or allocates an
// array that the size of the file does not justify.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "cache/kv_cache.h"
#include "core/error.h"
#include "core/tensor.h"
#include "trace/event.h"

namespace lastrow {

class TraceChecks {
 public:
  explicit TraceChecks(std::string source) : source_(std::move(source)) {}

  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw FileError("{}: damaged trace: {}: record it again", source_,
                    fmt::format(format, std::forward<Args>(args)...));
  }

  template <typename T>
  T narrow(int64_t value, std::string_view what) const {
    if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max())
      fail("{} in {} is out of range", value, what);
    return static_cast<T>(value);
  }
  template <typename T>
  T integer(const nlohmann::json& value, std::string_view what) const {
    if (!value.is_number_integer() ||
        (value.is_number_unsigned() && value.get<uint64_t>() > (uint64_t{1} << 62)))
      fail("{} holds something that is not an integer", what);
    return narrow<T>(value.get<int64_t>(), what);
  }
  const nlohmann::json& array(const nlohmann::json& value, std::string_view what) const {
    if (!value.is_array()) fail("{} is not an array", what);
    return value;
  }
  /// Returns by value, for a range-for over a temporary.
  nlohmann::json array(nlohmann::json&& value, std::string_view what) const {
    if (!value.is_array()) fail("{} is not an array", what);
    return std::move(value);
  }

  /// Reads a spec. validate() must accept its sizes, and no model has more layers or indices than the limits.
  CacheSpec cache_spec(const nlohmann::json& json) const;
  /// [begin, end) is a range of n rows. The last range ends at n.
  void check_end(std::string_view name, int64_t begin, int64_t end, int64_t n, bool last) const;
  void check_plan(const StepPlan& plan, const CacheSpec& spec, int32_t step) const;
  void check_event(const Event& event, const StepPlan& plan, const CacheSpec& spec, size_t i) const;
  /// If StepTensors has a view of a tensor with this name, the tensor has the shape that StepTensors says.
  void check_entry(const std::string& name, DType dtype, const Shape& shape, int32_t sequence,
                   const StepPlan& plan) const;

 private:
  std::string source_;
};

}  // namespace lastrow
