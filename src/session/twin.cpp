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
  const int32_t before = cached_.current_step();
  const int32_t token = cached_.next_token();  // −1 before the prefill
  cached_.advance();
  try {
    recompute_.advance(token);
  } catch (...) {
    if (before >= 0) cached_.go_to(before);
    throw;
  }
}

void TwinSession::go_to(int32_t step) {
  const int32_t before = cached_.current_step();
  cached_.go_to(step);
  try {
    recompute_.go_to(step);
  } catch (...) {
    if (before >= 0) cached_.go_to(before);
    throw;
  }
}

void TwinSession::set_pokes(const std::vector<Poke>& pokes) {
  const std::vector<Poke> before(cached_.pokes().begin(), cached_.pokes().end());
  cached_.set_pokes(pokes);
  try {
    recompute_.set_pokes(pokes);
  } catch (...) {
    cached_.set_pokes(before);
    throw;
  }
}

void TwinSession::cancel() {
  cached_.cancel();
  recompute_.cancel();
}

float TwinSession::max_abs_logit_diff() const {
  float largest = 0;
  const auto a = cached_.logits(), b = recompute_.logits();
  for (size_t i = 0; i < a.size(); ++i) {
    const float difference = std::abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference;  // NaN is taken over, too
  }
  return largest;
}

}  // namespace lastrow
