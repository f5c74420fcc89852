// Which threads accessed an element of memory since it was last written. Races are found from this (races.h).
#pragma once

#include <utility>
#include <vector>

#include "core/error.h"
#include "gpu/simt/observer.h"
#include "gpu/simt/short_list.h"

namespace lastrow::simt {

/// Lines of kernel text, by small numbers.
class Places {
 public:
  /// At most 16,384 lines have numbers.
  uint16_t number(Here here) {
    auto& [known, n] = recent_[static_cast<size_t>(here.line) % kRecent];
    if (known.file != here.file || known.line != here.line) known = here, n = find(here);
    return n;
  }
  Here at(uint16_t number) const { return all_[number]; }

 private:
  static constexpr size_t kRecent = 256, kMost = 1 << 14;
  uint16_t find(Here here) {
    for (size_t i = 0; i < all_.size(); ++i)
      if (all_[i].file == here.file && all_[i].line == here.line) return static_cast<uint16_t>(i);
    LASTROW_CHECK(all_.size() < kMost, "kernels of more than {} lines that access memory", kMost);
    all_.push_back(here);
    return static_cast<uint16_t>(all_.size() - 1);
  }
  std::vector<Here> all_;
  std::pair<Here, uint16_t> recent_[kRecent] = {};  // by line
};

/// Which thread was here, and when. Detectors keep several for each element of memory, so it is small.
class Record {
 public:
  Record() = default;
  Record(int32_t thread, uint32_t n_barriers, uint32_t time, Access access, uint16_t place)
      : phase(n_barriers),
        clock(time),
        rank_(static_cast<int16_t>(thread)),
        place_and_access_(static_cast<uint16_t>(place << 2 | static_cast<uint16_t>(access))) {}

  bool none() const { return rank_ < 0; }
  void clear() { rank_ = -1; }
  int32_t rank() const { return rank_; }
  Access access() const { return static_cast<Access>(place_and_access_ & 3); }
  uint16_t place() const { return place_and_access_ >> 2; }

  uint32_t phase = 0;  // how many __syncthreads the block had passed
  uint32_t clock = 0;

 private:
  int16_t rank_ = -1;
  uint16_t place_and_access_ = 0;
};
static_assert(sizeof(Record) == 12 && kMaxThreads <= INT16_MAX);

struct History {
  ShortList<Record> readers;  // since the last write or __syncthreads, one per thread
  Record writer;              // the last one

  void clear() {
    writer.clear();
    readers.clear();
  }
  void read(const Record& now) {
    if (!readers.empty() && readers.front().phase < now.phase) readers.clear();
    if (Record* mine = readers.find([&](const Record& reader) { return reader.rank() == now.rank(); }))
      *mine = now;
    else
      readers.push_back(now);
  }
  void written(const Record& now) {
    readers.clear();
    writer = now;
  }
};

}  // namespace lastrow::simt
