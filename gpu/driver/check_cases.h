// The problems that rungs are checked on: difficult values of each property, in every pair or in all
// combinations; and some long contexts.
//
//   const CheckSet set(rungs, takes);          takes(rung, shape): whether the rung takes it
//   for (const CheckCase& c : set.quick())     every pair of values of two properties, the rung being one
//                                              of them; every third problem is a long one, until these end
//   set.full_size(); set.full(i)               the i-th of all combinations
//
// A problem comes with every rung that takes it.
//
// Properties: query heads and K/V heads, head_dim, kv_len, the queries (decode, prefill, ragged, …), length
// and order of blocks and where tables begin, stored type, rules (mask, window, sinks, size of scores, soft
// cap, ALiBi), rung; kv_len goes up to 130. The long problems have 300, 1,000, 4,100 and 16,384 keys. They are
// few and chosen: each is run for seven stored types or pairs, and for those rungs that it can tell something new
// about (check_cases.cpp). Every n-th problem of the quick set has its share of both kinds, if n is not a
// multiple of 3.
#pragma once

#include <string>
#include <vector>

#include "core/function_ref.h"
#include "gpu/driver/case_shape.h"

namespace lastrow::driver {

struct CheckCase {
  judge::AttendCase problem;
  std::vector<std::string> rungs;  // the rungs that run it
};

class CheckSet {
 public:
  CheckSet(std::vector<std::string> rungs,
           FunctionRef<bool(const std::string& rung, const gpu::AttendShape& shape)> takes);

  std::vector<CheckCase> quick() const;
  std::vector<CheckCase> pairs() const;
  std::vector<CheckCase> long_contexts() const;
  int64_t full_size() const;
  CheckCase full(int64_t i) const;

 private:
  std::vector<std::string> takers(const std::vector<int32_t>& row) const;
  bool takes(int32_t rung, int32_t dtype, int32_t head_dim, bool all_rules) const;
  bool can_be(const std::vector<int32_t>& row) const;

  std::vector<std::string> rungs_;
  std::vector<bool> takes_;  // [rung, dtype, head_dim, all rules of scores and masks]
};

}  // namespace lastrow::driver
