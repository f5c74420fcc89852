// The strips around the panes: the tokens so far, the next tokens of each side, the heads, the model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "session/step_record.h"

namespace lastrow::view {

enum class TokenRole : uint8_t { prompt, generated, input, next };

struct TokenChip {
  int position = 0;
  int id = 0;
  std::string text;
  TokenRole role = TokenRole::prompt;  // input: drawn with a frame; next: drawn with dashes
};

struct NextToken {
  int id = 0;
  std::string text;
  float logit = 0, probability = 0;  // softmax over the whole vocabulary
  float logit_change = 0;            // compared with the step without pokes; 0 without pokes
};

struct NextTokens {
  Mode side = Mode::cached;
  std::vector<NextToken> top;  // five, the most probable first
};

struct HeadChip {
  int head = 0;
  int kv_head = 0;
  bool selected = false;
  bool same_group = false;  // shares the K/V head of the selected head
  float focus = 0;          // largest weight of the last row, 0 … 1; the fill of the square
  std::string tooltip;
};

struct HeadStrip {
  int n_q_heads = 0, n_kv_heads = 0, group_size = 1;
  std::vector<HeadChip> heads;
  std::string summary;  // "4 queries a K/V head"
  std::string caption;  // "8 query heads, 2 K/V heads: each K/V head serves 4"
  std::string kind;     // "MHA", "GQA", "MQA"
};

/// One part of the model, with the rows that each side computes in it in this step.
struct ModelNode {
  std::string name;  // "embed", "layer 3", "norm", "logits"
  int layer = -1;    // −1: not a layer
  bool selected = false, poked = false;
  int rows_with = 0, rows_without = 0;
  std::string tooltip;
};

/// The whole model, from the embedding to the logits.
struct ModelStrip {
  std::vector<ModelNode> nodes;
  int n_tokens = 0;
  std::string with, without;  // "with cache: 1 row"
  bool complete = false;      // beat ④ is reached: all layers are done
};

}  // namespace lastrow::view
