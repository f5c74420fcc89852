#include "viewer/view_model/describe/poke_story.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "viewer/view_model/describe/compare.h"
#include "viewer/view_model/describe/key_use.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/poke_effect.h"
#include "viewer/view_model/describe/step_rows.h"
#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

namespace {

/// Half a unit of the last of the three digits that number() prints.
double print_rounding(double x) {
  return x == 0 ? 0 : 0.5 * std::pow(10, std::floor(std::log10(std::fabs(x))) - 2);
}

/// Whether the printed factors give the printed product, within the rounding of the print.
bool is_product(double a, double b, double product) {
  if (!std::isfinite(a) || !std::isfinite(b) || !std::isfinite(product) || product == 0) return false;
  return std::fabs(a * b - product) <= 0.5 * print_rounding(product);
}

std::string when_text(const Poke& poke) {
  return poke.when == Poke::When::now ? "now" : "since its own step";
}

/// The same row with and without the pokes.
struct Pair {
  const float *now = nullptr, *before = nullptr;
  explicit operator bool() const { return now && before; }
};

/// What one poke did on one side, in words. With several pokes: what they changed together.
class Story {
 public:
  Story(const Snapshot& snapshot, Mode side, const Selection& at, const Poke& poke, size_t index)
      : snapshot_(snapshot),
        setup_(*snapshot.setup),
        c_(setup_.config()),
        side_(side),
        now_(snapshot.now->side(side)),
        before_(snapshot.unpoked->side(side)),
        poke_(poke),
        index_(index),
        n_(snapshot.now->n_tokens),
        last_(n_ - 1),
        head_(head_for(at)),
        on_show_(poke.layer == at.layer && head_ == at.head),
        effect_(poke_effect(snapshot, side, at)) {}

  /// What the poke did. Call it only if no other poke is active, because then every change comes from this one.
  std::string text() const {
    if (poke_.what == Poke::What::q) return poke_.position == last_ ? current_query() : past_query();
    return poke_.what == Poke::What::k ? key() : value();
  }
  /// "logits changed by 0.38; next token a → b": what all active pokes changed together.
  std::string logits_phrase() const {
    if (effect_.identical) return "logits bit-identical";
    return fmt::format("logits changed by {}; {}", rough(effect_.logit_change), token_phrase());
  }

 private:
  /// The query head to report on: the head that is shown if the poke changes it,
  /// otherwise the first head it changes.
  int head_for(const Selection& at) const {
    if (poke_.head < 0) return at.head;
    if (poke_.what == Poke::What::q) return poke_.head;
    const int group = c_.group_size();
    return at.head / group == poke_.head ? at.head : poke_.head * group;
  }

  bool last_layer() const { return poke_.layer == c_.n_layers - 1; }
  int reads() const { return index_ < now_.reports.size() ? now_.reports[index_].reads : 0; }

  Pair output_row(int position) const {
    return {out_row(setup_, now_, poke_.layer, head_, position),
            out_row(setup_, before_, poke_.layer, head_, position)};
  }
  double output_change(int position) const {
    const Pair p = output_row(position);
    return p ? largest_change(p.now, p.before, c_.head_dim) : 0;
  }

  std::string token_phrase() const {
    if (effect_.token_before == effect_.token_after) return "next token unchanged";
    return fmt::format("next token {} → {}", label(setup_.piece(effect_.token_before)),
                       label(setup_.piece(effect_.token_after)));
  }
  static std::string sentence(std::string text) {
    if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    return text + ".";
  }

  /// " Logits changed by …."
  std::string and_logits() const { return " " + sentence(logits_phrase()); }

  std::string past_query() const {
    const std::string name = poked_row_name(poke_);
    const int row = poke_.position;
    if (reads() == 0) {
      const std::string text = fmt::format("{} is read 0 times in this step.", name);
      const bool rows_above = poke_.when == Poke::When::since && !last_layer();
      if (!rows_above) return text + and_logits();
      return fmt::format("{} In {} it was read once, for row {} of K and V above.{}", text,
                         step_name(setup_, row), row, and_logits());
    }
    if (last_layer()) {
      const std::string text = fmt::format("Row {} changed by {}", row, rough(output_change(row)));
      return text + (effect_.identical ? ". The last row is bit-identical." : "." + and_logits());
    }
    const std::string text =
        fmt::format("{} {} row {} of layer {}'s K and V.", name,
                    snapshot_.now->prefill() ? "feeds" : "rebuilds", row, poke_.layer + 1);
    return sentence(logits_phrase()) + " " + text;
  }

  std::string current_query() const {
    const PokeEffect other = other_effect();
    if (side_ == Mode::cached || other.identical)
      return fmt::format("This query decides: its output changed by {}.{}", rough(output_change(last_)),
                         and_logits());
    return fmt::format("This query decides: both sides changed, by {} and {}. {}", rough(other.logit_change),
                       rough(effect_.logit_change), sentence(token_phrase()));
  }
  PokeEffect other_effect() const {
    return poke_effect(snapshot_, Mode::cached, {.layer = poke_.layer, .head = head_});
  }

  std::string shared_phrase() const {
    const int group = c_.group_size();
    if (group == 1 || poke_.head < 0) return "";
    return fmt::format(" It reaches query heads {}.",
                       range(poke_.head * group, (poke_.head + 1) * group - 1));
  }
  std::string with_logits(const std::string& text) const {
    return fmt::format("{}; {}.", text, logits_phrase());
  }

  /// What the query that decides makes of the poked row of K or V.
  KeyUse use() const { return key_use(now_, poke_.layer, last_, poke_.position); }
  /// "k[1] is not stored any more, and is read 0 times in this step." Empty if the last row sees it.
  std::string not_seen() const {
    const std::string name = poked_row_name(poke_);
    if (use() == KeyUse::not_stored)
      return fmt::format("{} is not stored any more, and is read 0 times in this step.", name);
    if (use() == KeyUse::masked)
      return fmt::format("{} lies outside the window of row {}, and is read {}× in this step.", name, last_,
                         reads());
    return "";
  }

  std::string key() const {
    if (const std::string text = not_seen(); !text.empty()) return text + and_logits();
    const int s = poke_.position;
    const float* now = prob_row(now_, poke_.layer, head_, last_, n_);
    const float* before = prob_row(before_, poke_.layer, head_, last_, n_);
    std::string text;
    if (poke_.action == Poke::Action::zero) text = "Score 0, not −∞: the token stays visible. ";
    if (now && before)
      text += with_logits(fmt::format("Weight {} → {}, all weights rescaled", rough(double{before[s]}),
                                      rough(double{now[s]})));
    else
      text += sentence(logits_phrase());
    return text + shared_phrase();
  }

  std::string value() const {
    if (const std::string text = not_seen(); !text.empty()) return text + and_logits();
    const std::string factors = output_as_product();
    const double change = output_change(last_);
    if (output_row(last_))
      return with_logits(fmt::format("{} head's output changed by {}", on_show_ ? "This" : "That",
                                     factors.empty() ? rough(change) : factors)) +
             shared_phrase();
    return sentence(logits_phrase()) + shared_phrase();
  }

  /// At the element of v that changed most, the output changes by weight × change. Empty where the
  /// printed factors would not give the printed change.
  std::string output_as_product() const {
    const int s = poke_.position, g = head_ / c_.group_size();
    const float* weight = prob_row(before_, poke_.layer, head_, last_, n_);
    const float* weight_now = prob_row(now_, poke_.layer, head_, last_, n_);
    const Pair v{v_row(setup_, now_, poke_.layer, g, s), v_row(setup_, before_, poke_.layer, g, s)};
    const Pair out = output_row(last_);
    if (!weight || !weight_now || !v || !out || weight[s] != weight_now[s]) return "";
    int d = 0;
    for (int i = 1; i < c_.head_dim; ++i)
      if (std::fabs(v.now[i] - v.before[i]) > std::fabs(v.now[d] - v.before[d])) d = i;
    const double w = double{weight[s]}, change = double{v.now[d]} - double{v.before[d]},
                 product = double{out.now[d]} - double{out.before[d]};
    if (!is_product(w, change, product)) return "";
    return fmt::format("weight × change = {} × {} = {}", number(w), number(change), number(product));
  }

  const Snapshot& snapshot_;
  const Setup& setup_;
  const ModelConfig& c_;
  const Mode side_;
  const SideData &now_, &before_;
  const Poke& poke_;
  const size_t index_;
  const int n_, last_, head_;
  const bool on_show_;  // the head that is reported on
  const PokeEffect effect_;
};

}  // namespace

namespace {

/// "2 pokes now", "3 pokes (2 now, 1 since its own step)"
std::string how_many(const std::vector<Poke>& pokes) {
  const auto now =
      std::count_if(pokes.begin(), pokes.end(), [](const Poke& p) { return p.when == Poke::When::now; });
  const auto since = static_cast<std::ptrdiff_t>(pokes.size()) - now;
  if (since == 0) return fmt::format("{} pokes now", now);
  if (now == 0) return fmt::format("{} pokes since their own steps", since);
  return fmt::format("{} pokes ({} now, {} since {} own step{})", pokes.size(), now, since,
                     since == 1 ? "its" : "their", since == 1 ? "" : "s");
}

}  // namespace

Badge poke_badge(const Snapshot& snapshot, Mode side, const Selection& at) {
  const std::vector<Poke>& pokes = snapshot.now->pokes;
  const Poke& last = pokes.back();
  Badge badge;
  const int group = snapshot.setup->config().group_size();
  const bool shown = last.layer == at.layer &&
                     (last.head < 0 || last.head == (last.what == Poke::What::q ? at.head : at.head / group));
  badge.part = shown ? poked_part(last) : Part::none;
  badge.position = last.position;
  badge.no_effect = poke_effect(snapshot, side, at).identical;
  const Story story(snapshot, side, at, last, pokes.size() - 1);
  if (pokes.size() > 1) {
    badge.text = fmt::format("{}: {}.", how_many(pokes), story.logits_phrase());
    return badge;
  }
  std::string where;
  if (!shown)
    where = fmt::format("{} in layer {}, {} {} · ", poked_row_name(last), last.layer,
                        last.what == Poke::What::q ? "head" : "K/V head", last.head);
  badge.text = fmt::format("{}{} · {}", where, when_text(last), story.text());
  return badge;
}

namespace {

/// The last row, up to `last`, whose query sees the poked row of K or V.
int last_reader(const SideData& side, const Poke& poke, int last) {
  while (last > poke.position && key_use(side, poke.layer, last, poke.position) != KeyUse::seen) --last;
  return last;
}

}  // namespace

std::string poke_difference(const Snapshot& snapshot) {
  const std::vector<Poke>& pokes = snapshot.now->pokes;
  if (pokes.empty() || snapshot.now->prefill()) return "";
  const int last = snapshot.now->n_tokens - 1, n_layers = snapshot.setup->config().n_layers;
  for (auto poke = pokes.rbegin(); poke != pokes.rend(); ++poke) {
    const bool here = poke->when == Poke::When::now && poke->step == snapshot.now->step;
    if (!here || poke->layer == n_layers - 1 || poke->position >= last) continue;
    const bool query = poke->what == Poke::What::q;
    if (query) return fmt::format("right also rebuilt row {} in the layers above", poke->position);
    const int end = last_reader(snapshot.now->side(Mode::recompute), *poke, last);
    return fmt::format("right also rebuilt {} {} in the layers above", end == poke->position ? "row" : "rows",
                       range(poke->position, end));
  }
  return "";
}

std::string pokes_text(const Snapshot& snapshot) {
  std::string text;
  for (const Poke& p : snapshot.now->pokes)
    text += fmt::format("{}{} {} in layer {}, {} {} · {}", text.empty() ? "" : " — ", poked_row_name(p),
                        p.action == Poke::Action::zero ? "zeroed" : "scrambled", p.layer,
                        p.what == Poke::What::q ? "head" : "K/V head", p.head, when_text(p));
  if (snapshot.now->pokes.size() > 1) text = fmt::format("{} pokes: ", snapshot.now->pokes.size()) + text;
  return text;
}

}  // namespace lastrow::view
