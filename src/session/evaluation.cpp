#include "session/evaluation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lastrow {
namespace {

/// ln Σ_i exp(x_i).
double log_sum_exp(std::span<const float> x) {
  const double largest = *std::ranges::max_element(x);
  double sum = 0;
  for (const float value : x) sum += std::exp(double{value} - largest);
  return largest + std::log(sum);
}

/// The first of the largest elements.
int64_t argmax(std::span<const float> x) { return std::ranges::max_element(x) - x.begin(); }

void require_finite(const DecodeSession& session, size_t text) {
  if (std::ranges::all_of(session.logits(), [](float x) { return std::isfinite(x); })) return;
  const KvDtypes dtypes = session.options().cache.dtypes();
  throw Error(
      "{}: token {} of text {} gave logits that are NaN or infinite: the weights are damaged or far too "
      "large{}",
      session.model().source(), session.current_step() + 1, text + 1,
      dtypes == KvDtypes{DType::f32} ? ""
                                     : fmt::format(", or {} cannot hold the rows", kv_dtypes_name(dtypes)));
}

void require_predictions(const Texts& texts) {
  if (texts.empty()) throw UsageError("there is no text to predict: give at least one");
  for (size_t i = 0; i < texts.size(); ++i)
    if (texts[i].size() < 2)
      throw UsageError("text {} of {} has {} tokens, so there is none to predict: give at least 2", i + 1,
                       texts.size(), texts[i].size());
}

/// Feeds all texts, one token a step. Calls see(text, t, logits) for each prediction: logits [vocab_size]
/// predict token t of the text.
template <typename See>
Prediction feed(DecodeSession& session, const Texts& texts, const OnStep& on_step, const See& see) {
  Prediction prediction;
  int64_t n_steps = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::vector<int32_t>& text = texts[i];
    double nats = 0;
    session.start({text[0]});
    for (size_t t = 1; t < text.size(); ++t) {
      session.advance(t == 1 ? -1 : text[t - 1]);
      require_finite(session, i);
      nats += nats_of(session.logits(), text[t]);
      see(i, t, session.logits());
      if (on_step) on_step(++n_steps);
    }
    prediction.text_nats.push_back(nats);
    prediction.text_len.push_back(static_cast<int64_t>(text.size()) - 1);
  }
  return prediction;
}

}  // namespace

int64_t n_predictions(const Texts& texts) {
  int64_t n = 0;
  for (const std::vector<int32_t>& text : texts) n += static_cast<int64_t>(text.size()) - 1;
  return n;
}

int64_t Prediction::n_tokens() const { return std::reduce(text_len.begin(), text_len.end()); }

double Prediction::nats_per_token() const {
  return std::accumulate(text_nats.begin(), text_nats.end(), 0.0) / static_cast<double>(n_tokens());
}

double Prediction::perplexity() const { return std::exp(nats_per_token()); }

int64_t reference_bytes(const Texts& texts, int32_t vocab_size) {
  return n_predictions(texts) * vocab_size * static_cast<int64_t>(sizeof(float));
}

Reference run_reference(DecodeSession& session, const Texts& texts, const OnStep& on_step) {
  require_predictions(texts);
  Reference reference;
  reference.logits.reserve(static_cast<size_t>(n_predictions(texts)) *
                           static_cast<size_t>(session.model().config().vocab_size));
  reference.prediction = feed(session, texts, on_step, [&](size_t, size_t, std::span<const float> logits) {
    reference.logits.insert(reference.logits.end(), logits.begin(), logits.end());
  });
  return reference;
}

Quality evaluate(DecodeSession& session, const Texts& texts, const Reference& reference,
                 const OnStep& on_step) {
  require_predictions(texts);
  const auto vocab_size = static_cast<size_t>(session.model().config().vocab_size);
  LASTROW_CHECK(reference.logits.size() == static_cast<size_t>(n_predictions(texts)) * vocab_size,
                "{} reference logits for {} predictions of {}", reference.logits.size(), n_predictions(texts),
                vocab_size);
  Quality quality;
  double kl_sum = 0;
  size_t at = 0;
  quality.prediction =
      feed(session, texts, on_step, [&](size_t text, size_t t, std::span<const float> tested) {
        const auto expected = std::span(reference.logits).subspan(at, vocab_size);
        at += vocab_size;
        const double kl = kl_divergence(expected, tested);
        kl_sum += kl;
        if (kl > quality.kl_max) {
          quality.kl_max = kl;
          quality.kl_max_text = static_cast<int32_t>(text);
          quality.kl_max_token = static_cast<int32_t>(t);
        }
        quality.n_flips += argmax(expected) != argmax(tested) ? 1 : 0;
        const StepRecord& record = session.record();
        quality.most_rows = std::max(quality.most_rows, record.rows_held);
        quality.n_saturated = record.n_saturated < 0 ? -1 : quality.n_saturated + record.n_saturated;
      });
  quality.kl_mean = kl_sum / static_cast<double>(quality.prediction.n_tokens());
  return quality;
}

Change perplexity_change(const Reference& reference, const Quality& quality) {
  const Prediction &a = reference.prediction, &b = quality.prediction;
  LASTROW_CHECK(a.text_len == b.text_len, "{} and {} texts, or texts of other lengths", a.text_len.size(),
                b.text_len.size());
  const auto n_texts = static_cast<double>(a.text_len.size()), n_tokens = static_cast<double>(a.n_tokens());
  const double mean = b.nats_per_token() - a.nats_per_token();
  Change change{.relative = std::expm1(mean), .error = {}};
  if (a.text_len.size() < 2) return change;
  double squares = 0;  // of what a text has more or less than its tokens' share
  for (size_t i = 0; i < a.text_len.size(); ++i) {
    const double rest = b.text_nats[i] - a.text_nats[i] - mean * static_cast<double>(a.text_len[i]);
    squares += rest * rest;
  }
  change.error = std::sqrt(n_texts / (n_texts - 1) * squares) / n_tokens * std::exp(mean);
  return change;
}

double nats_of(std::span<const float> logits, int32_t token) {
  return log_sum_exp(logits) - double{logits[static_cast<size_t>(token)]};
}

double kl_divergence(std::span<const float> reference, std::span<const float> tested) {
  const double lse_p = log_sum_exp(reference), lse_q = log_sum_exp(tested);
  double sum = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    // With x = ln q − ln p, the terms p·(e^x − 1 − x) have the same sum as −p·x, because Σ q = Σ p. No term is
    // negative, so none cancels another.
    const double log_p = double{reference[i]} - lse_p, log_q = double{tested[i]} - lse_q;
    const double p = std::exp(log_p), x = log_q - log_p;
    sum += x < 1 ? p * (std::expm1(x) - x) : std::exp(log_q) - p - p * x;
  }
  return sum;
}

}  // namespace lastrow
