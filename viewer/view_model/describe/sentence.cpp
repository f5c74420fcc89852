#include "viewer/view_model/describe/sentence.h"

#include <fmt/format.h>

#include "viewer/view_model/describe/strips.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

std::string beat_sentence(const Snapshot& snapshot, const Selection& at) {
  const int n = snapshot.now->n_tokens;
  const int past = n - 1;
  const bool last_layer = at.layer == snapshot.setup->config().n_layers - 1;
  const std::string keys = plural(n, "key");
  if (snapshot.now->prefill()) {
    if (at.beat == Beat::start)
      return fmt::format("Prefill reads {} at once. Neither side has kept anything yet.", plural(n, "token"));
    return "Prefill: both sides do the same work; left keeps K and V.";
  }
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
      return fmt::format("③ The last query meets {}. Right also scores {} again.", keys,
                         past == 1 ? "1 past query" : fmt::format("{} past queries", past));
    case Beat::mask:
      return "③ Keys after a query are masked: weight exactly 0. The last query has no keys after it.";
    case Beat::softmax:
      return "③ Softmax turns the scores of a row into weights that add up to 1.";
    case Beat::sum:
      return "③ Weights times values give the output row. Every past V is needed.";
    case Beat::next:
      return fmt::format("④ Only the last row decides: {}.", next_summary(snapshot));
    case Beat::keep:
      return last_layer ? "④ Left keeps K and V and drops Q; right drops everything and starts again."
                        : "④ Left also keeps K and V of this layer; right drops everything.";
  }
  return "";
}

}  // namespace lastrow::view
