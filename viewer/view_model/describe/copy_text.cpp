#include "viewer/view_model/describe/copy_text.h"

#include <fmt/format.h>

#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/operands.h"
#include "viewer/view_model/describe/target_text.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

const float* row_of(const Operands& o, Part part) {
  return part == Part::q ? o.q : part == Part::k ? o.k : part == Part::v ? o.v : o.out;
}

std::string value_header(int width) {
  std::string line = "position\ttoken";
  for (int d = 0; d < width; ++d) line += fmt::format("\td{}", d);
  return line + "\n";
}

std::string value_line(const Snapshot& snapshot, int position, const float* x, int width) {
  std::string line = fmt::format("{}\t{}", position, token_label(snapshot, position));
  for (int d = 0; d < width; ++d) line += fmt::format("\t{}", x[d]);
  return line + "\n";
}

CopiedText copy_row(const Snapshot& snapshot, const Selection& at, const Target& target) {
  const int width = snapshot.setup->config().head_dim;
  const Operands o = operands(snapshot, at, target.side, target.row, target.row);
  const float* x = row_of(o, target.part);
  if (x == nullptr) return {"", "", target_line(snapshot, at, {target.side, target.part, target.row, -1})};
  return {value_header(width) + value_line(snapshot, target.row, x, width),
          fmt::format("{}[{}], {}", name_of(target.part), target.row, plural(width, "number")), ""};
}

/// Q, K and V of one token, as far as this side has them.
CopiedText copy_token(const Snapshot& snapshot, const Selection& at, const Target& target) {
  const int width = snapshot.setup->config().head_dim;
  const Operands o = operands(snapshot, at, target.side, target.row, target.row);
  std::string lines, names;
  for (const Part part : {Part::q, Part::k, Part::v}) {
    const float* x = row_of(o, part);
    if (x == nullptr) continue;
    lines += fmt::format("{}\t", name_of(part)) + value_line(snapshot, target.row, x, width);
    names += (names.empty() ? "" : ", ") + std::string(name_of(part));
  }
  if (lines.empty())
    return {"", "", "the rows of this layer are still being computed: wait a moment, then copy again"};
  return {"row\t" + value_header(width) + lines, fmt::format("{} of position {}", names, target.row), ""};
}

/// Scores and weights of query row t, a line for each key that it sees.
CopiedText copy_scores(const Snapshot& snapshot, const Selection& at, Mode side, int t) {
  const Operands o = operands(snapshot, at, side, t, t);
  if (o.scores == nullptr || o.probs == nullptr)
    return {"", "", target_line(snapshot, at, {side, Part::score, t, t})};
  std::string text = "s\ttoken\tscore\tweight\n";
  const std::vector<int> keys = keys_seen(snapshot.now->side(side), at.layer, t);
  for (const int s : keys)
    text += fmt::format("{}\t{}\t{}\t{}\n", s, token_label(snapshot, s), o.scores[s], o.probs[s]);
  return {
      text,
      fmt::format("scores and weights of row {}, {}", t, plural(static_cast<int64_t>(keys.size()), "row")),
      ""};
}

}  // namespace

CopiedText copy_text(const Snapshot& snapshot, const Selection& at, const std::optional<Target>& target) {
  if (!target) return copy_scores(snapshot, at, Mode::cached, snapshot.now->n_tokens - 1);
  switch (target->part) {
    case Part::score:
    case Part::weight:
      return copy_scores(snapshot, at, target->side, target->row);
    case Part::token:
      return copy_token(snapshot, at, *target);
    default:
      return copy_row(snapshot, at, *target);
  }
}

}  // namespace lastrow::view
