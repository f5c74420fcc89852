// Lesson 2: is the causal mask the reason why old rows can be kept?
//
// Two facts are often told as one. (a) An old query gives a new key the weight 0. (b) Because of that, no old
// row ever changes, in any layer, so the keys and values made from it stay valid. Only (b) makes a cache
// right.
//
// You will see   the weights of one head, with exact zeros; old rows before and after a new token, bit by
//                bit; the same with the mask switched off, where the cache goes stale; and a textbook module
//                with a cache and no mask, which is right for one token a call and wrong for a prompt
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

/// What the lesson's runs have in common.
struct Common {
  Lesson& lesson;
  std::shared_ptr<const Model> model;
  Tokens prompt{}, longer{};  // m tokens; the same and one more
  bool exact = true;          // does this backend sum a row in one order, whatever else is in the step?

  std::unique_ptr<DecodeSession> session(Mask mask) const {
    auto backend = lesson.backend("naive");
    if (mask == Mask::off) backend = without_mask(std::move(backend));
    return std::make_unique<DecodeSession>(
        model, std::move(backend),
        SessionOptions{.record = RecordOptions{.keep = RecordOptions::Keep::all, .probe = true}});
  }
  /// All tokens in one call, from nothing.
  std::unique_ptr<DecodeSession> whole(const Tokens& tokens, Mask mask) const {
    auto session = this->session(mask);
    session->start(tokens);
    session->advance();
    return session;
  }
  /// The same tokens, the first n in one call, then one a call, with the cache.
  std::unique_ptr<DecodeSession> stepwise(const Tokens& tokens, size_t n, Mask mask) const {
    auto session = whole({tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n)}, mask);
    for (size_t i = n; i < tokens.size(); ++i) session->advance(tokens[i]);
    return session;
  }
  std::string word(size_t i) const { return model->tokenizer().piece(longer[i]); }
  int n_layers() const { return model->config().n_layers; }
};

/// Old rows in one layer, before and after a token was added behind them.
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
  const int head = c.model->config().n_q_heads - 1;
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
  screen.say(fmt::format("{} has read “{}”; now “{}” is the new token. The weights of layer {}, head {}:",
                         c.model->config().name, c.model->tokenizer().decode(c.prompt), c.word(last),
                         c.n_layers() - 1, head));
  screen.table(heads, rows);
  screen.say(
      "The last column is the new key. The mask has left it out of every old row: its weight there is the "
      "number 0, no bit set, not a small one.");
  const int64_t expected = last * c.n_layers() * c.model->config().n_q_heads;
  c.lesson.figure("zero_weights", static_cast<double>(zeros));
  c.lesson.figure("old_weights", static_cast<double>(old_cells));
  const bool all_zero = c.lesson.require(
      zeros == expected,
      fmt::format("{} of {} weights of the new key in old rows are 0 to the bit (all layers and heads)",
                  zeros, expected));
  screen.say(fmt::format(
      "But look left of that column: of the {} weights that old rows give to old keys {} are above 0. Fact "
      "(a) says that the new token adds nothing to the old rows. It does not say that old rows may be "
      "skipped: someone who needs them still has to compute them, old queries included. Who needs them?",
      old_cells, alive));
  return all_zero;
}

/// (b): no old row changes, in any layer; so the cache holds what a new computation would give. `off`: by how
/// much its logits are not those.
bool old_rows_stay(const Common& c, double& off) {
  Screen& screen = c.lesson.screen();
  screen.section("Fact (b): so no old row changes, in any layer");
  screen.say(
      "A layer makes its keys and values from what the layer below put out, row by row. That is who needs "
      "the old rows: the K and V of the layer above. We run the old tokens alone, then with the new one, "
      "both from nothing, and compare the old rows: K, V, and what the layer puts out (hidden).");
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
      c.exact
          ? fmt::format("{} of {} old rows are bit-identical with the new token behind them", same, compared)
          : fmt::format("old rows moved by {} at most: another order of summation", share(most)));

  const auto cached = c.stepwise(c.longer, c.prompt.size(), Mask::on), whole = c.whole(c.longer, Mask::on);
  off = moved(whole->logits(), cached->logits());
  c.lesson.figure("cached_logits_off", off);
  screen.say(
      "So they can be kept. The cache kept K and V of the old tokens; the next step read them and computed "
      "one row. Its logits against those of the whole text computed again:");
  const bool right = c.lesson.require(
      c.exact ? off == 0 : off < kRounding,
      fmt::format("the step on the cache gives the logits of the whole text (largest difference {})",
                  share(off)));
  return stay && right;
}

/// The counter-example to a cache without (b): does it go stale in every layer that lies above another?
/// `with_mask`: what the cached logits were off by with one.
bool stale_without_mask(const Common& c, double with_mask) {
  Screen& screen = c.lesson.screen();
  screen.section("Switch the mask off, and the cache goes stale");
  screen.say(
      "The same weights, the same tokens, but every query sees every key, as in an encoder. When a token is "
      "added, every old row sees it. How far have the stored keys and values gone wrong?");
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
      "(Largest change of an old row, as a share of the largest element.) Layer 0 is safe: its K and V are "
      "made from the token's embedding alone. Whatever lies above is stale with every new token.");
  c.lesson.require(bottom < kRounding, "layer 0: K and V are as they were");
  if (layers.size() == 1) return true;
  const bool stale =
      c.lesson.require(least_above > kRounding,
                       fmt::format("every layer above: K and V moved, by {} at least", share(least_above)));
  const auto cached = c.stepwise(c.longer, c.prompt.size(), Mask::off), whole = c.whole(c.longer, Mask::off);
  const double off = moved(whole->logits(), cached->logits());
  c.lesson.figure("unmasked_cached_logits_off", off);
  const auto piece = [&](int32_t id) { return c.model->tokenizer().piece(id); };
  const std::string next = piece(cached->next_token()), fresh = piece(whole->next_token());
  screen.say(
      fmt::format("A program that kept them nevertheless would be off by {} in its logits, and {}. With the "
                  "mask that difference was {}.",
                  share(off),
                  next == fresh ? fmt::format("would still say “{}” here", next)
                                : fmt::format("would say “{}” instead of “{}”", next, fresh),
                  share(with_mask)));
  return stale && off > kRounding;
}

/// The layers' output rows of the prompt with a mask and without.
struct WrongRows {
  int64_t first = -1;      // the first that is wrong in layer 0
  double last_on_top = 0;  // how wrong the last one is in the last layer
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

/// A textbook's module: K and V are concatenated, and nobody thought of a mask.
void textbook_module(const Common& c) {
  Screen& screen = c.lesson.screen();
  screen.section("A textbook module: a cache and no mask");
  screen.line("K = concat(K, k);  V = concat(V, v)");
  screen.line("out = softmax(q · Kᵀ / sqrt(head_dim)) · V");
  screen.say(
      "Two lines that many articles print. Fed one token a call, the one query may see every key that there "
      "is, so no mask is missed:");
  const auto right = c.stepwise(c.prompt, 1, Mask::on), single = c.stepwise(c.prompt, 1, Mask::off);
  const double one_a_call = moved(right->logits(), single->logits());
  const bool fine =
      c.lesson.require(c.exact ? one_a_call == 0 : one_a_call < kRounding,
                       fmt::format("{} calls of one token: logits as with a mask (difference {})",
                                   c.prompt.size(), share(one_a_call)));

  screen.say("Fed the prompt in one call, each row sees the tokens behind it. How wrong is each output row?");
  const auto with = c.whole(c.prompt, Mask::on), without = c.whole(c.prompt, Mask::off);
  const auto n = static_cast<int64_t>(c.prompt.size());
  const WrongRows rows = wrong_rows(c, *with, *without);
  screen.say(
      fmt::format("The first wrong row is row {}, in layer 0. Row {} is right there, because the last "
                  "query may see all{}",
                  rows.first, n - 1,
                  c.n_layers() == 1 ? "."
                                    : "; but above layer 0 it reads keys and values made from wrong "
                                      "rows, and the logits come from it."));
  const double logits_off = moved(with->logits(), without->logits());
  c.lesson.figure("one_a_call_off", one_a_call);
  c.lesson.figure("first_wrong_row", static_cast<double>(rows.first));
  c.lesson.figure("prompt_logits_off", logits_off);
  const bool wrong = c.lesson.require(
      rows.first == 0 && (c.n_layers() == 1 || (rows.last_on_top > kRounding && logits_off > kRounding)),
      fmt::format("the prompt in one call: row {} is the first wrong one, logits off by {}", rows.first,
                  share(logits_off)));
  c.lesson.found({.claim = 28,
                  .verdict = Verdict::holds_if,
                  .shown = fine && wrong,
                  .measured = fmt::format(
                      "With a prompt of {} tokens row {} is the first wrong one; the logits are off by {}", n,
                      rows.first, share(logits_off)),
                  .condition = "each call brings one token"},
                 lacks_layers(*c.model));
}

/// Scores that were computed and let through, over all layers and heads of one step.
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
  c.exact = generation->backend_info().name.starts_with("naive");
  c.longer = c.prompt;
  c.longer.push_back(generation->next_token());
  generation->advance();

  double off = 0;
  const bool zeros = zero_weights(c), stay = old_rows_stay(c, off), stale = stale_without_mask(c, off);
  lesson.found(
      {.claim = 2,
       .verdict = Verdict::holds_if,
       .shown = zeros && stay && stale,
       .measured =
           fmt::format("Old rows {} with the mask; without it they go stale in {} of {} layers",
                       c.exact ? "are bit-identical" : "agree to rounding", c.n_layers() - 1, c.n_layers()),
       .condition = "it is told in full: old rows never see new tokens, so K and V above stay valid"},
      lacks_layers(*c.model));
  textbook_module(c);

  Screen& screen = lesson.screen();
  screen.section("What it costs, in scores that are computed");
  const auto unmasked = c.whole(c.prompt, Mask::off), again = c.whole(c.longer, Mask::on);
  const auto bar = [](const char* label, int64_t n) { return Bar{label, static_cast<double>(n), ""}; };
  const std::vector<Bar> bars = {bar("prompt, no mask", cells(*unmasked, 0)),
                                 bar("prompt, masked", cells(*generation, 0)),
                                 bar("next token, all rows again", cells(*again, 0)),
                                 bar("next token, old rows kept", cells(*generation, 1))};
  screen.bars(bars, "scores");
  screen.say(
      fmt::format("{} tokens, then one more, all layers and heads. The mask leaves little more than half "
                  "of the square; keeping old rows leaves one row of it.",
                  c.prompt.size()));
  lesson.keep(*generation);
  lesson.try_this(
      {"In NoMask (lessons/support/no_mask.h) switch the mask off in layer 0 only (pass it the site). Which "
       "layers' K and V are stale then, and why not layer 0's?",
       "Make a window: spec.mask.window = 2 instead of causal = false. Do old rows still stay as they are?",
       "Run with --fault mask-top-left. Fact (a) survives; which line objects, and what did the last query "
       "see?"});
  screen.say("Next: lesson 3, recompute or cache; and lesson 4, why not queries?");
}

}  // namespace

int main(int argc, char** argv) {
  return run_lesson(
      argc, argv,
      {2, "is it the causal mask?",
       "Why can the old rows be left alone when a token is added? Would an encoder have a cache?"},
      lesson_02);
}
