// How far two rows, or two sides, are apart.
#pragma once

#include <cstdint>

#include "viewer/view_model/describe/step_data.h"

namespace lastrow::view {

/// Whether the logits have the same bits.
bool same_logits(const SideData& a, const SideData& b);
/// Largest |a − b|; infinite where one of two different values is not finite.
double largest_change(const float* a, const float* b, int n);
/// Largest |a − b|, in units in the last place of the largest element of both rows. 0: the same bits. NaN in
/// the same place counts as equal; a NaN or ∞ in one row only gives −1.
int64_t row_distance_ulp(const float* a, const float* b, int n);

}  // namespace lastrow::view
