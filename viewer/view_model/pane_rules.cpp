// Which row is in which state at which beat.
#include <fmt/format.h>

#include "viewer/view_model/pane_builder.h"
#include "viewer/view_model/text.h"

namespace lastrow::view {

namespace {

/// The beat that makes the rows of a part.
Beat made_at(Part part) {
  switch (part) {
    case Part::score:
      return Beat::score;
    case Part::weight:
      return Beat::softmax;
    case Part::output:
      return Beat::sum;
    default:
      return Beat::project;
  }
}

constexpr float kFaded = 0.48f;   // after keep / drop: gone, but the last picture can still be read
constexpr float kWaiting = 0.6f;  // in the cache, not read yet

bool is_kv(Part part) { return part == Part::k || part == Part::v; }

}  // namespace

State row_state(const RowRule& row, Beat beat) {
  const bool past = !row.fed;
  if (row.side == Side::cached) {
    if (past) return is_kv(row.part) ? State::from_cache : State::absent;
    return reached(beat, made_at(row.part)) ? State::computed_now : State::not_yet;
  }
  // Without a cache every row is fed in every step; what lay before the step's last row is done again.
  const bool again = !row.prefill && !row.last_row;
  if (!reached(beat, made_at(row.part)))
    return again && made_at(row.part) == Beat::project ? State::absent : State::not_yet;
  if (!again) return State::computed_now;
  // In the last layer only K and V of past rows are of use: nothing above needs their outputs.
  return row.last_layer && !is_kv(row.part) ? State::again_unused : State::again_needed;
}

float row_opacity(const RowRule& row, Beat beat) {
  const bool kept = row.side == Side::cached && is_kv(row.part);
  if (beat == Beat::keep && !kept && row_state(row, beat) != State::absent) return kFaded;
  if (kept && !row.fed && !reached(beat, Beat::append)) return kWaiting;
  return 1;
}

std::string sharing_text(const ModelConfig& config, int kv_head) {
  const int group = config.group_size();
  if (group == 1) return fmt::format("K/V head {}, of query head {} alone", kv_head, kv_head);
  if (config.n_kv_heads == 1)
    return fmt::format("K/V head 0, shared by all {} query heads", config.n_q_heads);
  return fmt::format("K/V head {}, shared by query heads {}", kv_head,
                     range(kv_head * group, (kv_head + 1) * group - 1));
}

std::string layer_text(const ModelConfig& config, int layer) {
  return fmt::format("layer {}{}", layer, layer == config.n_layers - 1 ? " (last)" : "");
}

}  // namespace lastrow::view
