// The same generation with and without the cache, counted and timed: what several lessons compare.
//
//   TwinSession twin = twin_of(lesson, model, events_only());        both sides on the lesson's backend
//   auto work = run_both_ways(lesson, model, 1, 64);                 work[kWith][i], work[kWithout][i]
//   Growth g = growth(work[kWith], &Work::attention);                exponents of n: a step, and in all
//   Both us = step_us(lesson, model, 64, 5);                         us[kWithout] / us[kWith]
//
// Counts come from the events of a trace of the run, through the formulas of src/ops. Times are of the
// forward alone, without a trace, taken in turns: use their ratios.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "lessons/support/lesson.h"
#include "session/twin.h"

namespace lastrow::lessons {

inline constexpr int kWith = 0, kWithout = 1;
/// With the cache, without it.
using Both = std::array<double, 2>;

/// What one step did, added up from its events.
struct Work {
  int n = 0;             // tokens that the step ends with
  double matrices = 0;   // flop of the layers' products with weights: projections, MLP
  double attention = 0;  // flop of attend
  OpCost all{};          // every operation

  double flop() const { return static_cast<double>(all.flop); }
  double bytes() const { return static_cast<double>(all.bytes()); }
  double flop_a_byte() const { return flop() / bytes(); }
};
Work work_of(std::span<const Event> events, int n);

/// The prompt's tokens (Lesson::prompt_for), cut to n or repeated.
std::vector<int32_t> first_tokens(const Model& model, int n);

/// A recording of events alone, all steps.
RecordOptions events_only();
TwinSession twin_of(Lesson& lesson, const std::shared_ptr<const Model>& model, RecordOptions record);

/// Layer 0 of a step, a character for each index < times.size(): ● its K row was computed, ○ only read, · not
/// touched. Counts the computed ones in times.
std::string rows_picture(std::span<const Event> events, std::vector<int>& times);

/// Every step from a prompt of `from` tokens until there are `to`.
std::array<std::vector<Work>, 2> run_both_ways(Lesson& lesson, const std::shared_ptr<const Model>& model,
                                               int from, int to);

/// Exponents b of a · n^b, fitted over the last three quarters of the steps.
struct Growth {
  double step = 0, in_all = 0;  // of the steps' values, and of their sums so far
};
Growth growth(std::span<const Work> work, double Work::*quantity);
Growth growth(std::span<const double> n, std::span<const double> values);

/// Microseconds of the step that ends with n tokens: the fastest of so many rounds.
Both step_us(Lesson& lesson, const std::shared_ptr<const Model>& model, int n, int rounds);

}  // namespace lastrow::lessons
