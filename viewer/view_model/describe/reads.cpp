#include "viewer/view_model/describe/reads.h"

#include <algorithm>
#include <ranges>

#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

/// Queries first … last − 1 of one attend.
struct Queries {
  int first = 0, last = 0;
};

/// The rows of the attend that read the key, found by halving: the ends of the keys that a query sees never
/// go back from one query to the next.
Queries readers_of_key(const AttendRead& r, int position) {
  const auto rows = std::views::iota(0, r.q_len);
  const auto keys = [&](int t) { return visible_keys(r.mask, r.q_len, r.kv_len, t); };
  const auto first = std::ranges::partition_point(rows, [&](int t) { return keys(t).end <= position; });
  const auto last = std::ranges::partition_point(rows, [&](int t) { return keys(t).begin <= position; });
  return {static_cast<int>(first - rows.begin()), static_cast<int>(last - rows.begin())};
}

Queries readers_of_query(const AttendRead& r, int position) {
  const int row = position - (r.kv_len - r.q_len);
  return row < 0 || row >= r.q_len ? Queries{} : Queries{row, row + 1};
}

}  // namespace

ReadCount count_reads(const Snapshot& snapshot, Mode side, Part part, int position) {
  ReadCount out;
  int lowest = 0, highest = -1;
  for (const AttendRead& r : snapshot.reads[static_cast<size_t>(side)]) {
    const Queries q = part == Part::q ? readers_of_query(r, position) : readers_of_key(r, position);
    if (q.first >= q.last) continue;
    const int before = r.kv_len - r.q_len;  // positions of earlier steps
    lowest = out.times == 0 ? before + q.first : std::min(lowest, before + q.first);
    highest = std::max(highest, before + q.last - 1);
    out.times += q.last - q.first;
  }
  if (out.times > 0) out.readers = (lowest == highest ? "query " : "queries ") + range(lowest, highest);
  return out;
}

}  // namespace lastrow::view
