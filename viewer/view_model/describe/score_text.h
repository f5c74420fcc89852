// How the score of a query and a key is made, in words and with its numbers (attention/score.h).
//
//   score_formula(config)                              "q·k / √16"            the title of the matrix
//   score_line(config, h, t, s, distance, dot, score)  "q[4]·k[1] / √16 = 7.00 / 4.00 = 1.75"
//
// A model with a soft cap or with ALiBi changes the product further; then the line says how.
#pragma once

#include <string>

#include "model/config.h"

namespace lastrow::view {

std::string score_formula(const ModelConfig& config);
/// dot: q[t]·k[s] of query head h. distance: how many positions lie between them (used_distance), for ALiBi. score:
/// what the backend made of it.
std::string score_line(const ModelConfig& config, int h, int t, int s, int distance, double dot,
                       double score);
/// The same from the sum of the products on: "Σ 7.00 / √16 = 1.75".
std::string score_total(const ModelConfig& config, int h, int distance, double dot, double score);

}  // namespace lastrow::view
