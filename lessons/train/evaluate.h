// Measures a trained model: its loss and the floor, how many continuations are grammatical,
// which heads look back.
//
//   HeldOut h = held_out_loss(model, 200);                  h.excess() is 0.03 for "3 % above the floor"
//   Continuations c = continue_prompts(model, 50, 30);      50 prompts, 30 tokens each
//   std::vector<HeadScore> heads = look_back(model, 100);   over 100 texts
//   print(held_out_file());                                 the texts that the library carries (model/builtin.h)
//
// All texts come from a seed that training never uses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/model_file.h"

namespace lastrow::train {

/// The seed of all texts for evaluation. train_fable refuses it as a training seed.
constexpr uint64_t kHeldOutSeed = 0xFAB1E;

/// The texts of src/model/builtin/held-out.txt. They come from streams of the held-out seed that nothing else
/// uses: neither a training nor the choice of a seed has seen them.
constexpr int kCarriedTexts = 16;
/// Text i of these, 0 ≤ i < kCarriedTexts: 256 tokens, the context of the built-in models.
std::vector<int32_t> carried_text(int i);
/// The whole file: an empty line between texts, and lines of at most 100 characters.
std::string held_out_file();

struct HeldOut {
  double loss = 0, floor = 0;  // nats per token, over the same texts
  int64_t n_tokens = 0;
  double excess() const { return loss / floor - 1; }
};

/// Mean loss over `n_texts` texts of max_seq_len tokens, and the floor of these texts.
HeldOut held_out_loss(const TrainedModel& model, int n_texts);

/// The tokens and `n_tokens` more; each one is the most probable next token.
std::vector<int32_t> continue_greedily(const TrainedModel& model, std::vector<int32_t> tokens, int n_tokens);

struct Continuations {
  int parsed = 0, n = 0;
  std::vector<std::string> failures;  // prompt | continuation up to the first token that is not grammatical
};

/// Greedy continuations of grammatical prompts of 4 to 60 tokens, which may end anywhere.
Continuations continue_prompts(const TrainedModel& model, int n_prompts, int n_tokens);

/// How much a head looks back to an animal that is mentioned again. For a token t of such a mention, the mass
/// is Σ_s p[t, s] over the tokens s of all earlier mentions of that animal (noun or letters, without the
/// mention of t itself). `noun` and `name` are means over these tokens t. The chance is the mass of a head
/// with equal weights: the share of these tokens among the t + 1 visible ones.
struct HeadScore {
  int layer = 0, head = 0;
  double noun = 0, noun_chance = 0;  // "the fox": from "fox" to earlier "fox"
  double name = 0, name_chance = 0;  // "zorbu": from each of its letters to the letters before
  double weaker() const { return noun < name ? noun : name; }
};

/// The scores of all heads, layer by layer, over `n_texts` held-out texts.
std::vector<HeadScore> look_back(const TrainedModel& model, int n_texts);

}  // namespace lastrow::train
