// SavedCache as a safetensors file. Every number of a file is checked before it is used.
#include <cmath>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include "cache/kv_groups.h"
#include "io/atomic_file.h"
#include "io/checked.h"
#include "io/safetensors.h"
#include "ops/kv_storage.h"
#include "session/saved_cache.h"

namespace lastrow {
namespace {

constexpr const char* kSchema = "lastrow.cache.1";

std::string tensor_name(RowKind kind, int32_t layer) {
  return fmt::format("{}.{}", kind == RowKind::k ? "k" : "v", layer);
}

ConstTensorView view_of(const std::vector<int32_t>& numbers) {
  return {numbers.data(), {static_cast<int64_t>(numbers.size())}};
}

/// Encodes the row as the cache would, and decodes it again.
std::vector<float> as_stored(std::span<const float> row, DType stored) {
  std::vector<float> decoded(row.size());
  const auto n = static_cast<int32_t>(row.size());
  with_type(stored, [&]<typename T>(T) {
    if constexpr (is_grouped<T>) {
      std::vector<T> codes(row.size() / 2);
      std::vector<Half> scales(static_cast<size_t>(n_groups(n)));
      encode_groups(row.data(), n, codes.data(), scales.data());
      decode_groups(codes.data(), scales.data(), n, decoded.data());
    } else if constexpr (encodes_rows(dtype_of<T>)) {
      std::vector<T> codes(row.size());
      const float scale = encode_row(row.data(), n, codes.data());
      decode_row(codes.data(), scale, n, decoded.data());
    }
  });
  return decoded;
}

/// `text` from a file without what moves a cursor, cut between two characters after at most 80 bytes.
std::string short_text(std::string_view text) {
  std::string out = escaped(text).substr(0, 80);
  out.resize(valid_utf8(out));
  return out;
}

class Reader {
 public:
  explicit Reader(const SafetensorsFile& file) : file_(file) {}

  SavedCache read() {
    const std::string schema = metadata("lastrow.schema");
    if (schema != kSchema)
      fail("it is of schema {}, and this program reads {}: save it again", shown(schema), kSchema);
    SavedCache saved;
    saved.source = file_.source();
    saved.model = identity();
    saved.kv_dtype = kv_dtype();
    saved.cache_name = short_text(metadata("lastrow.cache"));
    saved.tokens = numbers("tokens");
    saved.positions = numbers("positions");
    check(saved);
    for (int32_t layer = 0; layer < saved.model.config.n_layers; ++layer) {
      saved.k.push_back(rows(saved, RowKind::k, layer));
      saved.v.push_back(rows(saved, RowKind::v, layer));
    }
    return saved;
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw FileError("{}: not a saved cache: {}", file_.source(),
                    fmt::format(format, std::forward<Args>(args)...));
  }

  std::string metadata(const char* key) const {
    const auto it = file_.metadata().find(key);
    if (it == file_.metadata().end()) fail("its metadata lacks {}", key);
    return it->second;
  }

  ModelIdentity identity() const {
    const std::string text = metadata("lastrow.model");
    try {
      return identity_from_json(text);
    } catch (const Error& e) {
      fail("{}", e.what());
    }
  }

  std::string kv_dtype() const {
    const std::string text = metadata("lastrow.kv_dtype");
    try {
      return kv_dtypes_name(kv_dtypes_from_name(text));
    } catch (const UsageError&) {
      fail("lastrow.kv_dtype is {}", shown(text));
    }
  }

  std::vector<int32_t> numbers(const char* name) const {
    const ConstTensorView tensor = file_.tensor(name);
    if (tensor.dtype() != DType::i32 || tensor.shape().rank() != 1)
      fail("{} is {} {}, not I32 [n_rows]", name, name_of(tensor.dtype()), tensor.shape().to_string());
    return {tensor.data<int32_t>(), tensor.data<int32_t>() + tensor.size()};
  }

  void check(const SavedCache& saved) const {
    const ModelConfig& config = saved.model.config;
    const size_t n_rows = saved.tokens.size();
    if (n_rows == 0) fail("it has no rows");
    if (saved.positions.size() != n_rows)
      fail("it has {} tokens and {} positions", n_rows, saved.positions.size());
    if (n_rows > static_cast<size_t>(config.max_seq_len))
      fail("it has {} rows, and the context of its model is {}", n_rows, config.max_seq_len);
    for (size_t i = 0; i < n_rows; ++i) {
      if (saved.tokens[i] < 0 || saved.tokens[i] >= config.vocab_size)
        fail("row {} is of token {}, which is outside the vocabulary of {}", i, saved.tokens[i],
             config.vocab_size);
      if (saved.positions[i] != static_cast<int32_t>(i))
        fail("row {} has position {}, and the positions must be 0, 1, 2 and so on", i, saved.positions[i]);
    }
  }

  /// A copy of the rows of one layer.
  Tensor rows(const SavedCache& saved, RowKind kind, int32_t layer) const {
    const ModelConfig& config = saved.model.config;
    const std::string name = tensor_name(kind, layer);
    const ConstTensorView view = file_.tensor(name);
    const Shape shape{saved.n_rows(), config.n_kv_heads, config.head_dim};
    if (view.shape() != shape) fail("{} is {}, not {}", name, view.shape().to_string(), shape.to_string());
    const ConstTensorView first = file_.tensor(tensor_name(kind, 0));
    if ((view.dtype() != DType::f16 && view.dtype() != DType::f32 && view.dtype() != DType::f64) ||
        view.dtype() != first.dtype())
      fail("{} is {}, not F16, F32 or F64 in all layers", name, name_of(view.dtype()));
    Tensor copy = Tensor::host(view.dtype(), shape);
    std::memcpy(copy.view().raw(), view.raw(), static_cast<size_t>(view.size_bytes()));
    const DType stored = kv_dtypes_from_name(saved.kv_dtype).of(kind);
    view.dtype() == DType::f64 ? check_rows<double>(view, name, stored)
                               : check_rows<float>(view, name, stored);
    return copy;
  }

  /// Refuses NaN and infinity, and rows that `stored` would change. No cache of this type held such rows.
  template <typename T>
  void check_rows(ConstTensorView rows, const std::string& name, DType stored) const {
    const int64_t n_heads = rows.dim(1), head_dim = rows.dim(2);
    Tensor wide = Tensor::host(dtype_of<T>, rows.shape());
    convert(rows, wide.view());
    const T* row = wide.data<T>();
    for (int64_t i = 0; i < rows.dim(0) * n_heads; ++i, row += head_dim) {
      const auto place = [&](int64_t d) {
        return fmt::format("{}[{}, {}, {}]", name, i / n_heads, i % n_heads, d);
      };
      for (int64_t d = 0; d < head_dim; ++d)
        if (!std::isfinite(row[d]))
          fail("{} is {}: save the rows again, from a session that stores them as f32", place(d), row[d]);
      if constexpr (std::is_same_v<T, float>) {
        const std::vector<float> held = as_stored({row, static_cast<size_t>(head_dim)}, stored);
        for (int64_t d = 0; d < head_dim; ++d)
          if (held[static_cast<size_t>(d)] != row[d])
            fail("{} is {}, which a cache in {} would hold as {}: save the rows again", place(d), row[d],
                 kv_dtype_name(stored), held[static_cast<size_t>(d)]);
      }
    }
  }

  const SafetensorsFile& file_;
};

}  // namespace

void write_saved_cache(const SavedCache& saved, const std::filesystem::path& path) {
  AtomicFile file(path);
  write_saved_cache(saved, file);
  file.commit();
}

void write_saved_cache(const SavedCache& saved, AtomicFile& file) {
  SafetensorsWriter writer;
  for (size_t layer = 0; layer < saved.k.size(); ++layer) {
    writer.add(tensor_name(RowKind::k, static_cast<int32_t>(layer)), saved.k[layer].view());
    writer.add(tensor_name(RowKind::v, static_cast<int32_t>(layer)), saved.v[layer].view());
  }
  writer.add("tokens", view_of(saved.tokens));
  writer.add("positions", view_of(saved.positions));
  writer.metadata("lastrow.schema", kSchema);
  writer.metadata("lastrow.model", to_json(saved.model));
  writer.metadata("lastrow.kv_dtype", saved.kv_dtype);
  writer.metadata("lastrow.cache", saved.cache_name);
  writer.write(file);
}

SavedCache read_saved_cache(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  return Reader(file).read();
}

}  // namespace lastrow
