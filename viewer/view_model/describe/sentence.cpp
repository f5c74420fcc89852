#include "viewer/view_model/describe/sentence.h"

#include <fmt/format.h>

#include "viewer/view_model/describe/strips.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

std::string past_queries(int past) {
  return past == 1 ? "1 past query" : fmt::format("{} past queries", past);
}

/// In a layer below the last. Here all rows of the right side are needed, because the layer above reads them.
std::string lower_layer_sentence(const Snapshot& snapshot, const Selection& at) {
  const int n = snapshot.now->n_tokens, past = n - 1, layer = at.layer;
  switch (at.beat) {
    case Beat::project:
      return fmt::format("① Layer {}: left computes 1 row of Q, K and V; right computes all {} rows again.",
                         layer, n);
    case Beat::append:
      return fmt::format("② Every layer keeps its own K and V. In layer {} left adds one row to each.",
                         layer);
    case Beat::score:
      return fmt::format(
          "③ The last query meets {}. Right also scores {}, because layer {} needs their rows.",
          plural(n, "key"), past_queries(past), layer + 1);
    case Beat::sum:
      return fmt::format(
          "③ Weights times values give output rows. Layer {} needs 1 of them on the left, all {} on "
          "the right.",
          layer + 1, n);
    case Beat::next:
      return fmt::format("④ The layers above do the same. Then only the last row decides: {}.",
                         next_summary(snapshot));
    case Beat::keep:
      return fmt::format(
          "④ Every layer keeps its own K and V; this is layer {}. Right keeps nothing in any layer.", layer);
    default:
      return "";  // nothing differs between layers
  }
}

std::string prefill_sentence(const Snapshot& snapshot, const Selection& at) {
  if (at.beat == Beat::start)
    return fmt::format("Prefill reads {} at once. Neither side has kept anything yet.",
                       plural(snapshot.now->n_tokens, "token"));
  if (at.layer < snapshot.setup->config().n_layers - 1)
    return "Prefill: both sides do the same work; left keeps K and V of every layer.";
  return "Prefill: both sides do the same work; left keeps K and V.";
}

}  // namespace

std::string beat_sentence(const Snapshot& snapshot, const Selection& at) {
  const int n = snapshot.now->n_tokens;
  const int past = n - 1;
  const std::string keys = plural(n, "key");
  if (snapshot.now->prefill()) return prefill_sentence(snapshot, at);
  if (at.layer < snapshot.setup->config().n_layers - 1)
    if (std::string text = lower_layer_sentence(snapshot, at); !text.empty()) return text;
  switch (at.beat) {
    case Beat::start:
      return fmt::format(
          "The input is {}. Left has kept K and V of the {} before it; right has kept nothing.",
          in_quotes(label(snapshot.setup->piece(snapshot.now->tokens.back()))), plural(past, "token"));
    case Beat::project:
      return fmt::format("① Left computes 1 row of Q, K and V; right computes all {} rows again.", n);
    case Beat::append:
      return fmt::format("② Left adds one K row and one V row; {} read from the cache.",
                         past == 1 ? "1 row is" : fmt::format("{} rows are", past));
    case Beat::score:
      return fmt::format("③ The last query meets {}. Right also scores {} again.", keys, past_queries(past));
    case Beat::mask:
      return "③ Keys after a query are masked: weight exactly 0. The last query has no keys after it.";
    case Beat::softmax:
      return "③ Softmax turns the scores of a row into weights that add up to 1.";
    case Beat::sum:
      return "③ Weights times values give the output row. Every past V is needed.";
    case Beat::next:
      return fmt::format("④ Only the last row decides: {}.", next_summary(snapshot));
    case Beat::keep:
      return "④ Left keeps K and V and drops Q; right drops everything and starts again.";
  }
  return "";
}

}  // namespace lastrow::view
