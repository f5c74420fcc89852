#include "viewer/view_model/describe/reads.h"

#include <algorithm>

#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

/// Queries first … last − 1 of one attend.
struct Queries {
  int first = 0, last = 0;
};

/// The number of early rows. All early rows come before all others.
template <typename IsEarly>
int count_early(int n_rows, IsEarly is_early) {
  int low = 0, high = n_rows;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (is_early(middle))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/// The rows of the attend that read the key. A binary search finds them, because the first and the last visible key
/// never move back from one query to the next.
Queries readers_of_key(const AttendRead& r, int position) {
  const int index = r.index_at(position);
  if (index < 0) return {};
  const auto keys = [&](int t) { return visible_keys(r.mask, r.q_len, r.kv_len, t); };
  const int first = count_early(r.q_len, [&](int t) { return keys(t).end <= index; });
  if (index < r.mask.sinks) return {first, r.q_len};
  return {first, count_early(r.q_len, [&](int t) { return keys(t).begin <= index; })};
}

Queries readers_of_query(const AttendRead& r, int position) {
  const int row = position - r.position_of(0);
  return row < 0 || row >= r.q_len ? Queries{} : Queries{row, row + 1};
}

}  // namespace

ReadCount count_reads(const Snapshot& snapshot, Mode side, int layer, Part part, int position) {
  ReadCount out;
  int lowest = 0, highest = -1;
  for (const StepReads& step : snapshot.reads[static_cast<size_t>(side)]) {
    const AttendRead& r = read_in_layer(step, snapshot.setup->config(), layer);
    const Queries q = part == Part::q ? readers_of_query(r, position) : readers_of_key(r, position);
    if (q.first >= q.last) continue;
    const int first = r.position_of(q.first), last = r.position_of(q.last - 1);
    lowest = out.times == 0 ? first : std::min(lowest, first);
    highest = std::max(highest, last);
    out.times += q.last - q.first;
  }
  if (out.times > 0) out.readers = (lowest == highest ? "query " : "queries ") + range(lowest, highest);
  return out;
}

}  // namespace lastrow::view
