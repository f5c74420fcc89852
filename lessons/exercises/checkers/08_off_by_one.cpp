// Runs a session with the answer's plans beside a healthy one,
// and compares each plan with that of ContiguousCache.
#include <algorithm>
#include <numeric>

#include "backend/naive.h"
#include "cache/contiguous_cache.h"
#include "lessons/exercises/checkers/checker.h"
#include "lessons/support/evidence.h"
#include "session/session.h"
#include "trace/faults.h"

using namespace lastrow;
using namespace lastrow::exercises;
using namespace lastrow::lessons;

namespace {

template <typename T>
void compare_field(const std::string& when, const char* name, const std::vector<T>& yours,
                   const std::vector<T>& expected) {
  if (yours.size() != expected.size())
    throw Wrong{
        fmt::format("{}: plan.{} has {} entries, expected {}", when, name, yours.size(), expected.size()),
        "One entry for each new token, or for each sequence: step_plan.h says which."};
  for (size_t i = 0; i < yours.size(); ++i)
    if (yours[i] != expected[i])
      throw Wrong{fmt::format("{}: plan.{}[{}] is {}, expected {}", when, name, i, yours[i], expected[i]),
                  "The new tokens come after the cached tokens. There may be any number of both."};
}

/// Compares field by field. (With wrong sizes the backend would stop the program.)
void compare_plans(const std::string& when, const StepPlan& yours, const StepPlan& expected) {
  compare_field(when, "tokens", yours.tokens, expected.tokens);
  compare_field(when, "positions", yours.positions, expected.positions);
  compare_field(when, "append_slots", yours.append_slots, expected.append_slots);
  compare_field(when, "q_start", yours.q_start, expected.q_start);
  compare_field(when, "kv_len", yours.kv_len, expected.kv_len);
  compare_field(when, "logit_rows", yours.logit_rows, expected.logit_rows);
  compare_field(when, "block_tables", yours.block_tables, expected.block_tables);
}

constexpr int32_t kMaxSeqLen = 40;

/// Compares the answer's plan for n_new tokens after n_cached ones with the plan of the cache.
void compare_step(int32_t n_cached, int32_t n_new) {
  std::vector<int32_t> tokens(static_cast<size_t>(n_cached + n_new));
  std::iota(tokens.begin(), tokens.end(), 100);
  ContiguousCache cache(CacheSpec::contiguous(1, 1, 2, kMaxSeqLen));
  const SequenceInput before{0, std::span(tokens).first(n_cached)},
      now{0, std::span(tokens).subspan(n_cached)};
  if (n_cached > 0) cache.commit(cache.plan({&before, 1}));
  compare_plans(fmt::format("{} {} after {}", n_new, n_new == 1 ? "token" : "tokens", n_cached),
                plan_step(tokens, n_cached, kMaxSeqLen), cache.plan({&now, 1}));
}

bool all_within(const auto& values, int64_t begin, int64_t end) {
  return std::all_of(values.begin(), values.end(), [&](int64_t x) { return begin <= x && x < end; });
}

/// Puts the answer's plan in place of the session's. Throws Wrong if the backend could not run it.
class AnswersPlan {
 public:
  explicit AnswersPlan(int32_t max_seq_len) : max_seq_len_(max_seq_len) {}

  void operator()(StepPlan& plan) {
    const int32_t n_cached = plan.kv_len[0] - plan.n_tokens();
    tokens_.resize(static_cast<size_t>(n_cached));
    tokens_.insert(tokens_.end(), plan.tokens.begin(), plan.tokens.end());
    StepPlan yours = plan_step(tokens_, n_cached, max_seq_len_);
    const bool fits = yours.positions.size() == plan.positions.size() &&
                      yours.append_slots.size() == plan.append_slots.size() && yours.kv_len.size() == 1 &&
                      yours.logit_rows.size() == 1;
    if (!fits || !all_within(yours.positions, 0, max_seq_len_) ||
        !all_within(yours.append_slots, 0, max_seq_len_) || !all_within(yours.kv_len, 1, max_seq_len_ + 1) ||
        !all_within(yours.logit_rows, 0, plan.n_tokens()))
      compare_plans(fmt::format("{} tokens after {}", plan.n_tokens(), n_cached), yours, plan);
    plan.positions = std::move(yours.positions);
    plan.append_slots = std::move(yours.append_slots);
    plan.kv_len = std::move(yours.kv_len);
    plan.logit_rows = std::move(yours.logit_rows);
  }

 private:
  int32_t max_seq_len_;
  std::vector<int32_t> tokens_;  // so far
};

/// A session on the answer's plans, or a healthy one. It generates a text, or replays given tokens.
class Conversation {
 public:
  Conversation(std::shared_ptr<const Model> model, bool by_answer) : model_(std::move(model)) {
    auto backend = std::make_unique<FaultingBackend>(naive_);
    if (by_answer) backend->on_plan(AnswersPlan(model_->config().max_seq_len));
    session_ =
        std::make_unique<DecodeSession>(model_, std::move(backend), SessionOptions{.record = everything()});
  }
  std::string say(int32_t n_tokens) {
    session_->start(prompt());
    for (int32_t i = 0; i <= n_tokens; ++i) session_->advance();
    return model_->tokenizer().decode(session_->tokens());
  }
  /// The prefill and decode steps with the given tokens.
  const DecodeSession& replay(std::span<const int32_t> tokens) {
    session_->start(prompt());
    session_->advance();
    for (size_t i = prompt().size(); i < tokens.size(); ++i) session_->advance(tokens[i]);
    return *session_;
  }
  std::vector<int32_t> tokens() const { return {session_->tokens().begin(), session_->tokens().end()}; }

 private:
  std::vector<int32_t> prompt() const { return model_->tokenizer().encode("the quick brown fox"); }

  std::shared_ptr<const Model> model_;
  NaiveBackend<float> naive_;
  std::unique_ptr<DecodeSession> session_;
};

/// "row 0, element 3 is 0.12, expected 0.3", in the first tensor that differs.
std::string first_element(const DecodeSession& yours, const DecodeSession& healthy,
                          const FirstDifference& at) {
  const Tensor* a = yours.recorder().find(at.step, at.layer, at.op);
  const Tensor* b = healthy.recorder().find(at.step, at.layer, at.op);
  if (!a || !b || a->shape() != b->shape()) return "it has another shape than expected";
  const float *x = a->data<float>(), *y = b->data<float>();
  int64_t i = 0;
  while (i + 1 < a->size() && (x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i])))) ++i;
  const int64_t width = a->size() / a->shape()[0];
  return fmt::format("row {}, element {} is {}, expected {}", i / width, i % width, shown(x[i]), shown(y[i]));
}

/// What attention read in that step and layer, and how the first row that differs was rotated.
std::vector<std::vector<std::string>> evidence_rows(const Evidence& e) {
  const auto score = [](std::optional<double> x) { return x ? fmt::format("{:.3f}", *x) : "none"; };
  std::vector<std::vector<std::string>> rows = {
      {"keys that attention reads", fmt::format("{}", e.keys_read), fmt::format("{}", e.keys_expected)},
      {"score of key 0 with the last query", score(e.score), score(e.score_expected)}};
  if (e.turned_as)
    rows.push_back({"position for which RoPE rotated the row", fmt::format("{}", *e.turned_as),
                    fmt::format("{}", e.position)});
  return rows;
}

void compare_conversation() {
  constexpr int32_t kTokens = 8, kSteps = 3;
  const auto model = load_model("fable-gqa");
  Conversation healthy(model, false), yours(model, true);
  const std::string expected_text = healthy.say(kTokens), text = yours.say(kTokens);
  std::vector<int32_t> tokens = (healthy.say(kSteps), healthy.tokens());
  const DecodeSession &a = healthy.replay(tokens), &b = yours.replay(tokens);
  const Evidence e = lessons::compare(a, b);
  if (!e.first) return;
  throw Wrong{
      fmt::format("{}: {}. {}", e.first->place(), first_element(b, a, *e.first),
                  text == expected_text
                      ? fmt::format("But the text is the same as in a healthy run: “{}”", text)
                      : fmt::format("The text is “{}”, in a healthy run “{}”", text, expected_text)),
      "Lesson 11 explains this evidence. Which line of the plan could cause this difference, and only from "
      "this step on?",
      {fmt::format("layer {}, token {}", std::max(e.first->layer, 0), e.position), "yours", "expected"},
      evidence_rows(e)};
}

void check_08(Checker& c) {
  c.tries("a conversation of a trained model, step by step");
  compare_conversation();
  c.tries("a prefill and a decode step");
  compare_step(0, 4);
  compare_step(4, 1);
  c.tries("several new tokens");
  compare_step(3, 2);
  c.tries("any number of new tokens after any number of cached ones");
  for (int32_t n_cached = 0; n_cached < kMaxSeqLen; ++n_cached)
    for (int32_t n_new = 1; n_cached + n_new <= kMaxSeqLen; ++n_new) compare_step(n_cached, n_new);
}

}  // namespace

int main(int argc, char** argv) {
  return run_checker(
      argc, argv,
      {8, "off by one", "lessons/exercises/08_off_by_one.cpp",
       "A score depends on the distance of two positions. Between generated tokens the distances "
       "were right; only those to the prompt were wrong. Such a bug can stay unnoticed for years. "
       "Now look at ContiguousCache::plan in src/cache/kv_cache.cpp."},
      check_08);
}
