// The same generation with and without the cache, counted and timed.
//
//   TwinSession twin = make_twin(lesson, model, events_only());   both sides on the lesson's backend
//   auto work = run_both_ways(lesson, model, 1, 64);              work[kWith][i], work[kWithout][i]
//   Growth g = growth(work[kWith], &Work::attention);             exponents of n: per step, and in total
//   Both us = step_us(lesson, model, 64, 5);                      us[kWithout] / us[kWith]
//
// Counts: the events of a traced run, with the formulas of src/ops. Times: the forward alone, without
// a trace. Both sides are timed in turns, so compare their ratio, not the times.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "lessons/support/lesson.h"
#include "session/twin.h"

namespace lastrow::lessons {

inline constexpr int kWith = 0, kWithout = 1;
/// [kWith], [kWithout]
using Both = std::array<double, 2>;

/// What one step did: the sum over its events.
struct Work {
  int n = 0;             // number of tokens after the step
  double matrices = 0;   // flop of the layers' products with weights: projections and MLP
  double attention = 0;  // flop of attend
  OpCost all{};          // every operation

  double flop() const { return static_cast<double>(all.flop); }
  double bytes() const { return static_cast<double>(all.bytes()); }
  double flop_per_byte() const { return flop() / bytes(); }
};
Work work_of(std::span<const Event> events, int n);

/// The first n tokens of the prompt (Lesson::prompt_for), repeated if it is shorter.
std::vector<int32_t> first_tokens(const Model& model, int n);

/// Records the events of all steps, and no tensors.
RecordOptions events_only();
TwinSession make_twin(Lesson& lesson, const std::shared_ptr<const Model>& model, RecordOptions record);

/// Layer 0 of a step, one character for each index < times.size(): ● the step computed its K row, ○ it only
/// read the row, · neither. Adds 1 to times[index] for each computed row.
std::string rows_picture(std::span<const Event> events, std::vector<int>& times);

/// Every step, from a prompt of `from` tokens until there are `to` tokens.
std::array<std::vector<Work>, 2> run_both_ways(Lesson& lesson, const std::shared_ptr<const Model>& model,
                                               int from, int to);

/// Exponents b of a · n^b, fitted over the last three quarters of the steps.
struct Growth {
  double step = 0, in_all = 0;  // of the value per step, and of the sum over all steps so far
};
Growth growth(std::span<const Work> work, double Work::*quantity);
Growth growth(std::span<const double> n, std::span<const double> values);

/// Microseconds of the step after which there are n tokens: the fastest of `rounds` runs.
Both step_us(Lesson& lesson, const std::shared_ptr<const Model>& model, int n, int rounds);

}  // namespace lastrow::lessons
