#include "trace/kv_log.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace lastrow {
namespace {

// Other memory of a version than its elements: node of the map, entry of the vector, rounding of allocations.
constexpr int64_t kOverheadBytes = 160;

int64_t version_bytes(ConstTensorView row) { return row.size_bytes() + kOverheadBytes; }

ConstTensorView row_at(ConstTensorView rows, size_t i) {
  return rows.rows(static_cast<int64_t>(i), 1).reshaped({rows.dim(1), rows.dim(2)});
}

}  // namespace

bool KvLog::differs(const Key& key, ConstTensorView row) const {
  const auto it = rows_.find(key);
  if (it == rows_.end() || it->second.empty()) return true;
  const ConstTensorView last = it->second.back().row.view();
  return last.shape() != row.shape() || last.dtype() != row.dtype() ||
         std::memcmp(last.raw(), row.raw(), static_cast<size_t>(row.size_bytes())) != 0;
}

int64_t KvLog::growth(int32_t layer, RowKind kind, std::span<const int64_t> slots,
                      ConstTensorView rows) const {
  int64_t n = 0;
  for (size_t i = 0; i < slots.size(); ++i)
    if (differs({layer, kind, slots[i]}, row_at(rows, i))) n += version_bytes(row_at(rows, i));
  return n;
}

void KvLog::add(int32_t step, int32_t layer, RowKind kind, std::span<const int64_t> slots,
                ConstTensorView rows) {
  for (size_t i = 0; i < slots.size(); ++i) {
    const Key key{layer, kind, slots[i]};
    const ConstTensorView row = row_at(rows, i);
    if (!differs(key, row)) continue;
    Tensor copy = Tensor::host(row.dtype(), row.shape());
    std::memcpy(copy.view().raw(), row.raw(), static_cast<size_t>(row.size_bytes()));
    std::vector<Version>& versions = rows_[key];
    LASTROW_CHECK(versions.empty() || versions.back().step <= step, "step {} after step {}", step,
                  versions.back().step);
    versions.push_back({step, std::move(copy)});
    bytes_ += version_bytes(row);
  }
}

const Tensor* KvLog::row(int32_t step, int32_t layer, RowKind kind, int64_t slot) const {
  const auto it = rows_.find({layer, kind, slot});
  if (it == rows_.end()) return nullptr;
  const auto after = std::ranges::upper_bound(it->second, step, {}, &Version::step);
  return after == it->second.begin() ? nullptr : &std::prev(after)->row;
}

void KvLog::drop_from(int32_t step) { take_from(step); }

KvLog KvLog::take_from(int32_t step) {
  KvLog taken;
  for (auto& [key, versions] : rows_) {
    const auto first = std::ranges::lower_bound(versions, step, {}, &Version::step);
    if (first == versions.end()) continue;
    for (auto it = first; it != versions.end(); ++it) taken.bytes_ += version_bytes(it->row.view());
    taken.rows_[key].assign(std::make_move_iterator(first), std::make_move_iterator(versions.end()));
    versions.erase(first, versions.end());
  }
  bytes_ -= taken.bytes_;
  std::erase_if(rows_, [](const auto& entry) { return entry.second.empty(); });
  return taken;
}

void KvLog::put_back(KvLog later) {
  for (auto& [key, versions] : later.rows_) {
    std::vector<Version>& here = rows_[key];
    LASTROW_CHECK(here.empty() || here.back().step < versions.front().step, "step {} put behind step {}",
                  versions.front().step, here.back().step);
    here.insert(here.end(), std::make_move_iterator(versions.begin()),
                std::make_move_iterator(versions.end()));
  }
  bytes_ += later.bytes_;
}

void KvLog::clear() {
  rows_.clear();
  bytes_ = 0;
}

}  // namespace lastrow
