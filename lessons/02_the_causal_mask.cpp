// Lesson 2: is the causal mask the reason why old rows can be kept?
//
// People often mix two facts. (a) An old query gives a new key the weight 0. (b) Because of that, no old row
// ever changes, in any layer, so the keys and values made from it stay valid. A cache needs fact (b).
//
// You will see   the weights of one head, with exact zeros; old rows before and after a new token, bit by
//                bit; the same without the mask, where the cache goes stale; and a textbook module with a
//                cache and no mask, which is right for one token per call and wrong for a prompt
// Before this    lesson 1
// Open           src/attention/mask.h (bottom-right alignment), src/model/decoder.cpp (one layer feeds the
//                next)
#include <algorithm>
#include <bit>
#include <cmath>

#include "lessons/support/compare.h"
#include "lessons/support/lesson.h"
#include "lessons/support/no_mask.h"

using namespace lastrow;
using namespace lastrow::lessons;

namespace {

enum class Mask { on, off };
using Tokens = std::vector<int32_t>;

/// What the parts of the lesson share.
struct Common {
  Lesson& lesson;
  std::shared_ptr<const Model> model;
  Tokens prompt{}, longer{};  // m tokens; the same tokens and one more
  bool exact = true;          // does this backend sum a row in the same order whatever else is in the step?

  std::unique_ptr<DecodeSession> session(Mask mask) const {
    auto backend = lesson.backend("naive");
    if (mask == Mask::off) backend = without_mask(std::move(backend));
    return std::make_unique<DecodeSession>(
        model, std::move(backend),
        SessionOptions{.record = RecordOptions{.keep = RecordOptions::Keep::all, .probe = true},
                       .cache = lesson.cache()});
  }
  /// All tokens in one call, with an empty cache.
  std::unique_ptr<DecodeSession> whole(const Tokens& tokens, Mask mask) const {
    auto session = this->session(mask);
    session->start(tokens);
    session->advance();
    return session;
  }
  /// The first n tokens in one call, then one token per call, with the cache.
  std::unique_ptr<DecodeSession> stepwise(const Tokens& tokens, size_t n, Mask mask) const {
    auto session = whole({tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n)}, mask);
    for (size_t i = n; i < tokens.size(); ++i) session->advance(tokens[i]);
    return session;
  }
  std::string word(size_t i) const { return model->tokenizer().piece(longer[i]); }
  int n_layers() const { return model->config().n_layers; }
};

/// The old rows of one layer, without and with a new token after them.
struct Aged {
  int64_t rows = 0, same = 0;       // of K, V and the layer's output
  double k = 0, v = 0, hidden = 0;  // how far they moved
  double most() const { return std::max({k, v, hidden}); }
};

std::vector<Aged> aged(const Common& c, Mask mask) {
  const auto before = c.whole(c.prompt, mask), after = c.whole(c.longer, mask);
  const StepTensors old = before->recorder().tensors(0), now = after->recorder().tensors(0);
  std::vector<Aged> layers;
  for (int layer = 0; layer < c.n_layers(); ++layer) {
    const LayerTensors &a = old.layers[layer], &b = now.layers[layer];
    const auto n = static_cast<int64_t>(c.prompt.size());
    layers.push_back({3 * n, equal_rows(a.k, b.k) + equal_rows(a.v, b.v) + equal_rows(a.residual, b.residual),
                      moved(a.k, b.k), moved(a.v, b.v), moved(a.residual, b.residual)});
  }
  return layers;
}

/// (a): the new key's weight for the old queries, over all layers and heads.
bool zero_weights(const Common& c) {
  Screen& screen = c.lesson.screen();
  screen.section("Fact (a): an old query gives a new key the weight 0");
  const auto session = c.whole(c.longer, Mask::on);
  const StepTensors step = session->recorder().tensors(0);
  const auto n = static_cast<int64_t>(c.longer.size()), last = n - 1;
  int64_t zeros = 0, old_cells = 0, alive = 0;
  for (const LayerTensors& layer : step.layers) {
    const std::vector<double> p = numbers(layer.probs);
    for (int64_t i = 0; i + n <= static_cast<int64_t>(p.size()); i += n) {
      const int64_t t = i / n % n;
      if (t == last) continue;
      zeros += std::bit_cast<uint64_t>(p[i + last]) == 0;
      for (int64_t s = 0; s <= t; ++s) alive += p[i + s] > 0;
      old_cells += t + 1;
    }
  }
  const int head = std::min(1, c.model->config().n_q_heads - 1);  // the viewer's script shows it too
  std::vector<std::string> heads = {"query \\ key"};
  std::vector<std::vector<std::string>> rows;
  const std::vector<double> p = numbers(step.layers.back().probs);
  for (int64_t t = 0; t < n; ++t) {
    heads.push_back(c.word(t));
    rows.push_back({c.word(t)});
    for (int64_t s = 0; s < n && !p.empty(); ++s) {
      const double weight = p[(head * n + t) * n + s];
      rows.back().push_back(weight == 0 ? "0" : fmt::format("{:.3f}", weight));
    }
  }
  screen.say(fmt::format("{} has read “{}”. Now “{}” is the new token. The weights of layer {}, head {}:",
                         c.model->config().name, c.model->tokenizer().decode(c.prompt), c.word(last),
                         c.n_layers() - 1, head));
  screen.table(heads, rows);
  screen.say(
      "The last column is the new key. The mask hides it from every old row: its weight there is not just "
      "small, it is exactly 0.");
  const int64_t expected = last * c.n_layers() * c.model->config().n_q_heads;
  c.lesson.figure("zero_weights", static_cast<double>(zeros));
  c.lesson.figure("old_weights", static_cast<double>(old_cells));
  const bool all_zero = c.lesson.require(
      zeros == expected,
      fmt::format("{} of {} weights of the new key in old rows are exactly 0 (all layers and heads)", zeros,
                  expected));
  screen.say(fmt::format(
      "But look at the columns to its left: {1} of the {0} weights of old keys are above 0. Fact (a) says "
      "that the new token adds nothing to old rows. It does not say that we can skip old rows. If something "
      "needs old rows, they must still be computed, with the old queries. What needs them?",
      old_cells, alive));
  return all_zero;
}

/// (b): no old row changes, in any layer, so the cache holds what a new computation would give. `off`: how
/// far the cached logits are from those of a new computation.
bool old_rows_stay(const Common& c, double& off) {
  Screen& screen = c.lesson.screen();
  screen.section("Fact (b): so no old row changes, in any layer");
  screen.say(
      "The next layer needs them: it makes its keys and values from the output rows of the layer below. We "
      "run the old tokens alone, then together with the new one, both with an empty cache. Then we compare "
      "the old rows: K, V, and the output of the layer (hidden). So each layer has 3 rows for each old "
      "token.");
  const std::vector<Aged> layers = aged(c, Mask::on);
  std::vector<std::vector<std::string>> rows;
  int64_t compared = 0, same = 0;
  double most = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    const Aged& layer = layers[i];
    rows.push_back({fmt::format("layer {}", i), share(layer.k), share(layer.v), share(layer.hidden),
                    fmt::format("{} of {}", layer.same, layer.rows)});
    compared += layer.rows, same += layer.same, most = std::max(most, layer.most());
  }
  screen.table({"moved by", "K", "V", "hidden", "old rows with the same bits"}, rows);
  c.lesson.figure("rows_compared", static_cast<double>(compared));
  c.lesson.figure("rows_same_bits", static_cast<double>(same));
  const bool stay = c.lesson.require(
      c.exact ? same == compared : most < kRounding,
      c.exact ? fmt::format("{} of {} old rows are bit-identical after the new token", same, compared)
              : fmt::format("old rows moved by at most {}: another order of summation", share(most)));

  const auto cached = c.stepwise(c.longer, c.prompt.size(), Mask::on), whole = c.whole(c.longer, Mask::on);
  off = moved(whole->logits(), cached->logits());
  c.lesson.figure("cached_logits_off", off);
  screen.say(
      "So they can be kept. With the cache, the next step reads the old K and V and computes only one row. "
      "We compare its logits with those of the whole text computed again:");
  const bool right = c.lesson.require(
      c.exact ? off == 0 : off < kRounding,
      fmt::format("the step on the cache gives the logits of the whole text (largest difference {})",
                  share(off)));
  return stay && right;
}

/// Without (b) a cache goes stale, in every layer above the first. `with_mask`: the difference of the cached
/// logits with the mask.
bool stale_without_mask(const Common& c, double with_mask) {
  Screen& screen = c.lesson.screen();
  screen.section("Without the mask the cache goes stale");
  screen.say(
      "The same weights and tokens, but every query sees every key, as in an encoder. So every old row sees "
      "the new token and changes. How wrong are the cached keys and values now? (Largest change of an old "
      "row, as a share of the largest element.)");
  const std::vector<Aged> layers = aged(c, Mask::off);
  std::vector<Bar> bars;
  double least_above = INFINITY;
  for (size_t i = 0; i < layers.size(); ++i) {
    bars.push_back({fmt::format("layer {}  K", i), layers[i].k, share(layers[i].k)});
    bars.push_back({"         V", layers[i].v, share(layers[i].v)});
    c.lesson.figure(fmt::format("stale_k_layer_{}", i), layers[i].k);
    if (i > 0) least_above = std::min({least_above, layers[i].k, layers[i].v});
  }
  screen.bars(bars, "");
  const double bottom = std::max(layers[0].k, layers[0].v);
  screen.say(
      "Layer 0 stays valid: it makes K and V from the token's embedding alone. Every layer above it goes "
      "stale with every new token.");
  c.lesson.require(bottom < kRounding, "layer 0: K and V did not change");
  if (layers.size() == 1) return true;
  const bool stale =
      c.lesson.require(least_above > kRounding,
                       fmt::format("every layer above: K and V moved by at least {}", share(least_above)));
  const auto cached = c.stepwise(c.longer, c.prompt.size(), Mask::off), whole = c.whole(c.longer, Mask::off);
  const double off = moved(whole->logits(), cached->logits());
  c.lesson.figure("unmasked_cached_logits_off", off);
  const auto piece = [&](int32_t id) { return c.model->tokenizer().piece(id); };
  const std::string next = piece(cached->next_token()), fresh = piece(whole->next_token());
  screen.say(fmt::format(
      "A program that used these stale rows would get logits that are off by {}, and {}. With the "
      "mask the difference was {}.",
      share(off),
      next == fresh ? fmt::format("would still choose “{}” here", next)
                    : fmt::format("would choose “{}” instead of “{}”", next, fresh),
      share(with_mask)));
  return stale && off > kRounding;
}

/// Which output rows of the prompt are wrong without a mask.
struct WrongRows {
  int64_t first = -1;      // the first wrong row in layer 0
  double last_on_top = 0;  // how wrong the last row is in the last layer
};

WrongRows wrong_rows(const Common& c, const DecodeSession& with, const DecodeSession& without) {
  constexpr size_t kMostColumns = 7;
  const StepTensors good = with.recorder().tensors(0), bad = without.recorder().tensors(0);
  std::vector<std::string> heads = {"output of"};
  std::vector<std::vector<std::string>> rows;
  WrongRows found;
  for (int layer = 0; layer < c.n_layers(); ++layer) heads.push_back(fmt::format("layer {}", layer));
  if (heads.size() > kMostColumns) heads.resize(kMostColumns);
  for (size_t t = 0; t < c.prompt.size(); ++t) {
    rows.push_back({fmt::format("row {} “{}”", t, c.word(t))});
    for (int layer = 0; layer < c.n_layers(); ++layer) {
      const auto row = static_cast<int64_t>(t);
      const double wrong =
          moved(good.layers[layer].residual.rows(row, 1), bad.layers[layer].residual.rows(row, 1));
      if (rows.back().size() < heads.size()) rows.back().push_back(share(wrong));
      if (layer == 0 && wrong > kRounding && found.first < 0) found.first = row;
      if (t + 1 == c.prompt.size()) found.last_on_top = wrong;
    }
  }
  c.lesson.screen().table(heads, rows);
  return found;
}

/// A textbook's module: it concatenates K and V, and has no mask.
void textbook_module(const Common& c) {
  Screen& screen = c.lesson.screen();
  screen.section("A textbook module: a cache and no mask");
  screen.line("K = concat(K, k);  V = concat(V, v)");
  screen.line("out = softmax(q · Kᵀ / sqrt(head_dim)) · V");
  screen.say(
      "Many articles print these two lines. If each call brings one token, its query may see every key that "
      "exists, so a mask would change nothing:");
  const auto right = c.stepwise(c.prompt, 1, Mask::on), single = c.stepwise(c.prompt, 1, Mask::off);
  const double one_a_call = moved(right->logits(), single->logits());
  const bool fine =
      c.lesson.require(c.exact ? one_a_call == 0 : one_a_call < kRounding,
                       fmt::format("{} calls of one token: the logits are those with a mask (difference {})",
                                   c.prompt.size(), share(one_a_call)));

  screen.say(
      "If one call brings the whole prompt, each row sees later tokens. How wrong is each output row?");
  const auto with = c.whole(c.prompt, Mask::on), without = c.whole(c.prompt, Mask::off);
  const auto n = static_cast<int64_t>(c.prompt.size());
  const WrongRows rows = wrong_rows(c, *with, *without);
  screen.say(fmt::format(
      "The first wrong row is row {}, in layer 0. There row {} is still right, because the last "
      "query may see every key.{}",
      rows.first, n - 1,
      c.n_layers() == 1 ? ""
                        : " Above layer 0 it is wrong too: it reads keys and values that were made "
                          "from wrong rows. The logits come from this row."));
  const double logits_off = moved(with->logits(), without->logits());
  c.lesson.figure("one_a_call_off", one_a_call);
  c.lesson.figure("first_wrong_row", static_cast<double>(rows.first));
  c.lesson.figure("prompt_logits_off", logits_off);
  const bool wrong = c.lesson.require(
      rows.first == 0 && (c.n_layers() == 1 || (rows.last_on_top > kRounding && logits_off > kRounding)),
      fmt::format("the prompt in one call: the first wrong row is row {}, the logits are off by {}",
                  rows.first, share(logits_off)));
  c.lesson.found(
      {.claim = 28,
       .verdict = Verdict::holds_if,
       .shown = fine && wrong,
       .measured = fmt::format(
           "With a prompt of {} tokens in one call, the first wrong row is row {}, and the logits are "
           "off by {}",
           n, rows.first, share(logits_off)),
       .condition = "each call brings only one token"},
      lacks_layers(*c.model));
}

/// Scores of one step that the mask does not hide, over all layers and heads.
int64_t cells(const DecodeSession& session, int32_t step) {
  int64_t n = 0;
  for (const LayerTensors& layer : session.recorder().tensors(step).layers)
    for (const double score : numbers(layer.scores)) n += std::isfinite(score);
  return n;
}

void lesson_02(Lesson& lesson) {
  Common c{lesson, lesson.model("fable-mha")};
  c.prompt = c.model->tokenizer().encode(Lesson::prompt_for(*c.model));
  const auto generation = c.whole(c.prompt, Mask::on);
  c.exact = generation->backend_info().row_by_row;
  c.longer = c.prompt;
  c.longer.push_back(generation->next_token());
  generation->advance();

  double off = 0;
  const bool zeros = zero_weights(c), stay = old_rows_stay(c, off), stale = stale_without_mask(c, off);
  lesson.found(
      {.claim = 2,
       .verdict = Verdict::holds_if,
       .shown = zeros && stay && stale,
       .measured = fmt::format("With the mask old rows {}; without it they go stale in {} of {} layers",
                               c.exact ? "stay bit-identical" : "stay equal up to rounding", c.n_layers() - 1,
                               c.n_layers()),
       .condition =
           "you add why: old rows never see new tokens, so the K and V that the next layer made stay valid"},
      lacks_layers(*c.model));
  textbook_module(c);

  Screen& screen = lesson.screen();
  screen.section("What it costs: how many scores are computed");
  const auto unmasked = c.whole(c.prompt, Mask::off), again = c.whole(c.longer, Mask::on);
  const auto bar = [](const char* label, int64_t n) { return Bar{label, static_cast<double>(n), ""}; };
  const std::vector<Bar> bars = {bar("prompt, no mask", cells(*unmasked, 0)),
                                 bar("prompt, with mask", cells(*generation, 0)),
                                 bar("next token, all rows again", cells(*again, 0)),
                                 bar("next token, with cache", cells(*generation, 1))};
  screen.bars(bars, "scores");
  screen.say(fmt::format(
      "{} tokens, then one more; all layers and heads. The mask leaves a little more than half of the "
      "square. With the cache only one row of it is left.",
      c.prompt.size()));
  lesson.keep(*generation);
  lesson.try_this(
      {"In NoMask (lessons/support/no_mask.h) remove the mask in layer 0 only (pass it the site). In which "
       "layers are K and V stale then? Why not in layer 0?",
       "Use a window: spec.mask.window = 2 instead of causal = false. Do old rows still stay the same?",
       "Run with --fault mask-top-left. Fact (a) still holds. Which line fails first, and what did the last "
       "query see?"},
      "lesson 3, recompute or cache; and lesson 4, why not queries?");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(argc, argv,
                    {2, "is it the causal mask?",
                     "Why do old rows stay the same when a token is added? Could an encoder use a cache?",
                     "it compares the rows of every position, step by step"},
                    lesson_02);
}
