// The problems that rungs are checked at: a choice of each property, all ugly, in every pair or in full; and
// some long contexts.
//
//   const CheckSet set(rungs, takes);      takes(rung, shape): whether the rung takes it
//   for (const CheckCase& c : set.quick())     every pair of values of all properties, the rung included;
//                                              every third problem is a long one, as long as there are some
//   set.full_size(); set.full(i)           the i-th problem of the product
// Either way a problem comes with every rung that takes it: the judge's answer costs more than theirs.
//
// Properties: query heads to K/V heads, head_dim, kv_len, the queries (decode, prefill, ragged, …), length
// and order of blocks, stored type, mask and size of scores, rung. They stop at 130 keys. The long problems
// have 300, 1,000, 4,100 and 16,384 keys, few and chosen: each for every stored type, and for those rungs to
// which it says something new (check_cases.cpp). Every n-th problem of the quick set has its share of both,
// if 3 does not divide n.
#pragma once

#include <string>
#include <vector>

#include "core/function_ref.h"
#include "gpu/driver/case_shape.h"

namespace lastrow::driver {

struct CheckCase {
  judge::AttendCase problem;
  std::vector<std::string> rungs;  // that are to run it
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
  bool takes(int32_t rung, int32_t dtype, int32_t head_dim) const;
  bool can_be(const std::vector<int32_t>& row) const;

  std::vector<std::string> rungs_;
  std::vector<bool> takes_;  // [rung, dtype, head_dim]
};

}  // namespace lastrow::driver
