#include <algorithm>
#include <bit>

#include "io/atomic_file.h"
#include "io/checked.h"
#include "io/json.h"
#include "io/safetensors.h"

namespace lastrow {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little endian; swap bytes here");

std::string_view name_in_file(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return "F64";
    case DType::f32:
      return "F32";
    case DType::f16:
      return "F16";
    case DType::bf16:
      return "BF16";
    case DType::fp8_e4m3:
      return "F8_E4M3";
    case DType::i64:
      return "I64";
    case DType::i32:
      return "I32";
    case DType::i8:
    case DType::i8_channel:  // without its scales
      return "I8";
    case DType::u8:
    case DType::fp4x2:  // without their scales the codes are only bytes
    case DType::i4x2:
      return "U8";
  }
  LASTROW_CHECK(false, "dtype {}", static_cast<int>(dtype));
}

/// `text` as a JSON string.
std::string json_string(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw UsageError("{} is not UTF-8: use UTF-8 for names and metadata of a safetensors file", shown(text));
  }
}

}  // namespace

void SafetensorsWriter::add(const std::string& name, ConstTensorView tensor) {
  json_string(name);  // refuses a bad name now, while the caller can still choose another
  const bool taken =
      std::any_of(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
  if (taken || name == "__metadata__")
    throw UsageError("tensor name {} is {}: choose another", shown(name),
                     taken ? "already used" : "reserved");
  entries_.push_back({name, tensor.dtype(), tensor.shape(), {tensor}});
}

void SafetensorsWriter::add_rows(const std::string& name, std::vector<ConstTensorView> parts) {
  if (parts.empty())
    throw ShapeError("tensor {} has no parts: give at least one; it may have no rows", shown(name));
  const ConstTensorView& first = parts.front();
  int64_t n_rows = 0;
  for (const ConstTensorView& part : parts) {
    if (part.shape().rank() == 0 || part.dtype() != first.dtype() ||
        part.shape().with_rows(0) != first.shape().with_rows(0))
      throw ShapeError("parts of tensor {}: {} {} does not continue {} {}", shown(name),
                       name_of(part.dtype()), part.shape().to_string(), name_of(first.dtype()),
                       first.shape().to_string());
    n_rows += part.n_rows();
  }
  add(name, first);
  entries_.back().shape = first.shape().with_rows(n_rows);
  entries_.back().parts = std::move(parts);
}

void SafetensorsWriter::metadata(const std::string& key, const std::string& value) {
  json_string(key);
  json_string(value);
  metadata_[key] = value;
}

void SafetensorsWriter::write(const std::filesystem::path& path) const {
  AtomicFile file(path);
  write(file);
  file.commit();
}

void SafetensorsWriter::write(AtomicFile& file) const {
  std::vector<const Entry*> order;
  for (const Entry& entry : entries_) order.push_back(&entry);
  std::stable_sort(order.begin(), order.end(),
                   [](const Entry* a, const Entry* b) { return size_of(a->dtype) > size_of(b->dtype); });

  std::string header = "{";
  if (!metadata_.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata_) header += json_string(key) + ":" + json_string(value) + ",";
    header.back() = '}';
    header += ",";
  }
  int64_t begin = 0;
  for (const Entry* e : order) {
    const int64_t end = begin + e->shape.size() * static_cast<int64_t>(size_of(e->dtype));
    std::string dims;
    for (int i = 0; i < e->shape.rank(); ++i) dims += fmt::format("{}{}", i == 0 ? "" : ",", e->shape[i]);
    header += fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}},",
                          json_string(e->name), name_in_file(e->dtype), dims, begin, end);
    begin = end;
  }
  if (header.back() == ',') header.pop_back();
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');

  const uint64_t length = header.size();
  file.write(&length, sizeof length);
  file.write(header);
  for (const Entry* e : order)
    for (const ConstTensorView& part : e->parts) file.write(part.raw(), part.size_bytes());
}

}  // namespace lastrow
