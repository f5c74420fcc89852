#include "session/twin.h"

#include <algorithm>
#include <cmath>

namespace lastrow {
namespace {

SessionOptions with_mode(SessionOptions options, Mode mode) {
  options.mode = mode;
  return options;
}

}  // namespace

TwinSession::TwinSession(std::shared_ptr<const Model> model, std::unique_ptr<Backend> for_cached,
                         std::unique_ptr<Backend> for_recompute, SessionOptions options)
    : cached_(model, std::move(for_cached), with_mode(options, Mode::cached)),
      recompute_(model, std::move(for_recompute), with_mode(options, Mode::recompute)) {}

void TwinSession::start(const std::vector<int32_t>& prompt) {
  cached_.start(prompt);
  recompute_.start(prompt);
}

void TwinSession::advance() {
  const int32_t token = cached_.next_token();  // −1 before the prefill
  on_both([](DecodeSession& cached) { cached.take_step(-1); },
          [token](DecodeSession& recompute) { recompute.take_step(token); });
}

void TwinSession::go_to(int32_t step) {
  const auto repeat = [step](DecodeSession& side) { side.repeat_step(step); };
  on_both(repeat, repeat);
}

void TwinSession::set_pokes(const std::vector<Poke>& pokes) {
  const auto change = [&pokes](DecodeSession& side) { side.change_pokes(pokes); };
  on_both(change, change);
}

/// Both calls or neither.
template <typename OnCached, typename OnRecompute>
void TwinSession::on_both(OnCached on_cached, OnRecompute on_recompute) {
  cached_.begin_change();
  recompute_.begin_change();
  try {
    on_cached(cached_);
    on_recompute(recompute_);
  } catch (...) {
    cached_.undo_change();
    recompute_.undo_change();
    throw;
  }
  cached_.keep_change();
  recompute_.keep_change();
}

float TwinSession::max_abs_logit_diff() const {
  float largest = 0;
  const auto a = cached_.logits(), b = recompute_.logits();
  for (size_t i = 0; i < a.size(); ++i) {
    const float difference = std::abs(a[i] - b[i]);
    if (std::isnan(difference)) return difference;
    largest = std::max(largest, difference);
  }
  return largest;
}

}  // namespace lastrow
