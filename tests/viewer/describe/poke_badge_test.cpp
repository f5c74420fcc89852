// Several pokes at once: every number in a badge belongs together and is what the run gave.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <regex>

#include "core/random.h"
#include "viewer/view_model/describe/compare.h"
#include "viewer/view_model/describe/poke_story.h"
#include "viewer/view_model/describe/text.h"
#include "viewer/view_model/run/sessions.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

/// A number as the screen spells it.
double parse(std::string text) {
  if (text.starts_with("−")) text = "-" + text.substr(std::string("−").size());
  return std::stod(text);
}

/// Half a unit of the last digit that was printed.
double rounding(const std::string& text) {
  const size_t e = text.find('e'), point = text.find('.');
  const std::string digits = text.substr(0, e);
  const double last = point == std::string::npos ? 0 : -double(digits.size() - point - 1);
  const double exponent = e == std::string::npos ? 0 : std::stod(text.substr(e + 1));
  return 0.5 * std::pow(10, last + exponent);
}

const std::string kNumber = "((?:−)?[0-9]+(?:\\.[0-9]+)?(?:e[-+]?[0-9]+)?)";

/// Checks each "a × b = c" in the text; returns how many there are.
int check_products(const std::string& text) {
  static const std::regex product(kNumber + " × " + kNumber + " = " + kNumber);
  int n = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), product), end; it != end; ++it, ++n) {
    const double a = parse((*it)[1]), b = parse((*it)[2]), c = parse((*it)[3]);
    const double da = rounding((*it)[1]), db = rounding((*it)[2]), dc = rounding((*it)[3]);
    const double allowed = da * std::fabs(b) + db * std::fabs(a) + da * db + 1.1 * dc;
    CHECK_MESSAGE(std::fabs(a * b - c) <= allowed, text);
  }
  return n;
}

/// Checks "logits changed by x" and "next token a → b" against the logits of the run.
void check_logits(const std::string& text, const Snapshot& snapshot, Mode side) {
  const SideData &now = snapshot.now->side(side), &before = snapshot.unpoked->side(side);
  const double change =
      largest_change(now.logits.data(), before.logits.data(), static_cast<int>(now.logits.size()));
  static const std::regex changed("ogits changed by " + kNumber);
  std::smatch match;
  const bool said = std::regex_search(text, match, changed);
  if (said) CHECK_MESSAGE(match[1] == rough(change), text);
  if (text.find("bit-identical") != std::string::npos) CHECK_MESSAGE(same_logits(now, before), text);
  const auto word = [&](int id) { return label(snapshot.setup->piece(id)); };
  const std::string tokens =
      now.next_token == before.next_token
          ? "next token unchanged"
          : fmt::format("next token {} → {}", word(before.next_token), word(now.next_token));
  if (said) CHECK_MESSAGE(text.find(tokens) != std::string::npos, text);
}

Poke poke_of(Poke::What what, int layer, int position, int head, Poke::When when = Poke::When::now) {
  return {
      .what = what, .layer = layer, .position = position, .head = head, .seed = 1, .when = when, .step = 3};
}

Goal goal_with(const std::string& model, std::vector<Poke> pokes) {
  return {model, "the quick brown dog", "eigen", 3, std::move(pokes)};
}

/// A step with pokes. A new run begins without pokes, so the step is first run without them.
class Poked {
 public:
  explicit Poked(std::string model) : model_(std::move(model)) { with({}); }
  Snapshot with(std::vector<Poke> pokes) {
    return *sessions_.reach(goal_with(model_, std::move(pokes))).snapshot;
  }

 private:
  std::string model_;
  Progress progress_;
  Sessions sessions_{progress_};
};

}  // namespace

TEST_CASE("two pokes: the joint change is said, and no factors of one poke beside it") {
  Poked run("fable-mha");
  const Selection at{.layer = 3, .head = 0};
  const Poke v = poke_of(Poke::What::v, 3, 3, 0), k = poke_of(Poke::What::k, 3, 3, 0);
  const Snapshot one = run.with({v});
  CHECK(check_products(poke_badge(one, Mode::cached, at).text) == 1);
  const Snapshot two = run.with({k, v});
  const std::string text = poke_badge(two, Mode::cached, at).text;
  CHECK(text.starts_with("2 pokes now: logits changed by "));
  CHECK(text.find("×") == std::string::npos);
}

TEST_CASE("a badge says now or since its own step") {
  Poked run("fable-mha");
  const Selection at{.layer = 3, .head = 0};
  for (const auto& [when, said] :
       {std::pair{Poke::When::now, "now · "}, std::pair{Poke::When::since, "since its own step · "}}) {
    const Snapshot s = run.with({poke_of(Poke::What::k, 3, 3, 0, when)});
    for (const Mode side : {Mode::cached, Mode::recompute})
      CHECK(poke_badge(s, side, at).text.starts_with(said));
  }
  const Poke now = poke_of(Poke::What::k, 3, 3, 0),
             since = poke_of(Poke::What::v, 3, 2, 0, Poke::When::since);
  CHECK(poke_badge(run.with({now, since}), Mode::cached, at)
            .text.starts_with("2 pokes (1 now, 1 since its own step): logits changed by "));
}

TEST_CASE("any pokes together: each product holds, and each change is the change of the run") {
  int products = 0, several = 0;
  for (const char* model : {"fable-mha", "fable-gqa"}) {
    Poked run(model);
    const ModelConfig c = run.with({}).setup->config();
    Random random(7);
    const auto below = [&](int n) { return static_cast<int>(random.below(static_cast<uint32_t>(n))); };
    for (int round = 0; round < 60; ++round) {
      std::vector<Poke> pokes;
      for (int i = 1 + below(3); i > 0; --i) {
        const auto what = static_cast<Poke::What>(below(3));
        Poke p = poke_of(what, below(c.n_layers), below(7),
                         below(what == Poke::What::q ? c.n_q_heads : c.n_kv_heads),
                         static_cast<Poke::When>(below(2)));
        p.action = static_cast<Poke::Action>(below(2));
        pokes.push_back(p);
      }
      const Snapshot s = run.with(pokes);
      several += pokes.size() > 1;
      // From where the last poke was made, and from anywhere else.
      for (const Selection& at : {Selection{.layer = pokes.back().layer, .head = 0},
                                  Selection{.layer = below(c.n_layers), .head = below(c.n_q_heads)}})
        for (const Mode side : {Mode::cached, Mode::recompute}) {
          const std::string text = poke_badge(s, side, at).text;
          products += check_products(text);
          check_logits(text, s, side);
        }
    }
  }
  CHECK(products > 20);
  CHECK(several > 60);
}
