#include "viewer/view_model/describe/pane_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "viewer/view_model/describe/forgetting.h"
#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/needed.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

class PaneText {
 public:
  PaneText(const Snapshot& snapshot, Mode side, const Selection& at)
      : side_(side),
        at_(at),
        snapshot_(snapshot),
        step_(*snapshot.now),
        data_(step_.side(side)),
        config_(snapshot.setup->config()),
        n_(step_.n_tokens) {}

  /// "8 queries meet 8 keys", or with a window "8 queries, each meets ≤ 6 keys".
  std::string meets() const {
    const int queries = data_.q_len, seen = n_keys_seen(data_, at_.layer, n_ - 1);
    if (queries == 1) return fmt::format("1 query meets {}", plural(seen, "key"));
    if (seen < n_) return fmt::format("{}, each meets ≤ {}", plural(queries, "query"), plural(seen, "key"));
    return fmt::format("{} meet {}", plural(queries, "query"), plural(n_, "key"));
  }

  /// Cells of keys that the queries of this step do not see.
  int64_t n_masked() const {
    int64_t n = 0;
    for (int t = data_.first_position; t < n_; ++t)
      n += data_.held(at_.layer).n_keys() - n_keys_seen(data_, at_.layer, t);
    return n;
  }

  std::string keep_note() const {
    if (side_ == Mode::recompute) return "drops everything";
    const std::string evicted = evicted_text(snapshot_, at_.layer);
    return evicted.empty() ? "drops Q and scores" : evicted;
  }

  std::string note() const {
    const bool cached = side_ == Mode::cached;
    const bool alike = step_.prefill();  // both sides feed the whole prompt
    const int past = alike ? 0 : n_ - 1;
    const int queries = data_.q_len;
    switch (at_.beat) {
      case Beat::start:
        if (!cached || alike) return "nothing kept from earlier steps";
        return fmt::format("K and V of {} are in the cache",
                           plural(data_.held(at_.layer).n_keys() - queries, "token"));
      case Beat::project:
        if (cached || alike) return fmt::format("{} of Q, K and V", plural(queries, "row"));
        return fmt::format("{} of Q, K and V, {} of them again", plural(n_, "row"), past);
      case Beat::append:
        if (cached && snapshot_.setup->uses_new_positions() && config_.has_rope())
          return fmt::format("appends K before RoPE, rotates {}",
                             plural(data_.held(at_.layer).n_keys(), "key"));
        return cached ? fmt::format("appends {} and {}", plural(queries, "K row"), plural(queries, "V row"))
                      : "kept for this step only";
      case Beat::score:
        if (!cached && !alike && at_.layer < config_.n_layers - 1 &&
            n_keys_seen(data_, at_.layer, n_ - 1) == n_)
          return fmt::format("all {} are used above", plural(queries, "query"));
        return meets();
      case Beat::mask:
        if (n_masked() == 0) return "no later key to mask";
        return fmt::format("{} masked: weight exactly 0", plural(n_masked(), "cell"));
      case Beat::softmax:
        return queries == 1 ? "scores become weights, Σ = 1" : "every row becomes weights, Σ = 1";
      case Beat::sum:
        return sum_note(queries);
      case Beat::next:
        return fmt::format("{}: {}", n_ < snapshot_.setup->prompt_len ? "would choose" : "next token",
                           in_quotes(label(snapshot_.setup->piece(data_.next_token))));
      case Beat::keep:
        return keep_note();
    }
    return "";
  }

  std::string sum_note(int queries) const {
    if (queries == 1) return "weights × V = the output row";
    if (at_.layer == config_.n_layers - 1) return fmt::format("{} output rows, one is used", n_);
    const int64_t used = needed_above();
    return used == n_ ? fmt::format("{} output rows, all are used above", n_)
                      : fmt::format("{} output rows, {} of them are used above", n_, used);
  }
  /// The output rows that the layers above need. In the prefill the cache keeps K and V of all of them.
  int64_t needed_above() const {
    if (step_.prefill() || side_ == Mode::cached) return n_;
    const std::vector<bool> outputs = needed_rows(data_, at_.layer).outputs;
    return std::count(outputs.begin(), outputs.end(), true);
  }

 private:
  const Mode side_;
  const Selection& at_;
  const Snapshot& snapshot_;
  const StepData& step_;
  const SideData& data_;
  const ModelConfig& config_;
  const int n_;
};

}  // namespace

std::string pane_subtitle(const Snapshot& snapshot, Mode side, const Selection& at) {
  const Setup& setup = *snapshot.setup;
  const std::string dtype = side == Mode::cached ? kv_dtypes_name(setup.cache.dtypes()) : "f32";
  return fmt::format("{}{} · head {} · {}", dtype == "f32" ? "" : dtype + " · ",
                     layer_text(setup.config(), at.layer), at.head, PaneText(snapshot, side, at).meets());
}

std::string beat_note(const Snapshot& snapshot, Mode side, const Selection& at) {
  return PaneText(snapshot, side, at).note();
}

}  // namespace lastrow::view
