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

void TwinSession::cancel() {
  cached_.cancel();
  recompute_.cancel();
}

/// Both calls or neither: the cached side, which is fast, goes first and is taken back if the other fails. A
/// cancel that comes while one side runs stops the other.
template <typename OnCached, typename OnRecompute>
void TwinSession::on_both(OnCached on_cached, OnRecompute on_recompute) {
  cached_.cancelled_ = recompute_.cancelled_ = false;
  const DecodeSession::Place before = cached_.place();
  on_cached(cached_);
  try {
    on_recompute(recompute_);
  } catch (...) {
    cached_.return_to(before);
    throw;
  }
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
