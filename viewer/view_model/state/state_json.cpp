#include "viewer/view_model/state/state_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "viewer/view_model/state/cost_json.h"

namespace lastrow::view {

namespace {

using nlohmann::json;

constexpr const char* kStates[] = {"not_yet",    "computed_now", "again_needed", "again_unused",
                                   "from_cache", "masked",       "absent",       "not_stored"};
constexpr const char* kSlots[] = {"free", "held", "written", "freed"};
constexpr const char* kRoles[] = {"prompt", "generated", "input", "next"};
constexpr const char* kTourWaits[] = {"nothing", "reading", "poke", "pause"};
constexpr const char* kLists[] = {"none", "models", "backends", "caches"};
constexpr const char* kSentences[] = {"beat", "tour", "ask", "offer"};

const char* name_of(State s) { return kStates[static_cast<size_t>(s)]; }

/// JSON has no NaN and no ∞, so they become strings.
json value(float x) {
  if (std::isnan(x)) return "NaN";
  if (std::isinf(x)) return x > 0 ? "inf" : "-inf";
  return x;
}

json values(const std::vector<float>& xs) {
  json out = json::array();
  for (float x : xs) out.push_back(value(x));
  return out;
}

json row(const Row& r) {
  json out = {
      {"position", r.position}, {"was", name_of(r.was)}, {"state", name_of(r.is)}, {"opacity", r.opacity}};
  if (r.poked) out["poked"] = true;
  if (r.asked) out["asked"] = true;
  if (r.stored) out["stored"] = true;
  if (r.index >= 0 && r.index != r.position) out["index"] = r.index;
  if (r.not_finite) out["not_finite"] = true;
  if (!r.repeat_text.empty()) out["mark"] = r.repeat_text;
  return out;
}

json rows(const std::vector<Row>& all) {
  json out = json::array();
  for (const Row& r : all) out.push_back(row(r));
  return out;
}

json block(const ValueBlock& b) {
  return {{"title", b.title()},     {"sharing", b.sharing}, {"scale", b.scale.largest},
          {"head_dim", b.head_dim}, {"rows", rows(b.rows)}, {"values", values(b.values)}};
}

json block(const MatrixBlock& b) {
  json cells = json::array();
  for (State s : b.cells) cells.push_back(name_of(s));
  return {{"title", b.title()},   {"scale", b.scale.largest},   {"n", b.n},
          {"rows", rows(b.rows)}, {"values", values(b.values)}, {"cells", cells}};
}

json target(const std::optional<Target>& t) {
  if (!t) return nullptr;
  return {{"side", name_of(t->side)}, {"part", name_of(t->part)}, {"row", t->row}, {"column", t->column}};
}

json pool(const Pool& p) {
  if (p.slots.empty()) return nullptr;
  json slots = json::array();
  for (const SlotCell& cell : p.slots)
    slots.push_back({{"what", kSlots[static_cast<size_t>(cell.what)]},
                     {"position", cell.position},
                     {"reused", cell.reused}});
  return {{"title", p.title}, {"note", p.note}, {"block_len", p.block_len}, {"slots", slots}};
}

json pane(const PaneState& p) {
  json badges = json::array();
  for (const Badge& b : p.badges)
    badges.push_back(
        {{"part", name_of(b.part)}, {"position", b.position}, {"text", b.text}, {"no_effect", b.no_effect}});
  return {{"title", p.title()},
          {"n_tokens", p.n_tokens},
          {"window", {{"first", p.window.first}, {"n", p.window.n}, {"pinned", p.window.pinned}}},
          {"first_new_row", p.first_new_row},
          {"decides_row", p.decides_row},
          {"labels", p.labels},
          {"q", block(p.q)},
          {"k", block(p.k)},
          {"v", block(p.v)},
          {"scores", block(p.scores)},
          {"weights", block(p.weights)},
          {"matrix", name_of(p.matrix)},
          {"bars",
           {{"scores", values(p.bars.scores)},
            {"weights", values(p.bars.weights)},
            {"weight_sum", value(p.bars.weight_sum)}}},
          {"output",
           {{"title", p.output.title}, {"row", row(p.output.row)}, {"values", values(p.output.values)}}},
          {"kept", p.kept},
          {"show_kept", p.show_kept},
          {"forgets", p.forgets},
          {"struck", p.struck},
          {"indices", p.indices},
          {"index_title", p.index_title},
          {"pool", pool(p.pool)},
          {"price", p.price},
          {"beat_note", p.beat_note},
          {"badges", badges},
          {"difference", p.difference}};
}

json next(const NextTokens& n) {
  json out = json::array();
  for (const NextToken& t : n.top)
    out.push_back({{"id", t.id},
                   {"text", t.text},
                   {"logit", value(t.logit)},
                   {"probability", value(t.probability)},
                   {"logit_change", value(t.logit_change)}});
  return out;
}

json inspector(const Inspector& i) {
  const WorkedExample& e = i.example;
  json keys = json::array();
  for (const ExampleKey& k : e.keys)
    keys.push_back({{"name", k.name}, {"score", k.score}, {"weight", k.weight}});
  json out = {{"hovered", target(i.hovered)},
              {"hover_title", i.hover_title},
              {"hover_line", i.hover_line},
              {"example", {{"score", e.score_line}, {"keys", keys}, {"output", e.output_line}}}};
  if (!i.pinned) return out;
  const Pinned& p = *i.pinned;
  json products = json::array(), provenance = json::object();
  for (const Product& x : p.products)
    products.push_back(
        {{"label", x.label}, {"a", value(x.a)}, {"b", value(x.b)}, {"product", value(x.product)}});
  for (const auto& [key, text] : p.provenance) provenance[key] = text;
  out["pinned"] = {{"target", target(p.target)}, {"title", p.title},        {"formula", p.formula},
                   {"products", products},       {"total", value(p.total)}, {"total_text", p.total_text},
                   {"provenance", provenance},   {"reads", p.reads}};
  return out;
}

json heads(const HeadStrip& s) {
  json chips = json::array();
  for (const HeadChip& h : s.heads)
    chips.push_back({{"head", h.head},
                     {"kv_head", h.kv_head},
                     {"selected", h.selected},
                     {"same_group", h.same_group},
                     {"focus", value(h.focus)}});
  return {{"kind", s.kind},
          {"caption", s.caption},
          {"n_q_heads", s.n_q_heads},
          {"n_kv_heads", s.n_kv_heads},
          {"heads", chips}};
}

json tokens(const std::vector<TokenChip>& chips) {
  json out = json::array();
  for (const TokenChip& t : chips)
    out.push_back({{"position", t.position},
                   {"id", t.id},
                   {"text", t.text},
                   {"role", kRoles[static_cast<size_t>(t.role)]}});
  return out;
}

json costs(const std::vector<CostEntry>& entries) {
  json out = json::array();
  for (const CostEntry& c : entries)
    out.push_back(
        {{"name", c.name}, {"with", c.with_value}, {"without", c.without_value}, {"ratio", c.ratio}});
  return out;
}

json comparison(const PokeComparison& c) {
  json sides = json::array();
  for (const SideComparison& side : c.sides) {
    json keys = json::array(), tokens = json::array();
    for (const KeyChange& k : side.keys)
      keys.push_back({{"position", k.position}, {"score", k.score_text}, {"weight", k.weight_text}});
    for (const TokenChange& t : side.tokens)
      tokens.push_back({{"text", t.text}, {"rank", t.rank_text}, {"logit", t.logit_text}});
    sides.push_back({{"side", side.side},
                     {"next", side.next_text},
                     {"logits", side.logits_text},
                     {"keys", keys},
                     {"more_keys", side.more_keys},
                     {"output", side.output_text},
                     {"tokens", tokens}});
  }
  return {{"title", c.title}, {"sides", sides}};
}

json poke_list(const PokeList& list) {
  json entries = json::array();
  for (const PokeEntry& e : list.entries)
    entries.push_back(
        {{"number", e.number}, {"text", e.text}, {"in_force", e.in_force}, {"why_not", e.why_not}});
  return {{"open", list.open},
          {"entries", entries},
          {"undo", list.undo_text},
          {"redo", list.redo_text},
          {"comparison", list.comparison ? comparison(*list.comparison) : json(nullptr)}};
}

json choices(const std::vector<Choice>& all) {
  json out = json::array();
  for (const Choice& c : all)
    out.push_back({{"name", c.name}, {"usable", c.usable}, {"reason", c.reason}, {"selected", c.selected}});
  return out;
}

json prompt_box(const PromptBox& b) {
  if (!b.open) return nullptr;
  json words = json::array();
  for (const PromptWord& w : b.words) {
    json pieces = json::array();
    for (const PromptWord::Piece& p : w.pieces)
      pieces.push_back({{"tokens", p.tokens}, {"spelt", p.spelt}, {"caption", p.caption}});
    words.push_back({{"text", w.text}, {"accepted", w.accepted}, {"pieces", pieces}});
  }
  json groups = json::object();
  for (const WordGroup& g : b.vocabulary) groups[g.initial] = g.words;
  return {{"text", b.text},       {"temperature", b.temperature},
          {"seed", b.seed},       {"error", b.error},
          {"words", words},       {"count", b.count},
          {"can_run", b.can_run}, {"sampling_note", b.sampling_note},
          {"vocabulary", groups}, {"vocabulary_note", b.vocabulary_note},
          {"serial", b.serial}};
}

json file_box(const FileBox& b) {
  if (!b.open) return nullptr;
  json entries = json::array();
  for (const FileBox::Entry& e : b.entries)
    entries.push_back({{"name", e.name}, {"path", e.path}, {"detail", e.detail}});
  return {{"path", b.path}, {"error", b.error}, {"entries", entries}, {"more", b.more}};
}

json spelt_words(const std::vector<SpeltWord>& words) {
  json out = json::array();
  for (const SpeltWord& w : words)
    out.push_back({{"first", w.first}, {"n_tokens", w.n_tokens}, {"text", w.text}});
  return out;
}

}  // namespace

std::string to_json(const ViewState& v) {
  const json out = {
      {"ready", v.ready},
      {"model", v.model},
      {"backend", v.backend},
      {"prompt", v.prompt},
      {"layer", v.layer},
      {"head", v.head},
      {"step", v.transport.step},
      {"last_step", v.transport.last_step},
      {"beat", info(v.transport.beat).word},
      {"playing", v.transport.playing},
      {"banner", v.transport.banner},
      {"tokens", tokens(v.tokens)},
      {"next", {{"cached", next(v.next[0])}, {"recompute", next(v.next[1])}}},
      {"next_visible", v.next_visible},
      {"same_next_token", v.same_next_token},
      {"next_summary", v.next_summary},
      {"sentence",
       {{"text", v.sentence.text},
        {"kind", kSentences[static_cast<size_t>(v.sentence.kind)]},
        {"hint", v.sentence.hint}}},
      {"heads", heads(v.heads)},
      {"panes", {{"cached", pane(v.panes[0])}, {"recompute", pane(v.panes[1])}}},
      {"crosshair", {{"t", v.crosshair.t}, {"s", v.crosshair.s}, {"elbow", v.crosshair.elbow}}},
      {"inspector", inspector(v.inspector)},
      {"poke_menu", v.poke_menu ? json(v.poke_menu->title) : json(nullptr)},
      {"pokes", v.n_pokes},
      {"pokes_text", v.pokes_text},
      {"poke_list", poke_list(v.pokes)},
      {"costs", costs(v.costs)},
      {"tab", v.tab == Tab::cost ? "cost" : "none"},
      {"cost_curves", v.tab == Tab::cost ? cost_json(v.cost_curves) : json(nullptr)},
      {"legend", v.legend.value_scale},
      {"tour",
       {{"offered", v.tour.offered},
        {"active", v.tour.active},
        {"row", v.tour.row},
        {"n_rows", v.tour.n_rows},
        {"waiting", kTourWaits[static_cast<size_t>(v.tour.waiting)]}}},
      {"backends", choices(v.backends)},
      {"notice", v.notice ? json(v.notice->text) : json(nullptr)},
      {"prompt_open", v.prompt_box.open},
      {"prompt_error", v.prompt_box.error},
      {"prompt_box", prompt_box(v.prompt_box)},
      {"file_box", file_box(v.file_box)},
      {"sampling",
       {{"text", v.sampling.text}, {"bars", v.sampling.bars_note}, {"chosen", v.sampling.chosen}}},
      {"spelt_words", spelt_words(v.spelt_words)},
      {"models", choices(v.models)},
      {"caches", choices(v.caches.choices)},
      {"open_choices", kLists[static_cast<size_t>(v.open_choices)]},
      {"notice_kind", v.notice ? json(v.notice->kind == NoticeKind::info ? "info" : "error") : json(nullptr)},
      {"speed", v.transport.speed},
      {"theme", v.theme == Theme::light ? "light" : "dark"},
      {"help_open", v.help_open},
      {"lecture", v.lecture},
      {"clipboard", v.clipboard},
  };
  return out.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace lastrow::view
