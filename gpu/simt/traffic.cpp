#include "gpu/simt/traffic.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace lastrow::simt {
namespace {

constexpr uint64_t kSectorBytes = 32;
constexpr uint64_t kBanks = 32, kBankBytes = 4;

struct Lanes {
  std::array<uint64_t, kWarpSize> address;
  int32_t n = 0;
};

/// How many different units of `unit` bytes the lanes' ranges [address, address + bytes) touch.
int64_t distinct_units(const Lanes& lanes, int32_t bytes, uint64_t unit) {
  std::array<uint64_t, kWarpSize * 16> units;  // a lane moves at most 16 bytes
  size_t n = 0;
  for (int32_t i = 0; i < lanes.n; ++i)
    for (uint64_t u = lanes.address[i] / unit; u <= (lanes.address[i] + bytes - 1) / unit; ++u)
      units[n++] = u;
  std::sort(units.begin(), units.begin() + n);
  return std::unique(units.begin(), units.begin() + n) - units.begin();
}

/// Passes for lanes that are served together: the most words that one bank has to deliver.
int64_t passes(const Lanes& lanes, int32_t bytes) {
  std::array<uint64_t, kWarpSize * 4> words;
  size_t n = 0;
  for (int32_t i = 0; i < lanes.n; ++i)
    for (uint64_t w = lanes.address[i] / kBankBytes; w <= (lanes.address[i] + bytes - 1) / kBankBytes; ++w)
      words[n++] = w;
  std::sort(words.begin(), words.begin() + n);
  const size_t n_words = std::unique(words.begin(), words.begin() + n) - words.begin();
  std::array<int64_t, kBanks> in_bank{};
  for (size_t i = 0; i < n_words; ++i) ++in_bank[words[i] % kBanks];
  return *std::max_element(in_bank.begin(), in_bank.end());
}

bool same_site(const SiteTraffic& a, const SiteTraffic& b) {
  return a.space == b.space && a.access == b.access && a.line == b.line && a.file == b.file &&
         a.array == b.array;
}

}  // namespace

void KernelTraffic::add(const KernelTraffic& other) {
  if (kernel.empty()) {
    kernel = other.kernel;
    grid = other.grid;
    block = other.block;
  }
  shared_bytes = std::max(shared_bytes, other.shared_bytes);
  n_launches += other.n_launches;
  n_blocks += other.n_blocks;
  n_blocks_observed += other.n_blocks_observed;
  n_barriers += other.n_barriers;
  n_shuffles += other.n_shuffles;
  n_votes += other.n_votes;
  n_warp_syncs += other.n_warp_syncs;
  n_mmas += other.n_mmas;
  for (const SiteTraffic& site : other.sites) {
    const auto mine =
        std::find_if(sites.begin(), sites.end(), [&](const SiteTraffic& s) { return same_site(s, site); });
    if (mine == sites.end()) {
      sites.push_back(site);
      continue;
    }
    mine->n_executions += site.n_executions;
    mine->n_partial += site.n_partial;
    mine->bytes += site.bytes;
    mine->n_sectors += site.n_sectors;
    mine->n_best_sectors += site.n_best_sectors;
    mine->n_passes += site.n_passes;
    mine->n_best_passes += site.n_best_passes;
  }
  std::sort(sites.begin(), sites.end(), [](const SiteTraffic& a, const SiteTraffic& b) {
    return std::tie(a.file, a.line, a.array, a.access) < std::tie(b.file, b.line, b.array, b.access);
  });
}

void TrafficCounter::block_begins(const Block& block, int32_t n_threads) {
  block_ = &block;
  n_threads_ = n_threads;
  n_warps_ = (n_threads + kWarpSize - 1) / kWarpSize;
  block_shared_bytes_ = 0;
  for (auto& by_warp : logs_) by_warp.assign(static_cast<size_t>(n_warps_), Log{});
}

void TrafficCounter::shared_declared(const SharedArray& array) {
  block_shared_bytes_ += array.n * array.elem_bytes;
}

void TrafficCounter::global(const Thread& thread, Access access, const GlobalArray& array, int64_t first,
                            int32_t n, Here here) {
  count(thread, {Space::global, access, array.name, here.file, here.line}, array.address(first),
        n * array.elem_bytes);
}

void TrafficCounter::shared(const Thread& thread, Access access, const SharedArray& array, int64_t first,
                            int32_t n, Here here) {
  count(thread, {Space::shared, access, array.name, here.file, here.line},
        reinterpret_cast<uint64_t>(array.data) + static_cast<uint64_t>(first * array.elem_bytes),
        n * array.elem_bytes);
}

/// A copy is counted when it arrives.
void TrafficCounter::copy_begins(const Thread&, const SharedArray&, int64_t, int32_t, Here) {}

void TrafficCounter::count(const Thread& thread, const SiteKey& key, uint64_t address, int32_t bytes) {
  const auto [place, is_new] = sites_.try_emplace(key, total_.sites.size());
  if (is_new) {
    const Here here{key.file, key.line};
    total_.sites.push_back({.space = key.space,
                            .access = key.access,
                            .array = key.array,
                            .file = std::string(here.name()),
                            .line = key.line,
                            .lane_bytes = bytes});
    logs_.emplace_back(static_cast<size_t>(n_warps_));
  }
  Log& log = logs_[place->second][thread.warp];
  const int64_t k = log.n_by_lane[thread.lane]++;
  while (log.n_folded + static_cast<int64_t>(log.open.size()) <= k) log.open.emplace_back();
  Execution& execution = log.open[static_cast<size_t>(k - log.n_folded)];
  execution.lanes |= 1u << thread.lane;
  execution.address[thread.lane] = address;
  const uint32_t live = block_->live_lanes(thread.warp);
  while (!log.open.empty() && (log.open.front().lanes & live) == live) {
    fold(log.open.front(), live, total_.sites[place->second]);
    log.open.pop_front();
    ++log.n_folded;
  }
}

void TrafficCounter::fold(const Execution& execution, uint32_t live, SiteTraffic& site) {
  Lanes all;
  for (uint32_t lanes = execution.lanes; lanes != 0; lanes &= lanes - 1)
    all.address[all.n++] = execution.address[std::countr_zero(lanes)];
  ++site.n_executions;
  if ((live & ~execution.lanes) != 0) ++site.n_partial;
  site.bytes += int64_t{all.n} * site.lane_bytes;
  if (site.space == Space::global) {
    site.n_sectors += distinct_units(all, site.lane_bytes, kSectorBytes);
    const int64_t distinct_bytes = distinct_units(all, site.lane_bytes, 1);
    site.n_best_sectors +=
        (distinct_bytes + static_cast<int64_t>(kSectorBytes) - 1) / static_cast<int64_t>(kSectorBytes);
    return;
  }
  // 32 lanes at a time for up to 4 bytes, 16 for 8, 8 for 16.
  const int32_t together = kWarpSize / std::max(1, site.lane_bytes / static_cast<int32_t>(kBankBytes));
  for (int32_t first = 0; first < kWarpSize; first += together) {
    Lanes part;
    for (int32_t lane = first; lane < first + together; ++lane)
      if ((execution.lanes >> lane & 1u) != 0) part.address[part.n++] = execution.address[lane];
    if (part.n == 0) continue;
    site.n_passes += passes(part, site.lane_bytes);
    ++site.n_best_passes;
  }
}

void TrafficCounter::barrier_passed(Here) { ++total_.n_barriers; }

void TrafficCounter::lanes_met(int32_t, Wait kind, uint32_t, Here) {
  if (kind == Wait::ldmatrix) return;  // an access like any other
  (kind == Wait::shuffle ? total_.n_shuffles
   : kind == Wait::vote  ? total_.n_votes
   : kind == Wait::mma   ? total_.n_mmas
                         : total_.n_warp_syncs) += 1;
}

/// Also counts the executions that are still open: some lanes took no part in them.
void TrafficCounter::block_ends() {
  for (size_t i = 0; i < logs_.size(); ++i)
    for (int32_t warp = 0; warp < n_warps_; ++warp) {
      const int32_t n_lanes = std::min(kWarpSize, n_threads_ - warp * kWarpSize);
      const uint32_t all = n_lanes == kWarpSize ? ~0u : (1u << n_lanes) - 1u;
      for (const Execution& execution : logs_[i][warp].open) fold(execution, all, total_.sites[i]);
      logs_[i][warp] = {};
    }
  total_.shared_bytes = std::max(total_.shared_bytes, block_shared_bytes_);
  ++total_.n_blocks_observed;
}

KernelTraffic TrafficCounter::take() {
  sites_.clear();
  logs_.clear();
  return std::exchange(total_, {});
}

}  // namespace lastrow::simt
