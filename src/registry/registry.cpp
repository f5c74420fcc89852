#include "registry/registry.h"

#include "backend/eigen.h"
#include "backend/naive.h"
#include "core/error.h"

namespace lastrow {
namespace {

struct Known {
  const char* name;
  const char* description;
  std::unique_ptr<Backend> (*make)(int32_t n_threads);
};

constexpr Known kKnown[] = {
    {EigenBackend::kName, EigenBackend::kDescription,
     [](int32_t n_threads) -> std::unique_ptr<Backend> { return std::make_unique<EigenBackend>(n_threads); }},
    {NaiveBackend<float>::kName, NaiveBackend<float>::kDescription,
     [](int32_t) -> std::unique_ptr<Backend> { return std::make_unique<NaiveBackend<float>>(); }},
    {NaiveBackend<double>::kName, NaiveBackend<double>::kDescription,
     [](int32_t) -> std::unique_ptr<Backend> { return std::make_unique<NaiveBackend<double>>(); }},
};

struct NotBuilt {
  const char* name;
  const char* description;
  const char* why_not;
};

constexpr NotBuilt kNotBuilt[] = {
    {"cuda", "kernels on an NVIDIA GPU", "not part of this version"},
    {"cuda-emulated", "the same kernels, thread by thread on the CPU", "not part of this version"},
};

}  // namespace

std::vector<BackendEntry> list_backends() {
  std::vector<BackendEntry> entries;
  for (const Known& known : kKnown) entries.push_back({known.name, known.description, true, ""});
  for (const NotBuilt& other : kNotBuilt)
    entries.push_back({other.name, other.description, false, other.why_not});
  return entries;
}

std::unique_ptr<Backend> make_backend(const std::string& name, int32_t n_threads) {
  for (const Known& known : kKnown)
    if (name == known.name) return known.make(n_threads);
  for (const NotBuilt& other : kNotBuilt)
    if (name == other.name)
      throw UsageError("backend '{}' cannot be used: {}; use eigen", name, other.why_not);
  std::string names;
  for (const Known& known : kKnown) names += fmt::format("{}{}", names.empty() ? "" : ", ", known.name);
  throw UsageError("unknown backend '{}': use one of {}", name, names);
}

}  // namespace lastrow
