// Reads q, k and v for `lastrow attend`, in all file formats, types and layouts.
#include <algorithm>
#include <vector>

#include "cli/attention_file.h"
#include "cli/named_tensors.h"
#include "core/memory_limit.h"
#include "io/checked.h"

namespace lastrow::cli {
namespace {

/// Limits far above the sizes of any model. They make sizes fit in int32, and the flop of a row in int64.
constexpr int64_t kMaxHeads = 4096, kMaxHeadDim = 4096;

/// [batch, heads, tokens, dim] → [batch · tokens, heads, dim], f32.
Tensor tokens_first(ConstTensorView x) {
  const int64_t n_batch = x.dim(0), n_heads = x.dim(1), n_tokens = x.dim(2), dim = x.dim(3);
  Tensor wide = Tensor::host(DType::f32, x.shape());
  convert(x, wide.view());
  Tensor result = Tensor::host(DType::f32, {n_batch * n_tokens, n_heads, dim});
  const float* from = wide.data<float>();
  for (int64_t b = 0; b < n_batch; ++b)
    for (int64_t h = 0; h < n_heads; ++h)
      for (int64_t s = 0; s < n_tokens; ++s, from += dim)
        std::copy_n(from, dim, result.data<float>() + ((b * n_tokens + s) * n_heads + h) * dim);
  return result;
}

struct Found {
  Tensor rows;  // f32 [n_batch · n_tokens, n_heads, dim]
  DType dtype;  // in the file
  Shape shape;  // in the file
  int64_t n_batch, n_tokens;
};

ConstTensorView tensor_of_type(NamedTensors& file, const char* name, const char* types,
                               std::initializer_list<DType> allowed) {
  const ConstTensorView x = file.tensor(name);
  if (std::find(allowed.begin(), allowed.end(), x.dtype()) == allowed.end())
    throw FileError("{}: {} is {}; convert it to {}", file.source(), name, name_of(x.dtype()), types);
  return x;
}

void require_within(const std::string& source, const char* what, int64_t value, int64_t least, int64_t most) {
  if (value < least || value > most)
    throw FileError("{}: {} is {}; it must be from {} to {}", source, what, value, least, most);
}

/// Call it before a size is used in int32, or divides.
void check_sizes(const std::string& source, const char* name, int64_t n_tokens, int64_t n_heads,
                 int64_t head_dim) {
  const bool is_q = *name == 'q';
  require_within(source, is_q ? "q_len" : "kv_len", n_tokens, 0, kMaxLength);
  require_within(source, is_q ? "n_q_heads" : "n_kv_heads", n_heads, 1, kMaxHeads);
  require_within(source, "head_dim", head_dim, 1, kMaxHeadDim);
}

Found find(NamedTensors& file, const char* name, const char* shape, const char* types,
           std::initializer_list<DType> allowed, bool bhsd) {
  const ConstTensorView x = tensor_of_type(file, name, types, allowed);
  const int rank = bhsd ? 4 : 3;
  if (x.shape().rank() != rank)
    throw FileError("{}: {} is {}; reshape it to {}{}", file.source(), name, x.shape().to_string(),
                    bhsd ? "[batch, heads, tokens, head_dim]" : shape,
                    x.shape().rank() == 4 ? ", or give --layout bhsd" : "");
  check_sizes(file.source(), name, x.dim(bhsd ? 2 : 0), x.dim(1), x.dim(rank - 1));
  // An f32 copy beside the bytes of the file, and a second one if the layout changes.
  require_memory(x.size() * 4 * (bhsd ? 2 : 1), file.source(), "use fewer queries or keys");
  if (bhsd) {
    for (int i = 0; i < rank; ++i)
      if (x.dim(i) > kMaxLength)
        throw FileError("{}: {} is {}; each size may be at most {}", file.source(), name,
                        x.shape().to_string(), kMaxLength);
    return {tokens_first(x), x.dtype(), x.shape(), x.dim(0), x.dim(2)};
  }
  Found found{Tensor::host(DType::f32, x.shape()), x.dtype(), x.shape(), 1, x.dim(0)};
  convert(x, found.rows.view());
  return found;
}

RowLayout layout_of(const Shape& paged) {
  return {static_cast<int32_t>(paged[1]), static_cast<int32_t>(paged[2]), static_cast<int32_t>(paged[3])};
}

/// The rows of k or v in the slots that sequences use, in the order of packing.slots. The tensor is
/// [n_blocks, n_kv_heads, block_len, head_dim].
Found find_in_blocks(NamedTensors& file, const char* name, const Packing& packing, const char* types,
                     std::initializer_list<DType> allowed) {
  const ConstTensorView x = tensor_of_type(file, name, types, allowed);
  check_sizes(file.source(), name, packing.n_rows(), x.dim(1), x.dim(3));
  const RowLayout layout = layout_of(x.shape());
  require_memory(packing.n_rows() * layout.n_kv_heads * layout.head_dim * 4, file.source(), "use fewer keys");
  Found found{Tensor::host(DType::f32, {packing.n_rows(), layout.n_kv_heads, layout.head_dim}), x.dtype(),
              x.shape(), 1, packing.n_rows()};
  const ConstTensorView rows = x.reshaped({x.size() / layout.head_dim, layout.head_dim});
  const TensorView found_rows =
      found.rows.view().reshaped({packing.n_rows() * layout.n_kv_heads, layout.head_dim});
  int64_t n = 0;
  for (const int64_t slot : packing.slots)
    for (int32_t g = 0; g < layout.n_kv_heads; ++g)
      convert(rows.rows(scale_offset(layout, slot, g), 1), found_rows.rows(n++, 1));
  return found;
}

/// The scale of each row of `codes` and each head, as codes.rows has them.
std::vector<float> scales_of(NamedTensors& file, const char* name, const Found& codes, const Packing& packing,
                             bool bhsd) {
  if (!file.has(name))
    throw FileError("{}: {} is {}, but there is no {}; add it, with one f32 per token and K/V head",
                    file.source(), std::string_view(name).substr(0, 1), name_of(codes.dtype), name);
  const ConstTensorView x = file.tensor(name);
  const Shape& s = codes.shape;
  const Shape expected = s.rank() == 4 ? Shape{s[0], s[1], s[2]} : Shape{s[0], s[1]};
  if (x.dtype() != DType::f32 || !(x.shape() == expected))
    throw FileError("{}: {} is {} {}; make it f32 {}", file.source(), name, name_of(x.dtype()),
                    x.shape().to_string(), expected.to_string());
  if (bhsd) {
    const Tensor moved = tokens_first(x.reshaped({s[0], s[1], s[2], 1}));
    return {moved.data<float>(), moved.data<float>() + moved.size()};
  }
  if (!packing.paged) return {x.data<float>(), x.data<float>() + x.size()};
  const RowLayout layout = layout_of(s);
  std::vector<float> scales;
  for (const int64_t slot : packing.slots)
    for (int32_t g = 0; g < layout.n_kv_heads; ++g)
      scales.push_back(x.data<float>()[scale_offset(layout, slot, g)]);
  return scales;
}

/// Replaces each code by code · scale.
void multiply(const std::vector<float>& scales, Found& codes) {
  const int64_t dim = codes.rows.shape()[2];
  float* element = codes.rows.data<float>();
  for (const float scale : scales)
    for (int64_t d = 0; d < dim; ++d, ++element) *element *= scale;
}

void check_shapes(const std::string& source, const Found& q, const Found& k, const Found& v) {
  const Shape &qs = q.rows.shape(), &ks = k.rows.shape();
  if (ks[2] != qs[2])
    throw FileError("{}: q has head_dim {}, but k has {}; make them equal", source, qs[2], ks[2]);
  if (!(v.shape == k.shape))
    throw FileError("{}: k is {}, but v is {}; make their shapes equal", source, k.shape.to_string(),
                    v.shape.to_string());
  if (q.n_batch != k.n_batch)
    throw FileError("{}: q has a batch of {}, but k has a batch of {}; make them equal", source, q.n_batch,
                    k.n_batch);
  if (qs[1] % ks[1] != 0)
    throw FileError("{}: {} query heads cannot share {} K/V heads; make n_q_heads a multiple of n_kv_heads",
                    source, qs[1], ks[1]);
}

/// Multiplies the codes of K and V by their scales. int8 needs scales. If K and V are both fp8, they have
/// scales for both or for neither.
void apply_scales(NamedTensors& file, const Packing& packing, bool bhsd, Found& k, Found& v) {
  const bool both_fp8 = k.dtype == DType::fp8_e4m3 && v.dtype == DType::fp8_e4m3;
  const bool scaled_fp8 = both_fp8 && (file.has("k_scale") || file.has("v_scale"));
  for (const auto& [name, codes] : {std::pair{"k_scale", &k}, {"v_scale", &v}}) {
    const bool is_fp8 = codes->dtype == DType::fp8_e4m3;
    if (codes->dtype == DType::i8 || scaled_fp8 || (is_fp8 && file.has(name)))
      multiply(scales_of(file, name, *codes, packing, bhsd), *codes);
  }
}

}  // namespace

AttentionInput read_attention_input(const std::filesystem::path& path, const InputOptions& options) {
  std::error_code unknown;  // then open() reports the reason
  if (const auto bytes = std::filesystem::file_size(path, unknown); !unknown)
    require_memory(static_cast<int64_t>(bytes), path.string(), "use fewer queries or keys");
  NamedTensors file(path);
  constexpr const char* kFloats = "f32, f16 or bf16";
  constexpr const char* kStored = "f32, f16, bf16, fp8 (e4m3) or int8";
  static constexpr std::initializer_list<DType> kKvTypes = {DType::f32, DType::f16, DType::bf16,
                                                            DType::fp8_e4m3, DType::i8};
  Found q = find(file, "q", "[q_len, n_q_heads, head_dim]", kFloats, {DType::f32, DType::f16, DType::bf16},
                 options.bhsd);
  const bool packed = has_packing(file);
  if (packed && options.bhsd)
    throw FileError(
        "{}: it has kv_len, q_len, q_start or block_table, which pack sequences; drop them, or drop --layout "
        "bhsd",
        file.source());
  const Shape k_shape = file.tensor("k").shape(), v_shape = file.tensor("v").shape();
  Packing packing;
  if (packed) packing = read_packing(file, q.n_tokens, k_shape);
  if (packing.paged && !(v_shape == k_shape))
    throw FileError("{}: k is {}, but v is {}; make their shapes equal", file.source(), k_shape.to_string(),
                    v_shape.to_string());
  const auto stored = [&](const char* name) {
    return packing.paged
               ? find_in_blocks(file, name, packing, kStored, kKvTypes)
               : find(file, name, "[kv_len, n_kv_heads, head_dim]", kStored, kKvTypes, options.bhsd);
  };
  Found k = stored("k"), v = stored("v");
  check_shapes(file.source(), q, k, v);
  if (!packed) packing = one_sequence(static_cast<int32_t>(q.n_tokens), static_cast<int32_t>(k.n_tokens));
  apply_scales(file, packing, options.bhsd, k, v);
  const AttendSpec spec = read_rules(file, q.rows.shape()[2], q.rows.shape()[1], options.rules);
  return {.source = file.source(),
          .bhsd = options.bhsd,
          .n_batch = q.n_batch,
          .packing = std::move(packing),
          .q = std::move(q.rows),
          .k = std::move(k.rows),
          .v = std::move(v.rows),
          .kv_dtypes = options.kv_dtypes.value_or(KvDtypes(k.dtype, v.dtype)),
          .spec = spec};
}

}  // namespace lastrow::cli
