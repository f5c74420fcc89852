#include "gpu/driver/timed_shapes.h"

#include <algorithm>
#include <sstream>

#include "cache/kv_codec.h"
#include "core/error.h"

namespace lastrow::driver {
namespace {

constexpr struct Heads {
  int32_t n_q_heads, n_kv_heads, head_dim;
} kHeadShapes[] = {{32, 32, 128}, {32, 8, 128}, {64, 8, 128}, {71, 1, 64}, {9, 3, 64}};
constexpr int32_t kBatches[] = {1, 8, 32, 128};
constexpr int32_t kKvLens[] = {512, 4096, 32768};
constexpr DType kStoredTypes[] = {DType::bf16, DType::f16, DType::i8, DType::fp8_e4m3};
constexpr int32_t kBlockLens[] = {0, 16, 64};
constexpr int32_t kPrefill = 4096;

TimedShape decode(Heads h, int32_t batch, int32_t kv_len, DType type = DType::bf16, int32_t block_len = 0) {
  return {h.n_q_heads, h.n_kv_heads, h.head_dim, batch, 1, kv_len, type, block_len};
}
TimedShape prefill(Heads h) {
  return {h.n_q_heads, h.n_kv_heads, h.head_dim, 1, kPrefill, kPrefill, DType::bf16, 0};
}

/// Every shape of heads in contiguous bf16. For 32:8×128 also every type in contiguous blocks, and every
/// block length in bf16, except for the largest batch and the shortest length.
bool in_table(const TimedShape& s) {
  const bool plain = s.dtype == DType::bf16 && s.block_len == 0,
             usual = s.n_q_heads == 32 && s.n_kv_heads == 8,
             one_differs = (s.dtype == DType::bf16) != (s.block_len == 0);
  return plain || (usual && one_differs && s.batch != 128 && s.kv_len != 512);
}

std::vector<TimedShape> products(bool table) {
  std::vector<TimedShape> shapes;
  const auto add = [&](const TimedShape& s) {
    if (s.kv_bytes() <= kMostKvBytes && (!table || in_table(s))) shapes.push_back(s);
  };
  for (const Heads& heads : kHeadShapes)
    if (!table || heads.n_kv_heads == 8) add(prefill(heads));
  for (const Heads& heads : kHeadShapes)
    for (const int32_t batch : kBatches)
      for (const int32_t len : kKvLens)
        for (const DType type : kStoredTypes)
          for (const int32_t block : kBlockLens) add(decode(heads, batch, len, type, block));
  return shapes;
}

/// Shapes by K/V bytes: 0.5 to 1 GB, where only the bandwidth counts; 17 to 134 MB at batch 1, where
/// splitting and merging count too. Then each other shape of heads and each other stored type once, and pages
/// of 16.
std::vector<TimedShape> few() {
  constexpr Heads kUsual{32, 8, 128}, kEight{64, 8, 128}, kMha{32, 32, 128}, kMqa{71, 1, 64},
      kThree{9, 3, 64};
  return {prefill(kUsual),          prefill(kEight),
          decode(kUsual, 32, 4096), decode(kUsual, 1, 4096),
          decode(kEight, 32, 4096), decode(kUsual, 8, 32768),
          decode(kUsual, 1, 32768), decode(kUsual, 32, 4096, DType::i8),
          decode(kMqa, 128, 4096),  decode(kUsual, 32, 4096, DType::bf16, 16),
          decode(kMha, 8, 4096),    decode(kUsual, 32, 4096, DType::fp8_e4m3),
          decode(kThree, 32, 4096), decode(kUsual, 32, 4096, DType::f16)};
}

/// "32:8x128 b1" → {"32:8×128", "b1"}
std::vector<std::string> words_in(std::string_view text) {
  std::string with_times;
  for (const char c : text) with_times += c == 'x' ? std::string("×") : std::string(1, c);
  std::istringstream stream(with_times);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

bool fits(const TimedShape& shape, const std::vector<std::string>& wanted) {
  std::vector<std::string> own = words_in(shape.name());
  own.push_back(shape.q_len == 1 ? "decode" : "prefill");
  if (shape.block_len == 0) own.push_back("contiguous");
  return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& word) {
    return std::find(own.begin(), own.end(), word) != own.end();
  });
}

}  // namespace

std::string TimedShape::name() const {
  return fmt::format("{}:{}×{} b{} {}kv{} {}{}", n_q_heads, n_kv_heads, head_dim, batch,
                     q_len == 1 ? "" : fmt::format("q{} ", q_len), kv_len, name_of(dtype),
                     block_len == 0 ? "" : fmt::format(" paged{}", block_len));
}

gpu::AttendShape TimedShape::shape() const {
  const int32_t len = block_len == 0 ? kv_len : block_len, per_seq = (kv_len + len - 1) / len;
  return {.n_q_heads = n_q_heads,
          .n_kv_heads = n_kv_heads,
          .head_dim = head_dim,
          .kv_dtype = dtype,
          .n_tokens = batch * q_len,
          .n_seqs = batch,
          .max_q_len = q_len,
          .max_kv_len = kv_len,
          .block_len = len,
          .blocks_per_seq = per_seq,
          .n_blocks = int64_t{per_seq} * batch};
}

int64_t TimedShape::kv_bytes() const {
  return int64_t{2} * batch * kv_len * n_kv_heads * stored_row_bytes(dtype, head_dim);
}

std::vector<TimedShape> timed_shapes(ShapeSet set) {
  return set == ShapeSet::few ? few() : products(set == ShapeSet::table);
}

std::vector<TimedShape> chosen_shapes(ShapeSet set, const std::vector<std::string>& choices) {
  const std::vector<TimedShape> all = timed_shapes(set);
  if (choices.empty()) return all;
  std::vector<TimedShape> chosen;
  const auto is_chosen = [&](const TimedShape& shape) {
    return std::any_of(chosen.begin(), chosen.end(),
                       [&](const TimedShape& other) { return other.name() == shape.name(); });
  };
  for (const std::string& choice : choices) {
    const std::vector<std::string> wanted = words_in(choice);
    if (wanted.empty()) throw UsageError("--only '{}' has no words: use decode or prefill", choice);
    bool any = false;
    for (const TimedShape& shape : all) {
      if (!fits(shape, wanted)) continue;
      any = true;
      if (!is_chosen(shape)) chosen.push_back(shape);
    }
    if (!any)
      throw UsageError(
          "no shape fits --only '{}': use words of a shape's name, as in '{}', or decode or prefill", choice,
          all.front().name());
  }
  return chosen;
}

}  // namespace lastrow::driver
