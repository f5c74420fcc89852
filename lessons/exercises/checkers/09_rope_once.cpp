// Judged by rope of naive<double> with the decoder's own table.
#include <algorithm>
#include <numbers>

#include "backend/naive.h"
#include "core/random.h"
#include "lessons/exercises/checkers/checker.h"
#include "model/decoder.h"

using namespace lastrow;
using namespace lastrow::exercises;

namespace {

constexpr int32_t kMaxSeqLen = 128;

/// rows [n, head_dim] rotated for the positions first, first + 1, …
std::vector<double> rotated_by_rule(const std::vector<float>& rows, int32_t head_dim, int32_t first) {
  NaiveBackend<double> judge;
  ModelConfig config;
  config.head_dim = head_dim;
  config.max_seq_len = kMaxSeqLen;
  const RopeTable table = make_rope_table(config, judge);
  const int64_t n = static_cast<int64_t>(rows.size()) / head_dim;
  std::vector<int32_t> positions;
  for (int64_t t = 0; t < n; ++t) positions.push_back(first + static_cast<int32_t>(t));
  StepPlan plan;
  plan.tokens.assign(positions.size(), 0);
  plan.positions = positions;
  Batch batch{};
  batch.plan = &plan;
  batch.tokens = plan.tokens.data();
  batch.positions = plan.positions.data();
  std::vector<double> rotated(rows.begin(), rows.end());
  judge.run(Rope{{0, "rope"}, table, batch, TensorView(rotated.data(), Shape{n, 1, head_dim})});
  return rotated;
}

/// The steps of a conversation. Throws Wrong for the first thing that is wrong.
class Conversation {
 public:
  Conversation(int32_t head_dim, bool by_eye)
      : head_dim_(head_dim), by_eye_(by_eye), cache_(int64_t{kMaxSeqLen} * head_dim) {}

  void step(int32_t n_new) {
    const int64_t n = int64_t{n_new} * head_dim_;
    std::vector<float> k_rows(static_cast<size_t>(n), 0.0f), q_rows(k_rows);
    for (size_t i = 0; i < k_rows.size(); ++i) {
      const bool first = i % head_dim_ == 0;
      k_rows[i] = by_eye_ ? (first ? 1.0f : 0.0f) : static_cast<float>(random_.normal());
      q_rows[i] = by_eye_ ? (first ? 1.0f : 0.0f) : static_cast<float>(random_.normal());
    }
    Fenced<float> q(n);
    std::copy(q_rows.begin(), q_rows.end(), q.data());
    rope_step(q.data(), k_rows.data(), n_new, length_, head_dim_, cache_.data());

    const std::vector<double> keys = rotated_by_rule(k_rows, head_dim_, length_);
    expected_.insert(expected_.end(), keys.begin(), keys.end());
    const std::string when =
        fmt::format("step {} ({} {} after {})", n_steps_++, n_new, n_new == 1 ? "token" : "tokens", length_);
    length_ += n_new;
    n_new_ = n_new;
    compare(cache_, expected_, when + ", key of index ", 0);
    compare(q, rotated_by_rule(q_rows, head_dim_, length_ - n_new), when + ", query of position ",
            length_ - n_new);
    for (int64_t i = int64_t{length_} * head_dim_; i < cache_.size(); ++i)
      if (cache_.written(i))
        throw Wrong{fmt::format("{}: k_cache[{}] was written, but only {} rows of {} elements are in use",
                                when, i, length_, head_dim_),
                    "A step writes the rows of its own tokens and no other rows."};
    cache_.require_intact("k_cache");
    q.require_intact("q");
  }

 private:
  /// By how many positions a row (1, 0) was rotated. With head_dim 2 one position is one radian.
  static double position_of(double x, double y) {
    const double angle = std::atan2(y, x);
    return angle < -0.01 ? angle + 2 * std::numbers::pi : angle;
  }

  void compare(const Fenced<float>& actual, const std::vector<double>& expected, const std::string& what,
               int32_t first) const {
    // A rotation rounds its result and the table's cosine and sine: by 1.5 epsilon of a + b.
    constexpr double kBound = 8 * 1.5 * 2 * std::numeric_limits<float>::epsilon();  // |normal| stays below 8
    for (size_t i = 0; i < expected.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      if (std::abs(actual[at] - expected[i]) <= kBound) continue;
      const int64_t row = at / head_dim_;
      if (!by_eye_)
        throw Wrong{fmt::format("head_dim {}, {}{}: [{}] is {}, expected {}", head_dim_, what, first + row,
                                at % head_dim_, shown(actual[at]), shown(expected[i])),
                    "Is it right for several new tokens after others? Each token has its own position."};
      const double yours = position_of(actual[2 * row], actual[2 * row + 1]),
                   rule = position_of(expected[2 * row], expected[2 * row + 1]);
      throw Wrong{
          fmt::format(
              "{}{}: ({:.3f}, {:.3f}), rotated by {:.3g}, expected ({:.3f}, {:.3f}), rotated by {:.3g}", what,
              first + row, actual[2 * row], actual[2 * row + 1], yours, expected[2 * row],
              expected[2 * row + 1], rule),
          hint_for(yours, row, static_cast<int64_t>(expected.size()) / 2, what)};
    }
  }

  std::string hint_for(double yours, int64_t row, int64_t n_rows, const std::string& what) const {
    const bool key = what.find("key") != std::string::npos;
    if (key && row < n_rows - n_new_)
      return "A key in the cache was rotated when it was stored. If every step rotates it again, it moves "
             "away from its position.";
    if (std::abs(yours) < 0.01 && (n_steps_ > 1 || row > 0))
      return n_steps_ > 1 && key
                 ? "In decode the new token is not at position 0: `length` tokens come before it."
                 : "Queries and keys are both rotated, each by the position of its token.";
    return "Positions count from 0: after `length` cached tokens, new token t is at position length + t.";
  }

  int32_t head_dim_;
  bool by_eye_;
  Fenced<float> cache_;
  std::vector<double> expected_;
  Random random_{9};
  int32_t length_ = 0, n_new_ = 0, n_steps_ = 0;  // n_new: of the last step
};

void check_09(Checker& c) {
  Conversation by_eye(2, true);
  c.tries("keys and queries (1, 0): a prefill of 2 tokens");
  by_eye.step(2);
  c.tries("a decode step");
  by_eye.step(1);
  c.tries("another decode step");
  by_eye.step(1);
  c.tries("a step of 2 tokens");
  by_eye.step(2);
  c.tries("head_dim 2, 8, 64 and 80, up to 100 tokens");
  for (const int32_t head_dim : {2, 8, 64, 80}) {
    Conversation conversation(head_dim, false);
    for (const int32_t n_new : {31, 1, 1, 2, 1, 33, 1, 7, 1}) conversation.step(n_new);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_checker(
      argc, argv,
      {9, "RoPE and the cache", "lessons/exercises/09_rope_once.cpp",
       "Now look at attention_block in src/model/decoder.cpp: rope comes before append, so a stored "
       "key never needs another rotation. In which case would a step have to rotate keys again?"},
      check_09);
}
