#include "session/twin.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "session/transaction.h"

namespace lastrow {
namespace {

SessionOptions with_mode(SessionOptions options, Mode mode) {
  options.mode = mode;
  return options;
}

SessionOptions with_hook(SessionOptions options, AttendHook::Function on_attend) {
  options.on_attend = std::move(on_attend);
  return options;
}

}  // namespace

TwinSession::TwinSession(std::shared_ptr<const Model> model, std::unique_ptr<Backend> for_cached,
                         std::unique_ptr<Backend> for_recompute, SessionOptions options)
    : cached_(model, std::move(for_cached), with_mode(options, Mode::cached)),
      recompute_(std::move(model), std::move(for_recompute), with_mode(options, Mode::recompute)) {}

TwinSession::TwinSession(std::shared_ptr<const Model> model, std::unique_ptr<Backend> for_cached,
                         std::unique_ptr<Backend> for_recompute, SessionOptions options,
                         AttendHook::Function on_attend)
    : cached_(model, std::move(for_cached), with_mode(options, Mode::cached)),
      recompute_(std::move(model), std::move(for_recompute),
                 with_hook(with_mode(options, Mode::recompute), std::move(on_attend))) {}

void TwinSession::start(const std::vector<int32_t>& prompt) {
  cached_.start(prompt);
  recompute_.start(prompt);
}

void TwinSession::start_from(const SavedCache& saved, std::span<const int32_t> new_tokens) {
  cached_.start_from(saved, new_tokens);
  recompute_.start_from(saved, new_tokens);
}

void TwinSession::advance() {
  const bool in_prefill = current_step() + 1 < cached_.n_prefill_steps();
  const int32_t token = in_prefill ? -1 : cached_.next_token();
  DecodeSession::Transaction cached(cached_), recompute(recompute_);
  cached.advance();
  recompute.advance(token);
  cached.keep();
  recompute.keep();
}

void TwinSession::advance(std::span<const int32_t> tokens) {
  DecodeSession::Transaction cached(cached_), recompute(recompute_);
  cached.advance(tokens);
  recompute.advance(tokens);
  cached.keep();
  recompute.keep();
}

void TwinSession::go_to(int32_t step) {
  DecodeSession::Transaction cached(cached_), recompute(recompute_);
  cached.go_to(step);
  recompute.go_to(step);
  cached.keep();
  recompute.keep();
}

void TwinSession::set_pokes(const std::vector<Poke>& pokes) {
  DecodeSession::Transaction cached(cached_), recompute(recompute_);
  cached.set_pokes(pokes);
  recompute.set_pokes(pokes);
  cached.keep();
  recompute.keep();
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
