// Compares two rows, or the logits of two sides: are they the same, and if not, how far apart are they?
#pragma once

#include <cstdint>

#include "viewer/view_model/describe/step_data.h"

namespace lastrow::view {

/// Whether the logits have the same bits.
bool same_logits(const SideData& a, const SideData& b);
/// Largest |a − b|. Infinite if two values differ and one of them is not finite.
double largest_change(const float* a, const float* b, int n);
/// Largest |a − b|, in units in the last place of the largest element of both rows. 0: the same bits. A NaN
/// in the same place of both rows counts as equal. If only one row has a NaN or ∞ there, the result is −1.
int64_t row_distance_ulp(const float* a, const float* b, int n);

}  // namespace lastrow::view
