#include "lessons/support/evidence.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "ops/site.h"

namespace lastrow::lessons {
namespace {

double element(const Tensor& x, int64_t i) {
  return x.dtype() == DType::f64 ? x.data<double>()[i] : double{x.data<float>()[i]};
}

int64_t keys_read(const Recorder& recorder, int32_t step, int32_t layer) {
  int64_t n = 0;
  for (const Event& event : recorder.events(step))
    if (event.op == kind_of<Attend> && event.layer == layer)
      for (const RowSpan& span : event.reads)
        if (span.space == RowSpace::k) n += span.count;
  return n;
}

/// RoPE of the head that begins at element `at`: rotates pair i by position · theta^(−2i/head_dim).
std::vector<double> turned(const Tensor& rows, int64_t at, const ModelConfig& config, int32_t position) {
  std::vector<double> out(static_cast<size_t>(config.head_dim));
  const int half = config.head_dim / 2;
  for (int i = 0; i < half; ++i) {
    const bool halves = config.rope_pairing == RopePairing::halves;
    const int a = halves ? i : 2 * i, b = halves ? i + half : 2 * i + 1;
    const double angle = position * std::pow(double{config.rope_theta}, -2.0 * i / config.head_dim);
    const double x = element(rows, at + a), y = element(rows, at + b);
    out[a] = x * std::cos(angle) - y * std::sin(angle);
    out[b] = x * std::sin(angle) + y * std::cos(angle);
  }
  return out;
}

/// f32 rounding changes a rotated element by up to 1e-5.
/// The next position rotates the first pair by a radian more.
constexpr double kSameAngle = 1e-3;

/// The position whose angle rotates row `row` of k_proj into the row of rope_k, in layer 0.
std::optional<int32_t> position_of_angle(const Recorder& recorder, const ModelConfig& config, int32_t step,
                                         int64_t row) {
  const Tensor* before = recorder.find(step, 0, site::kKProj);
  const Tensor* after = recorder.find(step, 0, site::kRopeK);
  if (!before || !after) return {};
  const int64_t at = row * config.n_kv_heads * config.head_dim;
  for (int32_t position = 0; position < config.max_seq_len; ++position) {
    const auto expected = turned(*before, at, config, position);
    double worst = 0;
    for (int d = 0; d < config.head_dim; ++d)
      worst = std::max(worst, std::abs(expected[d] - element(*after, at + d)));
    if (worst < kSameAngle) return position;
  }
  return {};
}

/// The scores [kv_len] of the last query of a sequence, in head 0. Empty if they were not recorded.
std::vector<double> last_scores(const Recorder& recorder, int32_t step, int32_t layer, int32_t sequence) {
  const Tensor* scores = recorder.find(step, layer, recorded::kScores, sequence);
  if (!scores) return {};
  const int64_t kv_len = scores->shape()[2], first = (scores->shape()[1] - 1) * kv_len;
  std::vector<double> last;
  for (int64_t s = 0; s < kv_len; ++s) last.push_back(element(*scores, first + s));
  return last;
}

std::optional<double> score_of_first_key(const std::vector<double>& scores) {
  return scores.empty() ? std::optional<double>{} : scores[0];
}

int64_t n_seen(const std::vector<double>& scores) {
  return std::ranges::count_if(scores, [](double x) { return !std::isinf(x); });
}

/// The sequence of the step that row `row` belongs to.
int32_t sequence_of(const StepPlan& plan, int64_t row) {
  int32_t i = 0;
  while (i + 1 < plan.n_seqs() && plan.q_start[i + 1] <= row) ++i;
  return i;
}

std::string shown(double score) { return std::isinf(score) ? "none" : fmt::format("{:.2f}", score); }

/// "7 (4)": the value, and in brackets that of the healthy run if it differs.
std::string beside(const std::string& actual, const std::string& healthy) {
  return actual == healthy ? actual : fmt::format("{} ({})", actual, healthy);
}

}  // namespace

RecordOptions everything() { return {.keep = RecordOptions::Keep::all, .ops = {"*"}, .probe = true}; }

Evidence compare(const Recorder& healthy, const Recorder& faulty, const ModelConfig& config) {
  Evidence e;
  e.first = first_difference(healthy, faulty);
  if (!e.first) return e;
  const int32_t step = e.first->step, layer = std::max(e.first->layer, 0);
  const StepPlan& plan = healthy.plan(step);
  e.sequence = sequence_of(plan, e.first->row);
  e.position = plan.positions[e.first->row];
  e.keys_read = keys_read(faulty, step, layer);
  e.keys_expected = keys_read(healthy, step, layer);
  if (e.first->op == site::kRopeQ || e.first->op == site::kRopeK)
    e.turned_as = position_of_angle(faulty, config, step, e.first->row);
  const std::vector<double> scores = last_scores(faulty, step, layer, e.sequence),
                            expected = last_scores(healthy, step, layer, e.sequence);
  e.score = score_of_first_key(scores);
  e.score_expected = score_of_first_key(expected);
  e.keys_seen = n_seen(scores);
  e.keys_seen_expected = n_seen(expected);
  return e;
}

Evidence compare(const DecodeSession& healthy, const DecodeSession& faulty) {
  Evidence e = compare(healthy.recorder(), faulty.recorder(), healthy.model().config());
  e.bytes = faulty.storage_bytes();
  e.bytes_expected = healthy.storage_bytes();
  return e;
}

std::vector<std::string> Evidence::head() {
  return {"", "first difference", "row", "keys", "angle of", "k[0] score", "cache KiB"};
}

std::vector<std::string> Evidence::row(const std::string& name) const {
  const std::string kib = beside(fmt::format("{}", bytes / 1024), fmt::format("{}", bytes_expected / 1024));
  if (!first) return {name, "nothing", "", "", "", "", kib};
  return {name,
          first->place(),
          fmt::format("{}", position),
          beside(fmt::format("{}", keys_read), fmt::format("{}", keys_expected)),
          turned_as ? beside(fmt::format("{}", *turned_as), fmt::format("{}", position)) : "",
          score && score_expected ? beside(shown(*score), shown(*score_expected)) : "",
          kib};
}

}  // namespace lastrow::lessons
