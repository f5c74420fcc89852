#include "viewer/view_model/poke_story.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "viewer/view_model/inspector.h"
#include "viewer/view_model/text.h"

namespace lastrow::view {

namespace {

const char* letter(Poke::What what) {
  return what == Poke::What::q ? "q" : what == Poke::What::k ? "k" : "v";
}

std::string name_of_row(const Poke& poke) { return fmt::format("{}[{}]", letter(poke.what), poke.position); }

/// A row for comparing: same head, same position, in the step as poked and as it was.
struct Pair {
  const float *now = nullptr, *before = nullptr;
  explicit operator bool() const { return now && before; }
};

/// The story of one poke on one side.
class Story {
 public:
  Story(const Scene& scene, Side side, const Selection& at, const Poke& poke, size_t index)
      : scene_(scene),
        w_(*scene.world),
        c_(w_.config()),
        side_(side),
        now_(scene.now->side(side)),
        before_(scene.unpoked->side(side)),
        poke_(poke),
        index_(index),
        n_(scene.now->n_tokens),
        last_(n_ - 1),
        head_(head_for(at)),
        effect_(poke_effect(scene, side, at)) {}

  std::string text() const {
    if (poke_.position > last_)
      return fmt::format("{} is not there yet in this step. Logits bit-identical.", name_of_row(poke_));
    if (poke_.when == Poke::When::now && poke_.step != scene_.now->step)
      return fmt::format("{} was poked in another step only. Logits bit-identical.", name_of_row(poke_));
    if (poke_.what == Poke::What::q) return poke_.position == last_ ? current_query() : past_query();
    return poke_.what == Poke::What::k ? key() : value();
  }

 private:
  /// The query head whose row is told of: the shown one if the poke reaches it, else the first it reaches.
  int head_for(const Selection& at) const {
    if (poke_.head < 0) return at.head;
    if (poke_.what == Poke::What::q) return poke_.head;
    const int group = c_.group_size();
    return at.head / group == poke_.head ? at.head : poke_.head * group;
  }

  bool last_layer() const { return poke_.layer == c_.n_layers - 1; }
  int reads() const { return index_ < now_.reports.size() ? now_.reports[index_].reads : 0; }

  Pair output_row(int position) const {
    return {out_row(w_, now_, poke_.layer, head_, position),
            out_row(w_, before_, poke_.layer, head_, position)};
  }
  double output_change(int position) const {
    const Pair p = output_row(position);
    return p ? largest_change(p.now, p.before, c_.head_dim) : 0;
  }

  std::string token_phrase() const {
    if (effect_.token_before == effect_.token_after) return "next token unchanged";
    return fmt::format("next token {} → {}", label(w_.piece(effect_.token_before)),
                       label(w_.piece(effect_.token_after)));
  }
  std::string logits_phrase() const {
    if (effect_.identical) return "logits bit-identical";
    return fmt::format("logits changed by {}; {}", rough(effect_.logit_change), token_phrase());
  }
  static std::string sentence(std::string text) {
    if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    return text + ".";
  }

  std::string past_query() const {
    const std::string name = name_of_row(poke_);
    if (reads() == 0) {
      std::string text = fmt::format("{} is read 0 times in this step.", name);
      if (effect_.identical) return text + " Logits bit-identical.";
      return fmt::format("{} It was read once, in {}: row {} of the K and V above came from it. {}", text,
                         step_of_position(w_, poke_.position), poke_.position, sentence(logits_phrase()));
    }
    if (last_layer())
      return fmt::format("Row {} changed by {}. {}", poke_.position, rough(output_change(poke_.position)),
                         effect_.identical ? "The last row is bit-identical." : sentence(logits_phrase()));
    return fmt::format("{} {} {} row {} of layer {}'s K and V.", sentence(logits_phrase()), name,
                       scene_.now->prefill() ? "feeds" : "rebuilds", poke_.position, poke_.layer + 1);
  }

  std::string current_query() const {
    const PokeEffect other = other_effect();
    if (side_ == Side::cached || other.identical)
      return fmt::format("This row asks the question: its output changed by {}. {}",
                         rough(output_change(last_)), sentence(logits_phrase()));
    return fmt::format("This row asks the question: both sides changed, by {} and {}. {}",
                       rough(other.logit_change), rough(effect_.logit_change), sentence(token_phrase()));
  }
  PokeEffect other_effect() const {
    const Selection at{
        .layer = poke_.layer, .head = head_, .beat = Beat::keep, .hovered = {}, .pinned = {}, .asked = {}};
    return poke_effect(scene_, Side::cached, at);
  }

  std::string shared_phrase() const {
    const int group = c_.group_size();
    if (group == 1 || poke_.head < 0) return "";
    return fmt::format(" It reaches query heads {}.",
                       range(poke_.head * group, (poke_.head + 1) * group - 1));
  }

  std::string key() const {
    const int s = poke_.position;
    const float* now = prob_row(w_, now_, poke_.layer, head_, last_, n_);
    const float* before = prob_row(w_, before_, poke_.layer, head_, last_, n_);
    std::string text;
    if (poke_.action == Poke::Action::zero) text = "Score 0, not −∞: the token stays visible. ";
    if (now && before)
      text += fmt::format("Weight {} → {}, all weights rescaled; {}.", rough(double{before[s]}),
                          rough(double{now[s]}), logits_phrase());
    else
      text += sentence(logits_phrase());
    return text + shared_phrase();
  }

  std::string value() const {
    const int s = poke_.position, g = head_ / c_.group_size();
    const float* weight = prob_row(w_, before_, poke_.layer, head_, last_, n_);
    const Pair v{v_row(w_, now_, poke_.layer, g, s), v_row(w_, before_, poke_.layer, g, s)};
    const Pair out = output_row(last_);
    std::string text;
    if (weight && v && out) {
      // The element of v that changed most; the output's change there is weight × change.
      int d = 0;
      for (int i = 1; i < c_.head_dim; ++i)
        if (std::fabs(v.now[i] - v.before[i]) > std::fabs(v.now[d] - v.before[d])) d = i;
      text = fmt::format("This head's output changed by weight × change = {} × {} = {}; {}.",
                         number(double{weight[s]}), number(double{v.now[d] - v.before[d]}),
                         number(double{out.now[d] - out.before[d]}), logits_phrase());
    } else {
      text = sentence(logits_phrase());
    }
    return text + shared_phrase();
  }

  const Scene& scene_;
  const World& w_;
  const ModelConfig& c_;
  const Side side_;
  const SideData &now_, &before_;
  const Poke& poke_;
  const size_t index_;
  const int n_, last_, head_;
  const PokeEffect effect_;
};

}  // namespace

Part part_of(const Poke& poke) {
  return poke.what == Poke::What::q ? Part::q : poke.what == Poke::What::k ? Part::k : Part::v;
}

Poke to_poke(const PokeRow& row, const Scene& scene, const Selection& at) {
  Poke poke;
  poke.what = row.part == Part::q ? Poke::What::q : row.part == Part::k ? Poke::What::k : Poke::What::v;
  poke.layer = at.layer;
  poke.position = row.position;
  poke.head = row.part == Part::q ? at.head : at.head / scene.world->config().group_size();
  poke.action = row.action == PokeAction::zero ? Poke::Action::zero : Poke::Action::scramble;
  poke.seed = 1;
  poke.when = row.scope == PokeScope::since ? Poke::When::since : Poke::When::now;
  poke.step = scene.now->step;
  return poke;
}

PokeEffect poke_effect(const Scene& scene, Side side, const Selection& at) {
  const World& w = *scene.world;
  const SideData& now = scene.now->side(side);
  const SideData& before = scene.unpoked->side(side);
  PokeEffect e;
  e.identical = same_logits(now, before);
  e.logit_change = largest_change(now.logits.data(), before.logits.data(),
                                  static_cast<int>(std::min(now.logits.size(), before.logits.size())));
  e.token_after = now.next_token;
  e.token_before = before.next_token;
  const int last = scene.now->n_tokens - 1;
  const float* a = out_row(w, now, at.layer, at.head, last);
  const float* b = out_row(w, before, at.layer, at.head, last);
  if (a && b) e.output_change = largest_change(a, b, w.config().head_dim);
  return e;
}

Badge poke_badge(const Scene& scene, Side side, const Selection& at) {
  const std::vector<Poke>& pokes = scene.now->pokes;
  const Poke& last = pokes.back();
  Badge badge;
  const int group = scene.world->config().group_size();
  const bool shown = last.layer == at.layer &&
                     (last.head < 0 || last.head == (last.what == Poke::What::q ? at.head : at.head / group));
  badge.part = shown ? part_of(last) : Part::none;
  badge.position = last.position;
  badge.text = Story(scene, side, at, last, pokes.size() - 1).text();
  badge.no_effect = poke_effect(scene, side, at).identical;
  if (pokes.size() > 1) badge.text = fmt::format("All {} pokes together. ", pokes.size()) + badge.text;
  if (!shown)
    badge.text = fmt::format("{} in layer {}, {} {}: ", name_of_row(last), last.layer,
                             last.what == Poke::What::q ? "head" : "K/V head", last.head) +
                 badge.text;
  return badge;
}

std::string poke_difference(const Scene& scene) {
  const std::vector<Poke>& pokes = scene.now->pokes;
  if (pokes.empty() || scene.now->prefill()) return "";
  const int last = scene.now->n_tokens - 1, n_layers = scene.world->config().n_layers;
  for (auto poke = pokes.rbegin(); poke != pokes.rend(); ++poke) {
    const bool here = poke->when == Poke::When::now && poke->step == scene.now->step;
    if (!here || poke->layer == n_layers - 1 || poke->position >= last) continue;
    const bool query = poke->what == Poke::What::q;
    return query ? fmt::format("right also rebuilt row {} above from it", poke->position)
                 : fmt::format("right also rebuilt rows {} above from it", range(poke->position, last));
  }
  return "";
}

std::string pokes_text(const Scene& scene) {
  std::string text;
  for (const Poke& p : scene.now->pokes)
    text += fmt::format("{}{} {} in layer {}, {} {} · {}", text.empty() ? "" : " — ", name_of_row(p),
                        p.action == Poke::Action::zero ? "zeroed" : "scrambled", p.layer,
                        p.what == Poke::What::q ? "head" : "K/V head", p.head,
                        p.when == Poke::When::now ? "now" : "since its own step");
  if (scene.now->pokes.size() > 1) text = fmt::format("{} pokes: ", scene.now->pokes.size()) + text;
  return text;
}

PokeMenu poke_menu(const Scene& scene, const Selection& at, const Target& target) {
  PokeMenu menu;
  menu.target = target;
  const ModelConfig& c = scene.world->config();
  const Target row{target.side, target.part, target.row, -1};
  // K and V: the head's name with all who share it, for the poke reaches them too.
  menu.title = target.part == Part::q
                   ? target_title(scene, at, row)
                   : fmt::format("{} · {}", target_title(scene, at, row, /*with_head=*/false),
                                 sharing_text(c, at.head / c.group_size()));
  const auto add = [&](const char* text, const char* tip, PokeAction action, PokeScope scope) {
    menu.entries.push_back({text, tip, true, "", PokeRow{target.part, target.row, action, scope}});
  };
  add("Scramble now", "Noise of the row's size, in this step only.", PokeAction::scramble, PokeScope::now);
  add("Zero now", "All zeros, in this step only.", PokeAction::zero, PokeScope::now);
  add("Scramble since its own step", "Noise from the step that made the row; all steps since are run again.",
      PokeAction::scramble, PokeScope::since);
  add("Zero since its own step", "Zeros from the step that made the row; all steps since are run again.",
      PokeAction::zero, PokeScope::since);
  const Poke here = to_poke({target.part, target.row, PokeAction::scramble, PokeScope::now}, scene, at);
  const bool poked = std::any_of(scene.now->pokes.begin(), scene.now->pokes.end(), [&](const Poke& p) {
    return p.what == here.what && p.layer == here.layer && p.position == here.position && p.head == here.head;
  });
  menu.entries.push_back({"Restore", "Undo what was done to this row.", poked,
                          poked ? "" : "this row is not poked", RestoreRow{target.part, target.row}});
  menu.entries.push_back({"Restore all", "Undo every poke.", !scene.now->pokes.empty(),
                          scene.now->pokes.empty() ? "nothing is poked" : "", RestoreAll{}});
  return menu;
}

}  // namespace lastrow::view
