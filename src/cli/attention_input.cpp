// Reads q, k and v for `lastrow attend`, in all file formats, types and layouts.
#include <algorithm>
#include <cmath>
#include <vector>

#include "cli/attention_file.h"
#include "core/memory_limit.h"
#include "core/number.h"
#include "io/checked.h"
#include "io/npz.h"
#include "io/safetensors.h"

namespace lastrow::cli {
namespace {

/// Limits far above the sizes of any model. They make sizes fit in int32, and the flop of a row in int64.
constexpr int64_t kMaxHeads = 4096, kMaxHeadDim = 4096, kMaxLength = int64_t{1} << 30;

/// The tensors of a safetensors or .npz file.
class NamedTensors {
 public:
  explicit NamedTensors(const std::filesystem::path& path) {
    if (path.extension() == ".npz")
      npz_ = NpzFile::open(path);
    else
      safetensors_ = SafetensorsFile::open(path);
  }
  const std::string& source() const { return npz_ ? npz_->source() : safetensors_->source(); }
  bool has(const char* name) const { return npz_ ? npz_->has(name) : safetensors_->has(name); }
  /// Valid until the next call.
  ConstTensorView tensor(const char* name) {
    if (!npz_) return safetensors_->tensor(name);
    array_ = npz_->tensor(name);
    return std::as_const(array_).view();
  }
  const std::string* metadata(const char* key) const {
    if (npz_) return nullptr;
    const auto found = safetensors_->metadata().find(key);
    return found == safetensors_->metadata().end() ? nullptr : &found->second;
  }

 private:
  std::optional<NpzFile> npz_;
  std::optional<SafetensorsFile> safetensors_;
  Tensor array_;
};

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

Found find(NamedTensors& file, const char* name, const char* shape, const char* types,
           std::initializer_list<DType> allowed, bool bhsd) {
  const ConstTensorView x = file.tensor(name);
  if (std::find(allowed.begin(), allowed.end(), x.dtype()) == allowed.end())
    throw FileError("{}: {} is {}; convert it to {}", file.source(), name, name_of(x.dtype()), types);
  const int rank = bhsd ? 4 : 3;
  if (x.shape().rank() != rank)
    throw FileError("{}: {} is {}; reshape it to {}{}", file.source(), name, x.shape().to_string(),
                    bhsd ? "[batch, heads, tokens, head_dim]" : shape,
                    x.shape().rank() == 4 ? ", or give --layout bhsd" : "");
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

/// Replaces each code by code · scale.
void apply_scales(NamedTensors& file, const char* name, Found& codes, bool bhsd) {
  if (!file.has(name))
    throw FileError("{}: K and V are {}, but there is no {}; add it, with one f32 per token and K/V head",
                    file.source(), name_of(codes.dtype), name);
  const ConstTensorView x = file.tensor(name);
  const Shape& s = codes.shape;
  const Shape expected = bhsd ? Shape{s[0], s[1], s[2]} : Shape{s[0], s[1]};
  if (x.dtype() != DType::f32 || !(x.shape() == expected))
    throw FileError("{}: {} is {} {}; make it f32 {}", file.source(), name, name_of(x.dtype()),
                    x.shape().to_string(), expected.to_string());
  const ConstTensorView rows = bhsd ? x.reshaped({s[0], s[1], s[2], 1}) : x;
  const Tensor moved = bhsd ? tokens_first(rows) : Tensor();
  const float* scale = bhsd ? moved.data<float>() : x.data<float>();
  const int64_t dim = codes.rows.shape()[2], n = codes.rows.shape()[0] * codes.rows.shape()[1];
  float* element = codes.rows.data<float>();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t d = 0; d < dim; ++d, ++element) *element *= scale[i];
}

void require_within(const std::string& source, const char* what, int64_t value, int64_t least, int64_t most) {
  if (value < least || value > most)
    throw FileError("{}: {} is {}; it must be from {} to {}", source, what, value, least, most);
}

void check_shapes(const std::string& source, const Found& q, const Found& k, const Found& v) {
  const Shape &qs = q.rows.shape(), &ks = k.rows.shape();
  require_within(source, "q_len", q.n_tokens, 0, kMaxLength);
  require_within(source, "kv_len", k.n_tokens, 0, kMaxLength);
  require_within(source, "n_q_heads", qs[1], 1, kMaxHeads);
  require_within(source, "n_kv_heads", ks[1], 1, kMaxHeads);
  require_within(source, "head_dim", qs[2], 1, kMaxHeadDim);
  if (ks[2] != qs[2])
    throw FileError("{}: q has head_dim {}, but k has {}; make them equal", source, qs[2], ks[2]);
  if (!(v.shape == k.shape))
    throw FileError("{}: k is {}, but v is {}; make their shapes equal", source, k.shape.to_string(),
                    v.shape.to_string());
  if (q.n_batch != k.n_batch)
    throw FileError("{}: q has a batch of {}, but k has a batch of {}; make them equal", source, q.n_batch,
                    k.n_batch);
  if (v.dtype != k.dtype)
    throw FileError("{}: k is {}, but v is {}; give both the same type", source, name_of(k.dtype),
                    name_of(v.dtype));
  if (qs[1] % ks[1] != 0)
    throw FileError("{}: {} query heads cannot share {} K/V heads; make n_q_heads a multiple of n_kv_heads",
                    source, qs[1], ks[1]);
}

/// The number in the metadata under `key`; empty if there is no such key. `parse` returns empty for text that
/// is not a number.
template <typename T>
std::optional<T> number(const NamedTensors& file, const char* key,
                        std::optional<T> (&parse)(std::string_view), const char* expected) {
  const std::string* const text = file.metadata(key);
  if (text == nullptr) return {};
  const std::optional<T> x = parse(*text);
  if (!x) throw FileError("{}: metadata {} is {}; write {}", file.source(), key, shown(*text), expected);
  return x;
}

AttendSpec read_spec(const NamedTensors& file, int64_t head_dim, std::optional<int32_t> window) {
  AttendSpec spec;
  if (const std::string* causal = file.metadata("causal")) {
    if (*causal != "true" && *causal != "false")
      throw FileError("{}: metadata causal is {}; write \"true\" or \"false\"", file.source(),
                      shown(*causal));
    spec.mask.causal = *causal == "true";
  }
  spec.scale = number(file, "scale", real_number, "a finite number such as \"0.125\"")
                   .value_or(static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim))));
  const auto in_file = number(file, "window", whole_number<int32_t>, "a number of keys such as \"128\"");
  spec.mask.window = window.value_or(in_file.value_or(0));
  if (spec.mask.window < 0)
    throw FileError("{}: window is {}; give a number of keys, or 0 for no window", file.source(),
                    spec.mask.window);
  return spec;
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
  Found k = find(file, "k", "[kv_len, n_kv_heads, head_dim]", kStored, kKvTypes, options.bhsd);
  Found v = find(file, "v", "[kv_len, n_kv_heads, head_dim]", kStored, kKvTypes, options.bhsd);
  check_shapes(file.source(), q, k, v);
  const bool scaled_fp8 = k.dtype == DType::fp8_e4m3 && (file.has("k_scale") || file.has("v_scale"));
  if (k.dtype == DType::i8 || scaled_fp8) {
    apply_scales(file, "k_scale", k, options.bhsd);
    apply_scales(file, "v_scale", v, options.bhsd);
  }
  const AttendSpec spec = read_spec(file, q.rows.shape()[2], options.window);
  return {.source = file.source(),
          .bhsd = options.bhsd,
          .n_batch = q.n_batch,
          .q_len = q.n_tokens,
          .kv_len = k.n_tokens,
          .q = std::move(q.rows),
          .k = std::move(k.rows),
          .v = std::move(v.rows),
          .kv_dtype = options.kv_dtype.value_or(k.dtype),
          .spec = spec};
}

}  // namespace lastrow::cli
