#include "io/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "core/stop.h"
#include "io/checked.h"
#include "io/input_file.h"
#include "io/json.h"

namespace lastrow {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little endian; swap bytes here");

using nlohmann::json;

constexpr int64_t kLengthBytes = 8;
constexpr int64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
/// A header is nested three deep: {tensor: {shape: []}}. One tensor is about ten values, so the limit is
/// about 100,000 tensors.
constexpr JsonLimits kHeaderLimits = {.max_bytes = kMaxHeaderBytes, .max_values = 1 << 20, .max_depth = 3};

/// What the header says of one tensor. begin and end count bytes from the start of the data.
struct Placed {
  std::string name;
  DType dtype;
  Shape shape;
  int64_t begin, end;
  std::string why_not{};  // if the tensor cannot be read: what tensor(name) throws
};

std::optional<DType> dtype_in_file(const std::string& name) {
  static constexpr std::pair<std::string_view, DType> kKnown[] = {{"F64", DType::f64},
                                                                  {"F32", DType::f32},
                                                                  {"F16", DType::f16},
                                                                  {"BF16", DType::bf16},
                                                                  {"F8_E4M3", DType::fp8_e4m3},
                                                                  {"I64", DType::i64},
                                                                  {"I32", DType::i32},
                                                                  {"I8", DType::i8},
                                                                  {"U8", DType::u8},
                                                                  {"BOOL", DType::u8}};
  for (const auto& [known, dtype] : kKnown)
    if (known == name) return dtype;
  return {};
}

/// Reads an array of whole numbers ≥ 0.
std::vector<int64_t> counts(const json& j, const std::string& what, const char* field) {
  if (!j.is_array()) throw FileError("{}: {} is not an array; the file is damaged", what, field);
  std::vector<int64_t> numbers;
  for (const json& x : j) {
    // The library stores a number without sign, point and exponent as unsigned, and no other number.
    if (!x.is_number_unsigned())
      throw FileError("{}: {} holds {}, not a whole number ≥ 0; the file is damaged", what, field,
                      shown(x.is_structured() ? x.type_name() : x.dump(-1, ' ', true)));
    if (x.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
      throw FileError("{}: {} holds {}, which overflows 64 bits; the file is damaged", what, field,
                      x.get<uint64_t>());
    numbers.push_back(x.get<int64_t>());
  }
  return numbers;
}

const json& field(const json& tensor, const char* name, const std::string& what) {
  const auto it = tensor.find(name);
  if (it == tensor.end()) throw FileError("{} has no {}; the file is damaged", what, name);
  return *it;
}

Placed placed(const std::string& name, const json& j, const std::string& source) {
  const std::string what = fmt::format("{}: tensor {}", source, shown(name));
  if (!j.is_object()) throw FileError("{} is not described by an object; the file is damaged", what);
  const json& dtype_name = field(j, "dtype", what);
  if (!dtype_name.is_string()) throw FileError("{}: dtype is not text; the file is damaged", what);
  const std::optional<DType> dtype = dtype_in_file(dtype_name.get_ref<const std::string&>());
  const std::vector<int64_t> dims = counts(field(j, "shape", what), what, "shape");
  const auto offsets = counts(field(j, "data_offsets", what), what, "data_offsets");
  if (offsets.size() != 2 || offsets[0] > offsets[1])
    throw FileError("{}: data_offsets is not [begin, end] with begin ≤ end; the file is damaged", what);
  // A file may hold more tensors than its reader needs.
  // So one that cannot be read is no error until it is used.
  if (!dtype)
    return {name,
            DType::u8,
            {},
            offsets[0],
            offsets[1],
            fmt::format("{} has dtype {}, which lastrow does not read; convert it to "
                        "F32, F16, BF16, I64 or I32",
                        what, shown(dtype_name.get_ref<const std::string&>()))};
  if (dims.size() > static_cast<size_t>(Shape::kMaxRank))
    return {name,
            *dtype,
            {},
            offsets[0],
            offsets[1],
            fmt::format("{} has {} dimensions, but lastrow allows at most {}; "
                        "reshape it before saving",
                        what, dims.size(), Shape::kMaxRank)};
  const Shape shape = checked_shape(dims, *dtype, what);
  const int64_t bytes = shape.size() * static_cast<int64_t>(size_of(*dtype));
  if (offsets[1] - offsets[0] != bytes)
    throw FileError("{}: {} {} is {} bytes, but its data_offsets span {}; the file is damaged", what,
                    name_of(*dtype), shape.to_string(), bytes, offsets[1] - offsets[0]);
  return {name, *dtype, shape, offsets[0], offsets[1]};
}

/// The tensors, in the order of their data. They must cover the data exactly, without overlaps or holes.
std::vector<Placed> placed_tensors(const json& header, int64_t data_bytes, const std::string& source) {
  std::vector<Placed> tensors;
  for (const auto& [name, j] : header.items())
    if (name != "__metadata__") tensors.push_back(placed(name, j, source));
  std::sort(tensors.begin(), tensors.end(), [](const Placed& a, const Placed& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  int64_t covered = 0;
  for (const Placed& t : tensors) {
    if (t.end > data_bytes)
      throw FileError("{}: tensor {} ends at byte {} of {}; the file was cut short or is damaged", source,
                      shown(t.name), t.end, data_bytes);
    if (t.begin != covered)
      throw FileError(
          "{}: tensor {} begins at byte {}, {} the data before it, which ends at {}; the file is damaged",
          source, shown(t.name), t.begin, t.begin < covered ? "overlapping" : "leaving a hole after",
          covered);
    covered = t.end;
  }
  if (covered != data_bytes)
    throw FileError("{}: {} bytes after the last tensor belong to no tensor; the file is damaged", source,
                    data_bytes - covered);
  return tensors;
}

std::map<std::string, std::string> read_metadata(const json& header, const std::string& source) {
  std::map<std::string, std::string> metadata;
  const auto it = header.find("__metadata__");
  if (it == header.end()) return metadata;
  if (!it->is_object()) throw FileError("{}: __metadata__ is not an object; the file is damaged", source);
  for (const auto& [key, value] : it->items()) {
    if (!value.is_string())
      throw FileError("{}: metadata {} is not text; write numbers and lists as strings", source, shown(key));
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

/// Checks the header length that the first 8 bytes of a file give. The file has `file_bytes` bytes.
int64_t header_length(uint64_t length, int64_t file_bytes, const std::string& source) {
  if (length > static_cast<uint64_t>(kMaxHeaderBytes))
    throw FileError(
        "{}: its header claims {} bytes, but the format allows at most {}; is this a safetensors file?",
        source, length, kMaxHeaderBytes);
  const auto bytes = static_cast<int64_t>(length);
  if (bytes > file_bytes - kLengthBytes)
    throw FileError(
        "{}: its header claims {} bytes, but {} follow; it was cut short, or is not a safetensors file",
        source, bytes, file_bytes - kLengthBytes);
  return bytes;
}

void require_length(int64_t file_bytes, const std::string& source) {
  if (file_bytes < kLengthBytes)
    throw FileError("{}: has {} bytes, too few for a safetensors file; fetch or write it again", source,
                    file_bytes);
}

bool is_aligned(const void* p, DType dtype) { return reinterpret_cast<uintptr_t>(p) % size_of(dtype) == 0; }

}  // namespace

/// The content of the header, checked against itself and against the number of bytes that follow it.
struct SafetensorsFile::Header {
  std::vector<Placed> tensors;
  std::map<std::string, std::string> metadata;
};

SafetensorsFile::Header SafetensorsFile::read_header(std::string_view text, int64_t data_bytes,
                                                     const std::string& source) {
  if (!text.starts_with('{'))
    throw FileError("{}: its header does not begin with '{{'; is this a safetensors file?", source);
  const json header = parse_json(text, source + " (header)", kHeaderLimits);
  return {placed_tensors(header, data_bytes, source), read_metadata(header, source)};
}

SafetensorsFile::SafetensorsFile(Header header, std::span<const std::byte> data, std::string source)
    : source_(std::move(source)), metadata_(std::move(header.metadata)) {
  for (const Placed& t : header.tensors) {
    names_.push_back(t.name);
    if (!t.why_not.empty()) {
      unreadable_.emplace(t.name, t.why_not);
      continue;
    }
    ConstTensorView view(static_cast<const void*>(data.data() + t.begin), t.dtype, t.shape);
    if (!is_aligned(view.raw(), t.dtype)) {
      Tensor copy(Memory::host(), t.dtype, t.shape);
      std::memcpy(copy.view().raw(), view.raw(), static_cast<size_t>(view.size_bytes()));
      view = std::as_const(copy).view();
      owned_.push_back(std::move(copy));
    }
    tensors_.emplace(t.name, view);
  }
}

SafetensorsFile SafetensorsFile::from_bytes(std::span<const std::byte> bytes, std::string source) {
  require_length(std::ssize(bytes), source);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const auto header_bytes = static_cast<size_t>(header_length(length, std::ssize(bytes), source));
  const auto* text = reinterpret_cast<const char*>(bytes.data()) + kLengthBytes;
  const auto data = bytes.subspan(kLengthBytes + header_bytes);
  return {read_header({text, header_bytes}, std::ssize(data), source), data, std::move(source)};
}

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  InputFile file(path);
  require_length(file.size_bytes(), file.name());
  uint64_t length = 0;
  file.read(&length, sizeof length);
  std::string text(static_cast<size_t>(header_length(length, file.size_bytes(), file.name())), '\0');
  file.read(text.data(), std::ssize(text));

  // Check the header before allocating memory: a sparse file may be larger than the machine's memory.
  const int64_t data_bytes = file.size_bytes() - kLengthBytes - std::ssize(text);
  Header header = read_header(text, data_bytes, file.name());
  Tensor data(Memory::host(), DType::u8, {data_bytes});
  constexpr int64_t kPiece = int64_t{16} << 20;
  for (int64_t at = 0; at < data_bytes; at += kPiece) {
    stop_if_asked();
    file.read(static_cast<std::byte*>(data.view().raw()) + at, std::min(kPiece, data_bytes - at));
  }
  const std::span bytes(static_cast<const std::byte*>(data.view().raw()), static_cast<size_t>(data_bytes));
  SafetensorsFile result(std::move(header), bytes, file.name());
  result.owned_.push_back(std::move(data));
  return result;
}

ConstTensorView SafetensorsFile::tensor(std::string_view name) const {
  if (const auto it = tensors_.find(name); it != tensors_.end()) return it->second;
  if (const auto it = unreadable_.find(name); it != unreadable_.end()) throw FileError("{}", it->second);
  constexpr size_t kShown = 8;
  std::string some;
  for (size_t i = 0; i < std::min(names_.size(), kShown); ++i)
    some += (i == 0 ? "" : ", ") + shown(names_[i]);
  if (names_.size() > kShown) some += fmt::format(" and {} more", names_.size() - kShown);
  throw FileError("{}: has no tensor {}; it has {}", source_, shown(name), names_.empty() ? "none" : some);
}

}  // namespace lastrow
