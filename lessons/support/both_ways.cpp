#include "lessons/support/both_ways.h"

#include <algorithm>
#include <cmath>

#include "lessons/support/measure.h"

namespace lastrow::lessons {

Work work_of(std::span<const Event> events, int n) {
  Work work{.n = n};
  for (const Event& e : events) {
    work.all += e.cost;
    if (traits(e.op).work == WorkKind::weights && e.layer >= 0)
      work.matrices += static_cast<double>(e.cost.flop);
    if (e.op == kind_of<Attend>) work.attention += static_cast<double>(e.cost.flop);
  }
  return work;
}

std::vector<int32_t> first_tokens(const Model& model, int n) {
  std::vector<int32_t> tokens = model.tokenizer().encode(Lesson::prompt_for(model));
  for (size_t i = 0; static_cast<int>(tokens.size()) < n; ++i) tokens.push_back(tokens[i]);
  tokens.resize(static_cast<size_t>(n));
  return tokens;
}

RecordOptions events_only() { return {.keep = RecordOptions::Keep::all, .attention = false}; }

TwinSession make_twin(Lesson& lesson, const std::shared_ptr<const Model>& model, RecordOptions record) {
  auto for_cached = lesson.backend(), for_recompute = lesson.backend();
  return {model,
          std::move(for_cached),
          std::move(for_recompute),
          {.record = std::move(record), .cache = lesson.cache()}};
}

std::array<std::vector<Work>, 2> run_both_ways(Lesson& lesson, const std::shared_ptr<const Model>& model,
                                               int from, int to) {
  TwinSession twin = make_twin(lesson, model, events_only());
  twin.start(first_tokens(*model, from));
  std::array<std::vector<Work>, 2> work;
  for (int n = from; n <= to; ++n) {
    twin.advance();
    work[kWith].push_back(work_of(twin.cached().recorder().events(n - from), n));
    work[kWithout].push_back(work_of(twin.recompute().recorder().events(n - from), n));
  }
  return work;
}

Growth growth(std::span<const double> n, std::span<const double> values) {
  const size_t first = values.size() / 4;
  std::vector<double> sums;
  double sum = 0;
  for (const double value : values) sums.push_back(sum += value);
  return {fitted_exponent(n.subspan(first), values.subspan(first)),
          fitted_exponent(n.subspan(first), std::span<const double>(sums).subspan(first))};
}

Growth growth(std::span<const Work> work, double Work::*quantity) {
  std::vector<double> n, values;
  for (const Work& w : work) n.push_back(w.n), values.push_back(w.*quantity);
  return growth(n, values);
}

Both step_us(Lesson& lesson, const std::shared_ptr<const Model>& model, int n, int rounds) {
  const auto session_of = [&](Mode mode) {
    SessionOptions options{.mode = mode, .max_seq_len = n, .cache = lesson.cache()};
    options.cache.block_len = std::min(options.cache.block_len, n);  // a block is not longer than the text
    auto session = std::make_unique<DecodeSession>(model, lesson.backend(), options);
    session->start(first_tokens(*model, std::max(1, n - 1)));
    session->advance();
    if (n > 1) session->advance();
    return session;
  };
  const auto with = session_of(Mode::cached), without = session_of(Mode::recompute);
  const int step = n > 1 ? 1 : 0;
  Both us{with->go_to(step).wall_us, without->go_to(step).wall_us};
  for (int i = 1; i < rounds; ++i) {
    us[kWith] = std::min(us[kWith], with->go_to(step).wall_us);
    us[kWithout] = std::min(us[kWithout], without->go_to(step).wall_us);
  }
  return us;
}

std::string rows_picture(std::span<const Event> events, std::vector<int>& times) {
  std::vector<const char*> cells(times.size(), "·");
  const auto mark = [&](const std::vector<RowSpan>& spans, const auto& put) {
    for (const RowSpan& span : spans)
      for (int64_t i = span.first; span.space == RowSpace::k && i < span.first + span.count; ++i)
        if (i < static_cast<int64_t>(cells.size())) put(static_cast<size_t>(i));
  };
  for (const Event& e : events) {
    if (e.layer != 0) continue;
    if (e.op == kind_of<Append>) mark(e.writes, [&](size_t i) { cells[i] = "●", ++times[i]; });
    if (e.op == kind_of<Attend>)
      mark(e.reads, [&](size_t i) {
        if (*cells[i] == *"·") cells[i] = "○";
      });
  }
  return fmt::format("{}", fmt::join(cells, " "));
}

}  // namespace lastrow::lessons
