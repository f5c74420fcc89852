// What a block did in global memory, as far as races need it: the accesses to arrays that it may write, and
// the sources of asynchronous copies on their way.
//
//   shadow.clear(n_threads);                  a block begins
//   shadow.follow(array);                     from here on the block may write to the array
//   if (shadow.follows(array)) …              an access to another array cannot race, so it is not recorded
//   shadow.history(address)                   of the element that begins there
//   shadow.hold(record, begin, end);          a copy reads these bytes from now …
//   shadow.release(rank);                     … until the oldest copy of this thread arrives
//   shadow.holder(begin, end)                 whose copy reads one of these bytes; null: no copy
//
// K and V are read far more often than anything else, and no kernel that reads them writes them. So a load
// costs a comparison with a few ranges, and memory use grows only with what is written.
//
// Invariant: a place of the table belongs to this block if its `block` is n_blocks_. A place of an older
// block counts as free. So clearing costs nothing, and lists of readers keep their memory.
#pragma once

#include <cstdint>
#include <vector>

#include "gpu/simt/history.h"

namespace lastrow::simt {

class GlobalShadow {
 public:
  void clear(int32_t n_threads) {
    ++n_blocks_;
    n_used_ = 0;
    followed_.clear();
    for (auto& copies : held_) copies.clear();
    held_.resize(static_cast<size_t>(n_threads));
    n_held_ = 0;
  }

  void follow(const GlobalArray& array) {
    if (!follows(array)) followed_.push_back({array.begin, array.address(array.n)});
  }
  bool follows(const GlobalArray& array) const {
    for (const Range& range : followed_)
      if (array.begin < range.end && range.begin < array.address(array.n)) return true;
    return false;
  }

  History& history(uint64_t address) {
    if (2 * (n_used_ + 1) > places_.size()) grow();
    Place& place = places_[find(places_, address)];
    if (place.block != n_blocks_) {
      place.block = n_blocks_;
      place.address = address;
      place.history.clear();
      ++n_used_;
    }
    return place.history;
  }

  void hold(const Record& record, uint64_t begin, uint64_t end) {
    held_[record.rank()].push_back({record, {begin, end}});
    ++n_held_;
  }
  void release(int32_t rank) {
    held_[rank].erase(held_[rank].begin());  // a thread's copies arrive in the order in which they began
    --n_held_;
  }
  const Record* holder(uint64_t begin, uint64_t end) const {
    if (n_held_ == 0) return nullptr;
    for (const auto& copies : held_)
      for (const Held& held : copies)
        if (begin < held.source.end && held.source.begin < end) return &held.record;
    return nullptr;
  }

 private:
  struct Range {
    uint64_t begin, end;  // addresses
  };
  struct Held {
    Record record;
    Range source;
  };
  struct Place {
    uint64_t address = 0, block = 0;
    History history;
  };

  /// The place of the address, or the free place where it belongs.
  size_t find(const std::vector<Place>& places, uint64_t address) const {
    const size_t last = places.size() - 1;  // a power of two, minus one
    size_t i = address * 0x9E3779B97F4A7C15u >> 20 & last;
    while (places[i].block == n_blocks_ && places[i].address != address) i = (i + 1) & last;
    return i;
  }
  void grow() {
    std::vector<Place> larger(std::max<size_t>(1024, 2 * places_.size()));
    for (Place& place : places_)
      if (place.block == n_blocks_) larger[find(larger, place.address)] = std::move(place);
    places_ = std::move(larger);
  }

  uint64_t n_blocks_ = 0;
  size_t n_used_ = 0;
  std::vector<Place> places_;
  std::vector<Range> followed_;
  std::vector<std::vector<Held>> held_;  // by rank
  int64_t n_held_ = 0;
};

}  // namespace lastrow::simt
