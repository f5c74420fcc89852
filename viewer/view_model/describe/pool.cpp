#include "viewer/view_model/describe/pool.h"

#include <fmt/format.h>

#include <algorithm>

#include "viewer/view_model/describe/forgetting.h"
#include "viewer/view_model/describe/held_rows.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

using What = SlotCell::What;

/// "where it lies: 9 slots; 2 sinks, then a ring", "where it lies: 8 slots, used in any order"
std::string title_of(const Setup& setup, int n_slots) {
  const CacheOptions& cache = setup.cache;
  if (cache.kind == "budget")
    return fmt::format("where it lies: {}, used in any order", plural(n_slots, "slot"));
  if (cache.sinks == 0) return fmt::format("where it lies: a ring of {}", plural(n_slots, "slot"));
  return fmt::format("where it lies: {}; {}, then a ring", plural(n_slots, "slot"),
                     plural(cache.sinks, "sink"));
}

/// The rows that the step has written, by the end of the beat.
std::vector<PlacedRow> written_rows(const SideData& s, int layer, Beat beat) {
  if (!reached(beat, Beat::append)) return {};
  const std::vector<PlacedRow>& keys = s.held(layer).keys;
  return {keys.end() - s.q_len, keys.end()};
}

/// The rows that the cache holds at the end of the beat.
std::vector<PlacedRow> held_rows(const SideData& s, int layer, Beat beat) {
  const HeldRows& rows = s.held(layer);
  if (reached(beat, Beat::keep)) return rows.kept;
  if (reached(beat, Beat::append)) return rows.keys;
  return {rows.keys.begin(), rows.keys.end() - s.q_len};
}

std::string tooltip_of(const Setup& setup, int64_t slot, const SlotCell& cell, int index) {
  std::string text = fmt::format("slot {}", slot);
  const int block_len = setup.spec.block_len;
  if (block_len > 1) text += fmt::format(" · row {} of block {}", slot % block_len, slot / block_len);
  switch (cell.what) {
    case What::free:
      return text + " · holds no row";
    case What::freed:
      return text + fmt::format(" · held position {}, which was evicted when this step ended", cell.position);
    default:
      return text + fmt::format(" · holds position {}, index {} of the cache{}{}", cell.position, index,
                                setup.uses_new_positions() ? ", which is its new position" : "",
                                cell.reused ? ", over a row that was forgotten" : "");
  }
}

std::string note_of(const Snapshot& snapshot, const Selection& at, const std::vector<PlacedRow>& written) {
  const std::vector<EvictedRow>& evicted = snapshot.now->side(Mode::cached).held(at.layer).evicted;
  if (reached(at.beat, Beat::keep) && !evicted.empty())
    return evicted.size() == 1 ? fmt::format("slot {} is free again", evicted[0].slot)
                               : fmt::format("{} slots are free again", evicted.size());
  if (written.size() != 1) return "";
  const auto before = last_forgotten_in(snapshot, at.layer, written[0].slot);
  return fmt::format("position {} → slot {}{}", written[0].position, written[0].slot,
                     before ? fmt::format(", where position {} was", *before) : "");
}

}  // namespace

Pool build_pool(const Snapshot& snapshot, const Selection& at) {
  const Setup& setup = *snapshot.setup;
  const SideData& s = snapshot.now->side(Mode::cached);
  Pool pool;
  const int64_t n_slots = setup.spec.n_slots(at.layer);
  if (!forgets(setup, at.layer) || n_slots > kMostSlots || s.held(at.layer).keys.empty()) return pool;
  pool.title = title_of(setup, static_cast<int>(n_slots));
  pool.block_len = setup.spec.block_len;
  pool.slots.resize(static_cast<size_t>(n_slots));
  const std::vector<PlacedRow> held = held_rows(s, at.layer, at.beat),
                               written = written_rows(s, at.layer, at.beat);
  const auto cell = [&](int64_t slot) -> SlotCell& { return pool.slots[static_cast<size_t>(slot)]; };
  for (const PlacedRow& row : held) {
    cell(row.slot).what = What::held;
    cell(row.slot).position = row.position;
  }
  for (const PlacedRow& row : written)
    if (cell(row.slot).position == row.position) {
      cell(row.slot).what = What::written;
      cell(row.slot).reused = last_forgotten_in(snapshot, at.layer, row.slot).has_value();
    }
  if (reached(at.beat, Beat::keep))
    for (const EvictedRow& row : s.held(at.layer).evicted) {
      cell(row.slot).what = What::freed;
      cell(row.slot).position = row.position;
    }
  for (int64_t slot = 0; slot < n_slots; ++slot)
    cell(slot).tooltip = tooltip_of(setup, slot, cell(slot), index_of(held, cell(slot).position));
  pool.note = note_of(snapshot, at, written);
  return pool;
}

}  // namespace lastrow::view
