// Judged by cache_bytes, the calculator behind `lastrow memory`.
#include <algorithm>

#include "cost/presets.h"
#include "lessons/exercises/checkers/checker.h"

using namespace lastrow;
using namespace lastrow::exercises;

namespace {

int64_t rounded_row(const ModelShape& shape, const CacheFormat& format) {
  return (shape.head_dim * format.elem_bits + 7) / 8;
}

using Formula = int64_t (*)(const ModelShape& shape, int64_t context, int64_t batch,
                            const CacheFormat& format);

/// The right formula with one mistake.
struct Changes {
  int64_t kinds = 2;
  bool query_heads = false, no_window = false, every_window = false, no_scale = false, one_sequence = false;
};
template <Changes changes>
int64_t changed(const ModelShape& shape, int64_t context, int64_t batch, const CacheFormat& format) {
  int64_t bytes = 0;
  for (int64_t layer = 0; layer < shape.n_layers; ++layer) {
    int64_t window = changes.every_window ? shape.window : shape.layer_window(layer);
    if (changes.no_window) window = 0;
    bytes += changes.kinds * (changes.query_heads ? shape.n_q_heads : shape.n_kv_heads) *
             (window > 0 ? std::min(context, window) : context) * (changes.one_sequence ? 1 : batch) *
             (rounded_row(shape, format) +
              (changes.no_scale ? 0 : format.n_scales(shape.head_dim) * format.scale_bytes));
  }
  return bytes;
}

struct Mistake {
  Formula formula;
  const char* hint;
};
constexpr Mistake kMistakes[] = {
    {changed<Changes{.kinds = 1}>, "Keys and values are both kept: 2 rows per token."},
    {changed<Changes{.kinds = 3}>, "Queries are not kept: 2 rows per token, a key and a value."},
    {changed<Changes{.query_heads = true}>,
     "Rows are kept for each K/V head. There are more query heads, and nothing is kept for them."},
    {changed<Changes{.no_window = true}>,
     "A layer with a window never reads older rows, so it does not keep them."},
    {changed<Changes{.every_window = true}>,
     "Not every layer has the window: ask shape.layer_window(layer)."},
    {changed<Changes{.no_scale = true}>, "Each row of K and of V has its own scales."},
    {changed<Changes{.one_sequence = true}>, "Every sequence of the batch has its own rows."},
};

void compare(const char* preset, int64_t context, int64_t batch, const char* format_name) {
  const ModelShape& shape = find_preset(preset);
  const CacheFormat& format = cache_format(format_name);
  const int64_t yours = bytes_of_cache(shape, context, batch, format),
                expected = cache_bytes(shape, context, batch, format);
  if (yours == expected) return;
  std::string hint = "layers × 2 × K/V heads × tokens kept × sequences × bytes of a row.";
  for (const Mistake& mistake : kMistakes)
    if (yours == mistake.formula(shape, context, batch, format)) hint = mistake.hint;
  throw Wrong{fmt::format("{}, {} tokens, batch {}, {}: {} bytes, expected {}, which is {}", shape.name,
                          with_commas(context), batch, format_name, with_commas(yours), with_commas(expected),
                          gib_and_gb(expected)),
              hint,
              {"this model", ""},
              {{"layers", fmt::format("{}", shape.n_layers)},
               {"query heads", fmt::format("{}", shape.n_q_heads)},
               {"K/V heads", fmt::format("{}", shape.n_kv_heads)},
               {"head_dim", fmt::format("{}", shape.head_dim)},
               {"layers with a window",
                shape.n_window_layers() == 0
                    ? "none"
                    : fmt::format("{} of {} tokens", shape.n_window_layers(), with_commas(shape.window))}}};
}

void check_05(Checker& c) {
  c.tries("2 · 32 layers · 32 heads · 2048 tokens · 128 · 2 bytes = 1 GiB");
  compare("llama-2-7b", 2048, 1, "f16");
  c.tries("grouped heads");
  compare("llama-3-8b", 8192, 1, "f16");
  c.tries("16 sequences");
  compare("llama-3-8b", 8192, 16, "f16");
  c.tries("a window in every layer, shorter and longer than the context");
  compare("mistral-7b-v0.1", 1000, 1, "f16");
  compare("mistral-7b-v0.1", 32768, 2, "f16");
  c.tries("a window in every other layer");
  compare("gemma-2-9b", 8192, 1, "bf16");
  c.tries("int8 with a scale per row, fp8, int4 with a scale per 32 elements");
  for (const char* format : {"int8", "fp8", "int4"}) compare("llama-3-8b", 8192, 1, format);
  c.tries("every model, every format, contexts of 1 to 131,072 tokens");
  for (const ModelShape& shape : presets())
    for (const CacheFormat& format : cache_formats()) {
      if (format.channel_scale_bytes > 0) continue;  // it has no rows with scales of their own
      for (const int64_t context : {1, 4095, 4096, 4097, 131072})
        for (const int64_t batch : {1, 7})
          compare(std::string(shape.name).c_str(), context, batch, std::string(format.name).c_str());
    }
}

}  // namespace

int main(int argc, char** argv) {
  return run_checker(argc, argv,
                     {5, "the memory formula", "lessons/exercises/05_cache_memory.cpp",
                      "Now try `lastrow memory`. src/cost/memory.h says what the formula leaves out."},
                     check_05);
}
