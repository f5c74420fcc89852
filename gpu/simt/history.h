// Which threads accessed an element of memory since it was last written. Races are found from this (races.h).
#pragma once

#include "gpu/simt/observer.h"
#include "gpu/simt/short_list.h"

namespace lastrow::simt {

struct Record {  // which thread was here, and when
  int32_t rank = -1;
  uint32_t phase = 0;  // how many __syncthreads the block had passed
  uint32_t clock = 0;
  Access access = Access::load;
  Here here{"", 0};
};

struct History {
  Record writer;              // the last one; rank −1: none
  ShortList<Record> readers;  // since the last write or __syncthreads, one per thread

  void clear() {
    writer.rank = -1;
    readers.clear();
  }
  void read(const Record& now) {
    if (!readers.empty() && readers.front().phase < now.phase) readers.clear();
    if (Record* mine = readers.find([&](const Record& reader) { return reader.rank == now.rank; }))
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
