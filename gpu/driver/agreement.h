// Are the outputs that were timed right? Each timed call's output is compared once with that of another rung.
//
// The judge is too slow for timed shapes, and ugly small problems do not show an error that needs many keys
// or many blocks. Two rungs that work in different ways hardly make the same mistake. The measure is
//   ‖out − other‖ / ‖other‖        Frobenius norms over all of out
// with ∞ for an output that holds NaN: outputs are filled with NaN before the call, so one that was not
// written shows.
#pragma once

#include <string>

#include "gpu/driver/runner.h"

namespace lastrow::driver {

/// The rung that a timed one is compared with is the first of these that is another, takes the shape, and has
/// not failed its check. k05 and k02 know neither splits nor groups; f16, fp8 and int8 are taken by k09 and
/// later rungs only.
inline constexpr const char* kComparedWith[] = {"k05", "k02", "k09", "k10", "k11"};

/// What two right outputs may differ by. Keys of timed shapes weigh about the same, so an output is smaller
/// than a value by √n, and so is the sum of n independent errors: the relative difference is that of one
/// term. Exact products: a score below 8 is off by some 2⁻²⁴ of that, so its weight by 2⁻²¹, and ex2.approx
/// adds 2⁻²². The bound leaves 2⁸ for errors that lean to one side, as those of tensor cores do, which cut
/// off.
inline constexpr double kExactAgreement = 0x1p-12;
/// q and p rounded to 8 bits (bf16): a term is off by 2⁻⁹, and by as much of each score. The bound leaves 2³.
inline constexpr double kRoundedAgreement = 0x1p-6;

inline double agreement_bound(const std::string& rung) {
  return products_of(rung) == judge::Products::rounded ? kRoundedAgreement : kExactAgreement;
}

}  // namespace lastrow::driver
