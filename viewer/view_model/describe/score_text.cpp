#include "viewer/view_model/describe/score_text.h"

#include <fmt/format.h>

#include <cmath>

#include "viewer/view_model/describe/text.h"

namespace lastrow::view {
namespace {

/// "50·tanh(x / 50) − 0.25 · 3": what is done to x, the scaled product.
std::string finished(const ModelConfig& config, int h, int distance, const std::string& x) {
  const ScoreRule rule = attend_spec(config, 0).score;
  std::string text = x;
  if (rule.soft_cap > 0) text = fmt::format("{0:g}·tanh({1} / {0:g})", rule.soft_cap, x);
  if (rule.alibi_heads > 0) text += fmt::format(" − {:.3g}·{}", rule.slope(h), distance);
  return text;
}

}  // namespace

std::string score_formula(const ModelConfig& config) {
  const ScoreRule rule = attend_spec(config, 0).score;
  std::string formula = fmt::format("q·k / √{}", config.head_dim);
  if (rule.soft_cap > 0) formula += fmt::format(", cap {:g}", rule.soft_cap);
  if (rule.alibi_heads > 0) formula += " − slope · distance";
  return formula;
}

std::string score_line(const ModelConfig& config, int h, int t, int s, int distance, double dot,
                       double score) {
  const ScoreRule rule = attend_spec(config, 0).score;
  const double root = std::sqrt(config.head_dim);
  if (rule.only_scales())
    return fmt::format("q[{}]·k[{}] / √{} = {} / {} = {}", t, s, config.head_dim, number(dot), number(root),
                       number(score));
  return fmt::format("q[{}]·k[{}] / √{} = {}; {} = {}", t, s, config.head_dim, number(dot / root),
                     finished(config, h, distance, number(dot / root)), number(score));
}

std::string score_total(const ModelConfig& config, int h, int distance, double dot, double score) {
  const ScoreRule rule = attend_spec(config, 0).score;
  if (rule.only_scales()) return fmt::format("Σ {} / √{} = {}", number(dot), config.head_dim, number(score));
  const double x = dot / std::sqrt(config.head_dim);
  return fmt::format("Σ {} / √{} = {}; {} = {}", number(dot), config.head_dim, number(x),
                     finished(config, h, distance, number(x)), number(score));
}

}  // namespace lastrow::view
