// Checks timed outputs: the output of each timed call is compared once with that of another rung.
//
// The judge is too slow for timed shapes. Small difficult problems do not show an error that needs many keys
// or many blocks. Two rungs that work in different ways are unlikely to make the same mistake. The measure is
//   ‖out − other‖ / ‖other‖        Frobenius norms over all of out
// and it is ∞ for an output that holds NaN. Outputs are filled with NaN before the call, so an output that
// was not written shows.
#pragma once

#include <string>

#include "gpu/driver/runner.h"

namespace lastrow::driver {

/// A timed rung is compared with the first of these that is a different rung, takes the shape, and has not
/// failed its check. k05 and k02 use no splits and no groups. Only k09 and later rungs take f16, fp8 and
/// int8.
inline constexpr const char* kComparedWith[] = {"k05", "k02", "k09", "k10", "k11"};

/// How much two right outputs may differ. In timed shapes all keys weigh about the same. So an output is
/// smaller than a value by √n, and so is the sum of n independent errors: the relative difference is that of
/// one term. With exact products, a score below 8 has an error of about 2⁻²⁴ of it, so its weight one of
/// 2⁻²¹, and ex2.approx adds 2⁻²². The bound is larger by 2⁸, for errors that all have the same sign, as
/// those of tensor cores have, which truncate.
inline constexpr double kExactAgreement = 0x1p-12;
/// The same with q and p rounded to 8 bits (bf16): a term has an error of 2⁻⁹, and so has each score. The
/// bound is larger by 2³.
inline constexpr double kRoundedAgreement = 0x1p-6;

inline double agreement_bound(const std::string& rung) {
  return products_of(rung) == judge::Products::rounded ? kRoundedAgreement : kExactAgreement;
}

}  // namespace lastrow::driver
