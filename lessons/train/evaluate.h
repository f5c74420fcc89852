// How good a trained model is: loss against the floor, grammatical continuations, heads that look back.
//
//   HeldOut h = held_out_loss(model, 200);        h.excess() is 0.03 for "3 % above the floor"
//   Continuations c = continue_prompts(model, 50, 30);
//   std::vector<HeadScore> heads = look_back(model, 100);
//
// All texts come from a seed that training never uses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/model_file.h"

namespace lastrow::train {

/// Seeds every text of an evaluation; train_fable refuses it as a training seed.
constexpr uint64_t kHeldOutSeed = 0xFAB1E;

struct HeldOut {
  double loss = 0, floor = 0;  // nats per token, over the same texts
  int64_t n_tokens = 0;
  double excess() const { return loss / floor - 1; }
};

/// Mean loss over `n_texts` texts of max_seq_len tokens, and what the generator paid for them.
HeldOut held_out_loss(const TrainedModel& model, int n_texts);

/// The most probable token, `n_tokens` times.
std::vector<int32_t> continue_greedily(const TrainedModel& model, std::vector<int32_t> tokens, int n_tokens);

struct Continuations {
  int parsed = 0, n = 0;
  std::vector<std::string> failures;  // prompt | continuation, cut after the first token that cannot stand
};

/// Greedy continuations of grammatical prompts of 4 to 60 tokens, cut off anywhere.
Continuations continue_prompts(const TrainedModel& model, int n_prompts, int n_tokens);

/// Where a head looks from the tokens that mention an animal again. A mass is the mean over such tokens of
/// Σ_s p[t, s] over the tokens s of all earlier mentions of that animal (noun or letters; none of the mention
/// that t itself is part of). By chance, a head that looks everywhere alike, it would be their share of the
/// t + 1 visible tokens.
struct HeadScore {
  int layer = 0, head = 0;
  double noun = 0, noun_chance = 0;  // "the fox": from "fox" to earlier "fox"
  double name = 0, name_chance = 0;  // "zorbu": from each of its letters to the letters before
  double weaker() const { return noun < name ? noun : name; }
};

/// All heads, layer by layer, over `n_texts` held-out texts.
std::vector<HeadScore> look_back(const TrainedModel& model, int n_texts);

}  // namespace lastrow::train
