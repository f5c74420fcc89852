#include "core/memory_limit.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "core/error.h"

namespace lastrow {
namespace {

/// The number after `key` in a file with lines "key number …". With an empty key: the first word of the file.
std::optional<int64_t> number_in(const char* path, std::string_view key) {
  std::ifstream file(path);
  std::string word;
  while (key.empty() || file >> word) {
    int64_t value = 0;
    if ((key.empty() || word == key) && file >> value) return value;
    if (key.empty()) return std::nullopt;  // "max": no limit
  }
  return std::nullopt;
}

/// What the limit of the control group leaves.
/// The group's file cache counts as free, because the system can drop it.
std::optional<int64_t> left_in_group(const char* limit_path, const char* usage_path, const char* stat_path,
                                     std::string_view cache_key) {
  const auto limit = number_in(limit_path, ""), usage = number_in(usage_path, "");
  if (!limit || !usage) return std::nullopt;
  return std::max<int64_t>(*limit - *usage + number_in(stat_path, cache_key).value_or(0), 0);
}

double gigabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e9; }

}  // namespace

std::optional<int64_t> available_memory_bytes() {
  std::optional<int64_t> least;
  const auto take = [&](std::optional<int64_t> bytes) {
    if (bytes && (!least || *bytes < *least)) least = bytes;
  };
  if (const auto kib = number_in("/proc/meminfo", "MemAvailable:")) take(*kib * 1024);
  take(left_in_group("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current",
                     "/sys/fs/cgroup/memory.stat", "inactive_file"));
  take(left_in_group("/sys/fs/cgroup/memory/memory.limit_in_bytes",
                     "/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory/memory.stat",
                     "total_inactive_file"));
  return least;
}

void require_memory(int64_t bytes, std::string_view what, std::string_view hint) {
  const auto available = available_memory_bytes();
  if (available && bytes > *available)
    throw CapacityError("{} needs {:.1f} GB of memory ({} bytes), but {:.1f} GB are available: {}", what,
                        gigabytes(bytes), bytes, gigabytes(*available), hint);
}

}  // namespace lastrow
