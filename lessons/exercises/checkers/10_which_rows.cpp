// Judged by a real run: a decoder is traced, and the checker follows the
// last logits back to the rows on which they depend.
#include <algorithm>
#include <numeric>
#include <set>

#include "backend/naive.h"
#include "cache/contiguous_cache.h"
#include "lessons/exercises/checkers/checker.h"
#include "model/decoder.h"
#include "ops/site.h"
#include "trace/dependence.h"
#include "trace/tracing.h"

using namespace lastrow;
using namespace lastrow::exercises;

namespace {

constexpr int32_t kMaxSeqLen = 16;

/// A small decoder with random weights, traced.
class Traced {
 public:
  explicit Traced(int32_t n_layers)
      : model_(random_model(
            fmt::format("random:layers={},q_heads=4,kv_heads=2,head_dim=8,ffn=16,vocab=50,context={}",
                        n_layers, kMaxSeqLen))),
        cache_(CacheSpec::contiguous(n_layers, 2, 8, kMaxSeqLen)),
        storage_(tracing_.make_storage(cache_.spec())) {}

  void step(int32_t first, int32_t n_new) {
    std::vector<int32_t> tokens(static_cast<size_t>(n_new));
    std::iota(tokens.begin(), tokens.end(), first);
    const SequenceInput input{0, tokens};
    const StepPlan& plan = cache_.plan({&input, 1});
    decoder_.forward(tracing_, tracing_.begin_step(plan, *storage_), *storage_, workspace_);
    cache_.commit(plan);
  }

  /// Which rows of an operation's output, in this layer and in the latest step, the logits depend on.
  RowRange needed(int32_t layer, std::string_view op, int32_t n_cached) {
    const int32_t step = recorder_.latest_step();
    const auto events = recorder_.events(step);
    if (ancestors_.empty()) {
      const Lineage lineage(recorder_);
      const int32_t last = lineage.find(step, -1, site::kLmHead);
      const RowSpan& logits = events[static_cast<size_t>(last)].writes[0];
      ancestors_ = lineage.ancestors({step, last, {logits.space, logits.id, logits.first}});
    }
    std::set<int32_t> rows;
    for (const WrittenRow& w : ancestors_) {
      if (w.step != step || w.event < 0) continue;
      const Event& event = events[static_cast<size_t>(w.event)];
      if (event.layer == layer && event.name == op)
        rows.insert(n_cached + static_cast<int32_t>(w.row.row - event.writes[0].first));
    }
    if (rows.empty()) return {0, 0};
    return {*rows.begin(), *rows.rbegin() + 1};
  }

 private:
  std::shared_ptr<const Model> model_;
  NaiveBackend<float> naive_;
  Recorder recorder_{RecordOptions{.keep = RecordOptions::Keep::all, .attention = false}};
  TracingBackend tracing_{naive_, recorder_};
  Decoder decoder_{*model_, tracing_};
  Workspace workspace_{model_->config(), tracing_, kMaxSeqLen, 1};
  ContiguousCache cache_;
  std::unique_ptr<KvStorage> storage_;
  std::vector<WrittenRow> ancestors_;  // of the logits of the latest step
};

std::string shown(RowRange rows) {
  if (rows.begin >= rows.end) return "none";
  return rows.end - rows.begin == 1 ? fmt::format("{}", rows.begin)
                                    : fmt::format("{} … {}", rows.begin, rows.end - 1);
}
bool same(RowRange a, RowRange b) {
  return (a.begin == b.begin && a.end == b.end) || (a.begin >= a.end && b.begin >= b.end);
}

std::string hint_for(RowRange yours, RowRange expected, char tensor, bool last_layer, int32_t n_cached) {
  if (yours.begin < n_cached)
    return "Cached rows are read, not computed. And no later step reads a query again.";
  if (tensor == 'q' && last_layer && yours.begin < expected.begin)
    return "After the last layer there is no layer that makes keys and values from the output rows of past "
           "tokens: only the last token's row is read.";
  if (tensor == 'q' && !last_layer && yours.begin > expected.begin)
    return "The output row of a token depends on its query. From this row the next layer makes the token's "
           "key and value, and the last token reads those.";
  if (tensor != 'q' && yours.begin > expected.begin)
    return "The last token reads the key and the value of every token, in every layer.";
  return "Go back from the logits, layer by layer: which rows of the layer below does each row read?";
}

void compare(int32_t n_layers, int32_t n_tokens, int32_t n_cached) {
  Traced run(n_layers);
  if (n_cached > 0) run.step(0, n_cached);
  run.step(n_cached, n_tokens - n_cached);
  Wrong wrong;
  for (int32_t layer = 0; layer < n_layers; ++layer) {
    const RowsNeeded yours = rows_needed(n_layers, layer, n_tokens, n_cached);
    const std::tuple<char, RowRange, const char*> tensors[] = {
        {'q', yours.q, site::kQProj}, {'k', yours.k, site::kKProj}, {'v', yours.v, site::kVProj}};
    wrong.rows.push_back({fmt::format("layer {}", layer)});
    for (const auto& [tensor, rows, op] : tensors) {
      const RowRange expected = run.needed(layer, op, n_cached);
      wrong.rows.back().push_back(
          same(rows, expected) ? shown(rows) : fmt::format("{} ({})", shown(rows), shown(expected)));
      if (same(rows, expected) || !wrong.what.empty()) continue;
      wrong.what = fmt::format("{} {}, {} tokens, {} cached: layer {}, rows of {}: {}, expected {}", n_layers,
                               n_layers == 1 ? "layer" : "layers", n_tokens, n_cached, layer, tensor,
                               shown(rows), shown(expected));
      wrong.hint = hint_for(rows, expected, tensor, layer == n_layers - 1, n_cached);
    }
  }
  wrong.head = {"yours (expected)", "q", "k", "v"};
  if (!wrong.what.empty()) throw wrong;
}

void check_10(Checker& c) {
  c.tries("recompute, one layer");
  compare(1, 4, 0);
  c.tries("recompute, 3 layers");
  compare(3, 4, 0);
  c.tries("decode, 3 layers");
  compare(3, 5, 4);
  c.tries("2 tokens after 3, 3 layers");
  compare(3, 5, 3);
  c.tries("1 to 4 layers, up to 6 tokens, any number of them cached");
  for (int32_t n_layers = 1; n_layers <= 4; ++n_layers)
    for (int32_t n_tokens = 1; n_tokens <= 6; ++n_tokens)
      for (int32_t n_cached = 0; n_cached < n_tokens; ++n_cached) compare(n_layers, n_tokens, n_cached);
}

}  // namespace

int main(int argc, char** argv) {
  return run_checker(
      argc, argv,
      {10, "which rows?", "lessons/exercises/10_which_rows.cpp",
       "That is why keys and values are cached, and queries are not. See it in lessons/run 4. Your "
       "answer was judged by the rules of src/trace/dependence.h."},
      check_10);
}
