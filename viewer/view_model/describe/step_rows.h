// The rows of a step by position: a pointer to the values, or null if the side has no such row.
#pragma once

#include <memory>

#include "viewer/view_model/describe/step_data.h"

namespace lastrow::view {

const float* q_row(const Setup& setup, const SideData& s, int layer, int head, int position);
const float* out_row(const Setup& setup, const SideData& s, int layer, int head, int position);
const float* k_row(const Setup& setup, const SideData& s, int layer, int kv_head, int position);
/// As the cache stores it, if it stores K before RoPE.
const float* stored_k_row(const Setup& setup, const SideData& s, int layer, int kv_head, int position);
const float* v_row(const Setup& setup, const SideData& s, int layer, int kv_head, int position);
/// [n_tokens], of the query at `position`.
const float* score_row(const SideData& s, int layer, int head, int position, int n_tokens);
const float* prob_row(const SideData& s, int layer, int head, int position, int n_tokens);
/// NaN if the side has no such row.
float lse_at(const Setup& setup, const SideData& s, int layer, int head, int position);

/// The weights of a query head in bins, of the rows that the side computed in this step. Null if they are not
/// held: in a step that is not whole, only the head in focus has them.
/// Cost: one pass over the computed rows of the head if the step is whole, else nothing.
std::shared_ptr<const ReducedWeights> reduced_weights(const Setup& setup, const SideData& s, int layer,
                                                      int head, int n_tokens);

}  // namespace lastrow::view
