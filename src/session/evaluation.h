// What a cache that rounds or forgets costs in quality: perplexity, KL divergence and changed tokens, against a
// reference that does neither.
//
//   const Texts texts = {{3, 14, 15}, …};                                     several texts
//   DecodeSession whole(model, make_backend("eigen"), {});                    contiguous, f32
//   const Reference reference = run_reference(whole, texts);                  once
//   DecodeSession tested(model, make_backend("eigen"), {.cache = cache_options("paged", "int8")});
//   const Quality quality = evaluate(tested, texts, reference);               for each cache
//   const Change change = perplexity_change(reference, quality);
//
// Both runs feed one token a step, so a policy that forgets rows between steps does it as in a generation. Each
// text starts with an empty cache. After a token has been fed, its logits predict the next one. So a text of n
// tokens has n − 1 predictions: nothing predicts its first token, and its last one is not fed.
// * Give evaluate() the texts of the reference, in their order, and a session of the same model.
// * A session that was used is started again. What it held before is lost.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "session/session.h"

namespace lastrow {

/// Each text has 2 … context tokens.
using Texts = std::vector<std::vector<int32_t>>;

/// Is called after each step with the number of steps so far, in all texts.
using OnStep = std::function<void(int64_t n_steps)>;

/// The number of predictions of all texts, which is also the number of steps.
int64_t n_predictions(const Texts& texts);

/// How well one run predicts the texts.
struct Prediction {
  std::vector<double> text_nats;  // [n_texts]   Σ −ln p(token) over the predicted tokens of a text
  std::vector<int64_t> text_len;  // [n_texts]   predicted tokens of a text

  int64_t n_tokens() const;
  double nats_per_token() const;
  /// exp(nats_per_token()). A model that knows nothing has the size of its vocabulary.
  double perplexity() const;
};

struct Reference {
  Prediction prediction;
  std::vector<float> logits;  // [n_predictions, vocab_size]   text by text
};

struct Quality {
  Prediction prediction;
  double kl_mean = 0;        // nats a token: the mean of kl_divergence(reference, tested)
  double kl_max = 0;         // the largest
  int32_t kl_max_text = 0;   // its text
  int32_t kl_max_token = 0;  // the index in that text of the token that was predicted
  int64_t n_flips = 0;       // predictions whose most probable token is another one than the reference's
  int64_t most_rows = 0;     // the most rows that a layer held after a step
  int64_t n_saturated = 0;   // elements of K and V that their types could not hold; −1: not counted
};

/// The relative difference of two perplexities: 0.01 is 1 % more than the reference.
struct Change {
  double relative = 0;
  /// Its standard error, which covers only the choice of the texts. It is computed from the spread of the
  /// difference in nats over the texts. None for a single text.
  std::optional<double> error;
};

/// Throws UsageError if there is no text, or a text of less than 2 tokens. Throws as DecodeSession::start does,
/// and Error if a logit is NaN or infinite. `reference` holds 4·vocab_size bytes a prediction: see
/// reference_bytes.
Reference run_reference(DecodeSession& session, const Texts& texts, const OnStep& on_step = {});
int64_t reference_bytes(const Texts& texts, int32_t vocab_size);

/// Throws as run_reference does.
Quality evaluate(DecodeSession& session, const Texts& texts, const Reference& reference,
                 const OnStep& on_step = {});

Change perplexity_change(const Reference& reference, const Quality& quality);

// ---- one prediction. The sums are in double precision.

/// −ln softmax(logits)[token], in nats.
double nats_of(std::span<const float> logits, int32_t token);

/// Σ_i p_i · (ln p_i − ln q_i) in nats, where p is softmax(reference) and q is softmax(tested): the extra
/// nats a token, on average, if q predicts and p is true. It is ≥ 0, also after rounding, and 0 for equal logits.
/// Source: Kullback and Leibler 1951.
double kl_divergence(std::span<const float> reference, std::span<const float> tested);

}  // namespace lastrow
