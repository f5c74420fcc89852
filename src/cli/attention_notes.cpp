#include "cli/attention_notes.h"

#include <algorithm>
#include <cmath>

#include "cache/kv_codec.h"
#include "cache/kv_range.h"

namespace lastrow::cli {
namespace {

/// "token 3, head 1, element 7": where element i of x [n_batch · n_tokens, n_heads, dim] is.
std::string place(const AttentionInput& input, ConstTensorView x, int64_t n_tokens, int64_t i) {
  const int64_t row = i / x.row_size();
  return fmt::format("{}token {}, head {}, element {}",
                     input.n_batch == 1 ? "" : fmt::format("batch {}, ", row / n_tokens), row % n_tokens,
                     i % x.row_size() / x.dim(2), i % x.dim(2));
}

bool is_finite(ConstTensorView x) {
  const float* value = x.data<float>();
  return std::all_of(value, value + x.size(), [](float element) { return std::isfinite(element); });
}

void note_not_finite(const AttentionInput& input, const char* name, ConstTensorView x, int64_t n_tokens,
                     std::vector<std::string>& notes) {
  const float* value = x.data<float>();
  int64_t n = 0, first = 0;
  for (int64_t i = 0; i < x.size(); ++i)
    if (!std::isfinite(value[i]) && n++ == 0) first = i;
  if (n > 0)
    notes.push_back(fmt::format(
        "{} holds NaN or infinity in {} of its elements, first at element {} ({}); all results that "
        "depend on them will hold NaN or infinity too",
        name, n, first, place(input, x, n_tokens, first)));
}

const char* wider_than(DType type) { return type == DType::bf16 ? "f32" : "bf16 or f32"; }

void note_out_of_range(const AttentionInput& input, const char* name, ConstTensorView x,
                       std::vector<std::string>& notes) {
  const RangeCount beyond = out_of_range(x, input.kv_dtype);
  if (beyond.n > 0)
    notes.push_back(fmt::format(
        "{} holds {} elements beyond ±{:g}, the largest number of {}; the first is {} at {}; they are stored "
        "as {}; use {}",
        name, beyond.n, largest_of(input.kv_dtype), kv_dtype_name(input.kv_dtype),
        x.data<float>()[beyond.first], place(input, x, input.kv_len, beyond.first),
        input.kv_dtype == DType::fp8_e4m3 ? "±448" : "±infinity", wider_than(input.kv_dtype)));
}

std::string why_not_finite(const AttentionInput& input) {
  for (const auto& [name, x] : {std::pair{"q", input.q.view()}, {"k", input.k.view()}, {"v", input.v.view()}})
    if (!is_finite(x)) return fmt::format("{} holds NaN or infinity", name);
  for (const auto& [name, x] : {std::pair{"k", input.k.view()}, {"v", input.v.view()}})
    if (out_of_range(x, input.kv_dtype).n > 0)
      return fmt::format("{} holds elements that {} cannot store; use {}", name,
                         kv_dtype_name(input.kv_dtype), wider_than(input.kv_dtype));
  return "q, k and v are finite, but their scores or sums overflow f32; scale q down";
}

}  // namespace

std::vector<std::string> notes_on_input(const AttentionInput& input) {
  std::vector<std::string> notes;
  note_not_finite(input, "q", input.q.view(), input.q_len, notes);
  note_not_finite(input, "k", input.k.view(), input.kv_len, notes);
  note_not_finite(input, "v", input.v.view(), input.kv_len, notes);
  note_out_of_range(input, "k", input.k.view(), notes);
  note_out_of_range(input, "v", input.v.view(), notes);
  return notes;
}

std::vector<std::string> notes_on_output(const AttentionInput& input, const AttentionOutput& output) {
  struct Rows {
    int64_t n = 0, first = 0;
    void add(int64_t row) {
      if (n++ == 0) first = row;
    }
  } not_finite, all_minus_infinity;
  const int64_t n_heads = output.lse.shape()[1], head_dim = output.out.shape()[2];
  for (int64_t row = 0; row < output.lse.size(); ++row) {
    const auto t = static_cast<int32_t>(row / n_heads % input.q_len);
    const KeyRange keys = visible_keys(input.spec.mask, static_cast<int32_t>(input.q_len),
                                       static_cast<int32_t>(input.kv_len), t);
    const float lse = output.lse.data<float>()[row];
    const float* out = output.out.data<float>() + row * head_dim;
    const bool finite =
        std::all_of(out, out + head_dim, [](float element) { return std::isfinite(element); });
    const bool is_zero = std::all_of(out, out + head_dim, [](float element) { return element == 0; });
    if (!finite || std::isnan(lse) || lse == INFINITY)
      not_finite.add(row);
    else if (lse == -INFINITY && keys.begin < keys.end && is_zero)
      all_minus_infinity.add(row);
  }
  std::vector<std::string> notes;
  const auto note = [&](const char* what, const Rows& rows) {
    if (rows.n > 0)
      notes.push_back(fmt::format(
          "{} of {} rows {}; the first is {}query {}, head {}: {}", rows.n, output.lse.size(), what,
          input.n_batch == 1 ? "" : fmt::format("batch {}, ", rows.first / n_heads / input.q_len),
          rows.first / n_heads % input.q_len, rows.first % n_heads, why_not_finite(input)));
  };
  note("are NaN or infinite", not_finite);
  note("see keys, but have only scores of −∞", all_minus_infinity);
  return notes;
}

}  // namespace lastrow::cli
