#include "gpu/kernels/ladder.h"

#include "core/error.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr const Rung* kLadder[] = {&k01, &k02, &k03, &k04, &k05, &k06, &k07, &k08, &k09, &k10};

}  // namespace

std::span<const Rung* const> ladder() { return kLadder; }

const Rung& rung(const std::string& name) {
  std::string known;
  for (const Rung* rung : kLadder) {
    if (name == rung->name) return *rung;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", rung->name);
  }
  throw UsageError("unknown kernel '{}': use one of {}", name, known);
}

const Rung& choose(const gpu::AttendShape& shape) {
  for (auto it = std::rbegin(kLadder); it != std::rend(kLadder); ++it)
    if ((*it)->supports(shape).empty()) return **it;
  return k01;
}

}  // namespace lastrow::LASTROW_TARGET
