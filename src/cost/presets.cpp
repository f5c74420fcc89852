#include "cost/presets.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace lastrow {
namespace {

// clang-format off
const std::array kPresets = {
    // GPT-2 has LayerNorm, biases everywhere, learned positions and GELU.
    ModelShape{.name = "gpt-2",
               .n_layers = 12, .n_q_heads = 12, .n_kv_heads = 12, .head_dim = 64, .model_dim = 768,
               .ffn_dim = 3072, .vocab_size = 50257, .max_seq_len = 1024,
               .tied_embeddings = true, .gated_mlp = false, .learned_positions = true,
               .qkv_bias = true, .other_bias = true, .norm = NormKind::layer,
               .weight_dtype = DType::f32, .published_params = 124439808,
               .source = "openai-community/gpt2 config.json; Radford et al. 2019"},
    ModelShape{.name = "gpt-2-xl",
               .n_layers = 48, .n_q_heads = 25, .n_kv_heads = 25, .head_dim = 64, .model_dim = 1600,
               .ffn_dim = 6400, .vocab_size = 50257, .max_seq_len = 1024,
               .tied_embeddings = true, .gated_mlp = false, .learned_positions = true,
               .qkv_bias = true, .other_bias = true, .norm = NormKind::layer,
               .weight_dtype = DType::f32, .published_params = 1557611200,
               .source = "openai-community/gpt2-xl config.json; Radford et al. 2019"},
    ModelShape{.name = "llama-2-7b",
               .n_layers = 32, .n_q_heads = 32, .n_kv_heads = 32, .head_dim = 128, .model_dim = 4096,
               .ffn_dim = 11008, .vocab_size = 32000, .max_seq_len = 4096,
               .weight_dtype = DType::f16, .published_params = 6738415616,
               .source = "meta-llama/Llama-2-7b-hf config.json; Touvron et al. 2023"},
    ModelShape{.name = "llama-2-13b",
               .n_layers = 40, .n_q_heads = 40, .n_kv_heads = 40, .head_dim = 128, .model_dim = 5120,
               .ffn_dim = 13824, .vocab_size = 32000, .max_seq_len = 4096,
               .weight_dtype = DType::f16, .published_params = 13015864320,
               .source = "meta-llama/Llama-2-13b-hf config.json; Touvron et al. 2023"},
    ModelShape{.name = "llama-2-70b",
               .n_layers = 80, .n_q_heads = 64, .n_kv_heads = 8, .head_dim = 128, .model_dim = 8192,
               .ffn_dim = 28672, .vocab_size = 32000, .max_seq_len = 4096,
               .weight_dtype = DType::f16, .published_params = 68976648192,
               .source = "meta-llama/Llama-2-70b-hf config.json; Touvron et al. 2023"},
    ModelShape{.name = "llama-3-8b",
               .n_layers = 32, .n_q_heads = 32, .n_kv_heads = 8, .head_dim = 128, .model_dim = 4096,
               .ffn_dim = 14336, .vocab_size = 128256, .max_seq_len = 8192,
               .weight_dtype = DType::bf16, .published_params = 8030261248,
               .source = "meta-llama/Meta-Llama-3-8B config.json"},
    ModelShape{.name = "llama-3-70b",
               .n_layers = 80, .n_q_heads = 64, .n_kv_heads = 8, .head_dim = 128, .model_dim = 8192,
               .ffn_dim = 28672, .vocab_size = 128256, .max_seq_len = 8192,
               .weight_dtype = DType::bf16, .published_params = 70553706496,
               .source = "meta-llama/Meta-Llama-3-70B config.json"},
    ModelShape{.name = "mistral-7b",
               .n_layers = 32, .n_q_heads = 32, .n_kv_heads = 8, .head_dim = 128, .model_dim = 4096,
               .ffn_dim = 14336, .vocab_size = 32000, .max_seq_len = 32768,
               .window = 4096,
               .weight_dtype = DType::bf16, .published_params = 7241732096,
               .source = "mistralai/Mistral-7B-v0.1 config.json (sliding_window 4096); Jiang et al. 2023"},
    // Falcon computes attention and MLP in parallel; the 7B has one norm for both. The release stores the
    // tied table a second time as LM head, and its published count includes that copy.
    ModelShape{.name = "falcon-7b",
               .n_layers = 32, .n_q_heads = 71, .n_kv_heads = 1, .head_dim = 64, .model_dim = 4544,
               .ffn_dim = 18176, .vocab_size = 65024, .max_seq_len = 2048,
               .tied_embeddings = true, .gated_mlp = false, .norm = NormKind::layer, .norms_per_layer = 1,
               .weight_dtype = DType::bf16, .published_params = 7217189760,
               .source = "tiiuae/falcon-7b config.json (multi_query); Almazrouei et al. 2023"},
    ModelShape{.name = "falcon-40b",
               .n_layers = 60, .n_q_heads = 128, .n_kv_heads = 8, .head_dim = 64, .model_dim = 8192,
               .ffn_dim = 32768, .vocab_size = 65024, .max_seq_len = 2048,
               .tied_embeddings = true, .gated_mlp = false, .norm = NormKind::layer,
               .weight_dtype = DType::bf16, .published_params = 41835970560,
               .source = "tiiuae/falcon-40b config.json (num_kv_heads 8); Almazrouei et al. 2023"},
    ModelShape{.name = "gemma-2b",
               .n_layers = 18, .n_q_heads = 8, .n_kv_heads = 1, .head_dim = 256, .model_dim = 2048,
               .ffn_dim = 16384, .vocab_size = 256000, .max_seq_len = 8192,
               .tied_embeddings = true,
               .weight_dtype = DType::bf16, .published_params = 2506172416,
               .source = "google/gemma-2b config.json; Gemma Team 2024"},
    ModelShape{.name = "gemma-7b",
               .n_layers = 28, .n_q_heads = 16, .n_kv_heads = 16, .head_dim = 256, .model_dim = 3072,
               .ffn_dim = 24576, .vocab_size = 256000, .max_seq_len = 8192,
               .tied_embeddings = true,
               .weight_dtype = DType::bf16, .published_params = 8537680896,
               .source = "google/gemma-7b config.json; Gemma Team 2024"},
    // Gemma 2 has a sliding window in its even layers. It has norms before and after attention and MLP.
    ModelShape{.name = "gemma-2-9b",
               .n_layers = 42, .n_q_heads = 16, .n_kv_heads = 8, .head_dim = 256, .model_dim = 3584,
               .ffn_dim = 14336, .vocab_size = 256000, .max_seq_len = 8192,
               .tied_embeddings = true, .norms_per_layer = 4, .window = 4096, .window_period = 2,
               .weight_dtype = DType::bf16, .published_params = 9241705984,
               .source = "google/gemma-2-9b-it config.json (sliding_window 4096, every other layer); "
                         "Gemma Team 2024, Gemma 2"},
    ModelShape{.name = "qwen2.5-7b",
               .n_layers = 28, .n_q_heads = 28, .n_kv_heads = 4, .head_dim = 128, .model_dim = 3584,
               .ffn_dim = 18944, .vocab_size = 152064, .max_seq_len = 131072,
               .qkv_bias = true,
               .weight_dtype = DType::bf16, .published_params = 7615616512,
               .source = "Qwen/Qwen2.5-7B config.json (use_sliding_window false); Qwen Team 2024"},
    ModelShape{.name = "smollm2-135m",
               .n_layers = 30, .n_q_heads = 9, .n_kv_heads = 3, .head_dim = 64, .model_dim = 576,
               .ffn_dim = 1536, .vocab_size = 49152, .max_seq_len = 8192,
               .tied_embeddings = true,
               .weight_dtype = DType::bf16, .published_params = 134515008,
               .source = "HuggingFaceTB/SmolLM2-135M config.json; Allal et al. 2025"},
};
// clang-format on

// Other spellings, already in the form that plain() gives.
constexpr struct {
  std::string_view alias, name;
} kAliases[] = {{"gpt2small", "gpt-2"},    {"gpt2base", "gpt-2"},       {"mistral7bv01", "mistral-7b"},
                {"mistral", "mistral-7b"}, {"smollm2", "smollm2-135m"}, {"gemma29bit", "gemma-2-9b"}};

constexpr size_t kLongestEcho = 64;  // bytes of an unknown name that a message repeats

/// "meta-llama/Meta-Llama-3-8B" → "llama38b"
std::string plain(std::string_view name) {
  if (const auto slash = name.rfind('/'); slash != std::string_view::npos) name.remove_prefix(slash + 1);
  std::string out;
  for (const char c : name)
    if (std::isalnum(static_cast<unsigned char>(c)))
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (out.starts_with("metallama")) out.erase(0, 4);
  if (out.ends_with("hf")) out.resize(out.size() - 2);
  return out;
}

/// The number of insertions, deletions and replacements that turn a into b.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);  // row[j]: distance of a[0, i) to b[0, j)
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row[b.size()];
}

}  // namespace

std::span<const ModelShape> presets() { return kPresets; }

const ModelShape* preset_or_null(std::string_view name) {
  std::string wanted = plain(name);
  for (const auto& [alias, preset] : kAliases)
    if (wanted == alias) wanted = plain(preset);
  for (const ModelShape& shape : kPresets)
    if (plain(shape.name) == wanted) return &shape;
  return nullptr;
}

std::string near_presets(std::string_view name) {
  constexpr size_t kNear = 3;
  std::string wanted = plain(name.substr(0, kLongestEcho));
  for (const std::string_view tuned : {"instruct", "chat", "base", "it"})
    if (wanted.size() > tuned.size() && wanted.ends_with(tuned)) wanted.resize(wanted.size() - tuned.size());
  std::vector<std::string> nearest;
  size_t least = kNear;
  for (const ModelShape& shape : kPresets) {
    const size_t distance = edit_distance(wanted, plain(shape.name));
    if (distance > least || distance >= wanted.size()) continue;
    if (distance < least) nearest.clear();
    least = distance;
    nearest.push_back(fmt::format("\"{}\"", shape.name));
  }
  return nearest.empty() ? "" : fmt::format("did you mean {}? ", fmt::join(nearest, " or "));
}

const ModelShape& find_preset(std::string_view name) {
  if (const ModelShape* shape = preset_or_null(name)) return *shape;
  std::string all;
  for (const ModelShape& shape : kPresets) all += (all.empty() ? "" : ", ") + shape.name;
  throw UsageError("unknown model \"{}\": {}the presets are {}", name.substr(0, kLongestEcho),
                   near_presets(name), all);
}

}  // namespace lastrow
