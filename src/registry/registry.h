// The one place that knows which backends were built.
//
//   for (const BackendEntry& e : list_backends()) …   all known, usable or not, with the reason
//   auto backend = make_backend("eigen");
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace lastrow {

struct BackendEntry {
  std::string name;
  std::string description;
  bool usable;
  std::string why_not;  // empty if usable
};

/// Those that make_backend takes first, in the order in which to list them.
std::vector<BackendEntry> list_backends();

/// "eigen", "naive", "naive-f64". Throws UsageError for an unknown name (listing the known) or one that is
/// not usable here (with the reason). n_threads 0: all cores; a backend that has no use for it ignores it.
std::unique_ptr<Backend> make_backend(const std::string& name, int32_t n_threads = 0);

}  // namespace lastrow
