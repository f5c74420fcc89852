#include "viewer/view_model/describe/names.h"

#include <fmt/format.h>

#include "viewer/view_model/describe/text.h"

namespace lastrow::view {

std::string step_text(const Setup& setup, int step) {
  const bool is_prefill = step < setup.n_prefill_steps;
  if (setup.n_prefill_steps > 1) return fmt::format("{} step {}", is_prefill ? "prefill" : "decode", step);
  return is_prefill ? "prefill" : fmt::format("decode {}", step);
}

std::string step_name(const Setup& setup, int position) { return step_text(setup, setup.step_of(position)); }

std::string token_label(const Snapshot& snapshot, int position) {
  return label(snapshot.setup->piece(snapshot.now->tokens[static_cast<size_t>(position)]));
}

std::string layer_text(const ModelConfig& config, int layer) {
  return fmt::format("layer {}{}", layer, layer == config.n_layers - 1 ? " (last)" : "");
}

std::string sharing_text(const ModelConfig& config, int kv_head) {
  const int group = config.group_size();
  if (group == 1) return fmt::format("K/V head {}, used only by query head {}", kv_head, kv_head);
  if (config.n_kv_heads == 1)
    return fmt::format("K/V head 0, shared by all {} query heads", config.n_q_heads);
  return fmt::format("K/V head {}, shared by query heads {}", kv_head,
                     range(kv_head * group, (kv_head + 1) * group - 1));
}

int shown_kv_head(const Snapshot& snapshot, const Selection& at) {
  return at.head / snapshot.setup->config().group_size();
}

}  // namespace lastrow::view
