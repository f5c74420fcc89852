// The same generation twice, side by side: with the K/V cache and without it.
//
//   TwinSession twin(model, make_backend("eigen"), make_backend("eigen"), options);
//   twin.start(prompt);
//   twin.advance();               or advance(tokens), go_to, set_pokes, as in DecodeSession
//   twin.max_abs_logit_diff()     what the cache changed
//
// The cached side chooses the tokens, and both sides get the same tokens. So every difference between them
// comes from the cache. The rules are those of DecodeSession. One stop flag cancels both sides.
//
// Invariant: both sides are at the same step of the same tokens under the same pokes. If a call fails or is
// cancelled on one side, it is undone on both.
#pragma once

#include "session/session.h"

namespace lastrow {

class TwinSession {
 public:
  /// Both sides get these options, except the mode. Give two separate backends of the same kind.
  TwinSession(std::shared_ptr<const Model> model, std::unique_ptr<Backend> for_cached,
              std::unique_ptr<Backend> for_recompute, SessionOptions options);
  /// `on_attend` is called for the recompute side, options.on_attend only for the cached side.
  TwinSession(std::shared_ptr<const Model> model, std::unique_ptr<Backend> for_cached,
              std::unique_ptr<Backend> for_recompute, SessionOptions options, AttendHook::Function on_attend);

  void start(const std::vector<int32_t>& prompt);
  /// The cached side loads the rows; the other side computes them from the tokens.
  void start_from(const SavedCache& saved, std::span<const int32_t> new_tokens);
  void advance();
  void advance(std::span<const int32_t> tokens);
  void go_to(int32_t step);
  void set_pokes(const std::vector<Poke>& pokes);

  const DecodeSession& cached() const { return cached_; }
  const DecodeSession& recompute() const { return recompute_; }
  const DecodeSession& side(Mode mode) const { return mode == Mode::cached ? cached_ : recompute_; }
  int32_t current_step() const { return cached_.current_step(); }
  bool same_token() const { return cached_.next_token() == recompute_.next_token(); }
  /// Largest |cached − recompute| over the logits of the current step; NaN if one of them is NaN.
  float max_abs_logit_diff() const;

 private:
  DecodeSession cached_, recompute_;
};

}  // namespace lastrow
