#include "cli/attention_notes.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "cache/kv_codec.h"
#include "cache/kv_range.h"

namespace lastrow::cli {
namespace {

/// "token 3": where row `row` of q, k or v is. `n` rows belong to one problem of the batch.
std::string row_place(const AttentionInput& input, bool stored, int64_t row, int64_t n) {
  if (stored && input.packing.paged) {
    const int64_t slot = input.packing.slots[static_cast<size_t>(row)];
    return fmt::format("block {}, place {}", slot / input.packing.block_len, slot % input.packing.block_len);
  }
  return fmt::format("{}token {}", input.n_batch == 1 ? "" : fmt::format("batch {}, ", row / n), row % n);
}

/// "token 3, head 1, element 7": where element i of q, k or v is.
std::string place(const AttentionInput& input, const char* name, ConstTensorView x, int64_t i) {
  const bool stored = *name != 'q';
  const int64_t n = stored ? input.packing.n_rows() : input.packing.n_tokens();
  return fmt::format("{}, head {}, element {}", row_place(input, stored, i / x.row_size(), n),
                     i % x.row_size() / x.dim(2), i % x.dim(2));
}

bool is_finite(ConstTensorView x) {
  const float* value = x.data<float>();
  return std::all_of(value, value + x.size(), [](float element) { return std::isfinite(element); });
}

void note_not_finite(const AttentionInput& input, const char* name, ConstTensorView x,
                     std::vector<std::string>& notes) {
  const float* value = x.data<float>();
  int64_t n = 0, first = 0;
  for (int64_t i = 0; i < x.size(); ++i)
    if (!std::isfinite(value[i]) && n++ == 0) first = i;
  if (n > 0)
    notes.push_back(fmt::format(
        "{} holds NaN or infinity in {} of its elements, first at element {} ({}); all results that "
        "depend on them will hold NaN or infinity too",
        name, n, first, place(input, name, x, first)));
}

const char* wider_than(DType type) { return type == DType::bf16 ? "f32" : "bf16 or f32"; }

void note_out_of_range(const AttentionInput& input, const char* name, ConstTensorView x, DType dtype,
                       std::vector<std::string>& notes) {
  const RangeCount beyond = out_of_range(x, dtype);
  if (beyond.n > 0)
    notes.push_back(fmt::format(
        "{} holds {} elements beyond ±{:g}, the largest number of {}; the first is {} at {}; they are stored "
        "as {}; use {}",
        name, beyond.n, largest_of(dtype), kv_dtype_name(dtype), x.data<float>()[beyond.first],
        place(input, name, x, beyond.first),
        dtype == DType::f16 || dtype == DType::bf16 ? "±infinity" : fmt::format("±{:g}", largest_of(dtype)),
        wider_than(dtype)));
}

std::string why_not_finite(const AttentionInput& input) {
  for (const auto& [name, x] : {std::pair{"q", input.q.view()}, {"k", input.k.view()}, {"v", input.v.view()}})
    if (!is_finite(x)) return fmt::format("{} holds NaN or infinity", name);
  for (const auto& [name, x, dtype] :
       {std::tuple{"k", input.k.view(), input.kv_dtypes.k}, {"v", input.v.view(), input.kv_dtypes.v}})
    if (out_of_range(x, dtype).n > 0)
      return fmt::format("{} holds elements that {} cannot store; use {}", name, kv_dtype_name(dtype),
                         wider_than(dtype));
  return "q, k and v are finite, but their scores or sums overflow f32; scale q down";
}

}  // namespace

std::vector<std::string> notes_on_input(const AttentionInput& input) {
  std::vector<std::string> notes;
  note_not_finite(input, "q", input.q.view(), notes);
  note_not_finite(input, "k", input.k.view(), notes);
  note_not_finite(input, "v", input.v.view(), notes);
  note_out_of_range(input, "k", input.k.view(), input.kv_dtypes.k, notes);
  note_out_of_range(input, "v", input.v.view(), input.kv_dtypes.v, notes);
  return notes;
}

std::vector<std::string> notes_on_output(const AttentionInput& input, const AttentionOutput& output) {
  struct Rows {
    int64_t n = 0, first = 0;
    void add(int64_t row) {
      if (n++ == 0) first = row;
    }
  } not_finite, all_minus_infinity;
  const Packing& packing = input.packing;
  const int64_t n_heads = output.lse.shape()[1], head_dim = output.out.shape()[2];
  for (int64_t row = 0; row < output.lse.size(); ++row) {
    const auto token = static_cast<int32_t>(row / n_heads % packing.n_tokens());
    const int32_t i = packing.sequence_of(token);
    const VisibleKeys keys =
        visible_keys(input.spec.mask, packing.q_len(i), packing.kv_len[i], token - packing.q_start[i]);
    const float lse = output.lse.data<float>()[row];
    const float* out = output.out.data<float>() + row * head_dim;
    const bool finite =
        std::all_of(out, out + head_dim, [](float element) { return std::isfinite(element); });
    const bool is_zero = std::all_of(out, out + head_dim, [](float element) { return element == 0; });
    if (!finite || std::isnan(lse) || lse == INFINITY)
      not_finite.add(row);
    else if (lse == -INFINITY && keys.count() > 0 && is_zero)
      all_minus_infinity.add(row);
  }
  std::vector<std::string> notes;
  const auto note = [&](const char* what, const Rows& rows) {
    if (rows.n > 0)
      notes.push_back(fmt::format(
          "{} of {} rows {}; the first is {}query {}, head {}: {}", rows.n, output.lse.size(), what,
          input.n_batch == 1 ? "" : fmt::format("batch {}, ", rows.first / n_heads / packing.n_tokens()),
          rows.first / n_heads % packing.n_tokens(), rows.first % n_heads, why_not_finite(input)));
  };
  note("are NaN or infinite", not_finite);
  note("see keys, but have only scores of −∞", all_minus_infinity);
  return notes;
}

}  // namespace lastrow::cli
