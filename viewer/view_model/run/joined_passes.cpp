#include "viewer/view_model/run/joined_passes.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace lastrow::view {

namespace {

void append(const Floats& from, std::vector<float>& to) { to.insert(to.end(), from.begin(), from.end()); }

/// rows [keys.size(), width], by index → to [position + 1, width], by position.
void put_rows(const Floats& rows, const std::vector<PlacedRow>& keys, int position, std::vector<float>& to) {
  const size_t width = rows.size() / keys.size();
  to.resize((static_cast<size_t>(position) + 1) * width);
  for (size_t i = 0; i < keys.size(); ++i)
    std::copy_n(rows.begin() + i * width, width,
                to.begin() + int64_t{keys[i].position} * static_cast<int64_t>(width));
}

/// [n_q_heads, position + 1] of each pass → [n_q_heads, n_passes, n_passes].
Floats matrix_of(const std::vector<Floats>& passes, float elsewhere) {
  if (passes.empty()) return {};
  const size_t n = passes.size(),
               n_heads = passes.front().size();  // the first pass has one key
  std::vector<float> matrix(n_heads * n * n, elsewhere);
  for (size_t t = 0; t < n; ++t)
    for (size_t h = 0; h < n_heads; ++h)
      std::copy_n(passes[t].begin() + h * (t + 1), t + 1,
                  matrix.begin() + static_cast<int64_t>((h * n + t) * n));
  return Floats(std::move(matrix));
}

}  // namespace

void JoinedPasses::add(int layer, const LayerData& data, const std::vector<PlacedRow>& keys, int position) {
  const auto i = static_cast<size_t>(layer);
  if (layers_.size() <= i) layers_.resize(i + 1);
  Layer& to = layers_[i];
  to.mask = data.mask;
  to.recorded = data.recorded;
  if (data.recorded) {
    append(data.q, to.q);
    append(data.out, to.out);
    append(data.lse, to.lse);
    put_rows(data.k, keys, position, to.k);
    put_rows(data.v, keys, position, to.v);
    if (!data.stored_k.empty()) put_rows(data.stored_k, keys, position, to.stored_k);
  }
  if (data.scores.empty()) return;
  to.scores.push_back(data.scores);
  to.probs.push_back(data.probs);
}

std::vector<LayerData> JoinedPasses::take_layers(int n_layers) {
  std::vector<LayerData> out(static_cast<size_t>(n_layers));
  for (size_t i = 0; i < layers_.size(); ++i) {
    Layer& from = layers_[i];
    LayerData& to = out[i];
    to.mask = from.mask;
    to.recorded = from.recorded;
    if (from.recorded) {
      to.q = Floats(std::move(from.q));
      to.out = Floats(std::move(from.out));
      to.lse = Floats(std::move(from.lse));
      to.k = Floats(std::move(from.k));
      to.v = Floats(std::move(from.v));
      to.stored_k = Floats(std::move(from.stored_k));
    }
    to.scores = matrix_of(from.scores, -std::numeric_limits<float>::infinity());
    to.probs = matrix_of(from.probs, 0);
  }
  layers_.clear();
  return out;
}

}  // namespace lastrow::view
