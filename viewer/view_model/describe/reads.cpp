#include "viewer/view_model/describe/reads.h"

#include <set>

#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

ReadCount count_reads(const Snapshot& snapshot, Mode side, Part part, int position) {
  std::set<int> readers;
  ReadCount out;
  for (const AttendRead& r : snapshot.reads[static_cast<size_t>(side)])
    for (int t = 0; t < r.q_len; ++t) {
      const int query = r.kv_len - r.q_len + t;
      const KeyRange keys = visible_keys(r.mask, r.q_len, r.kv_len, t);
      if (part == Part::q ? query != position : position < keys.begin || position >= keys.end) continue;
      readers.insert(query);
      ++out.times;
    }
  if (readers.empty()) return out;
  const std::string noun = readers.size() == 1 ? "query " : "queries ";
  out.readers = noun + range(*readers.begin(), *readers.rbegin());
  return out;
}

}  // namespace lastrow::view
