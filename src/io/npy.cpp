#include "io/npy.h"

#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "io/atomic_file.h"
#include "io/checked.h"
#include "io/input_file.h"

namespace lastrow {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little endian; swap bytes here");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr int64_t kPrologueBytes = 10;  // magic, version, 16-bit header length (32-bit since version 2)
constexpr int64_t kMaxNpyHeaderBytes = 1 << 16;  // an array of four dimensions needs about a hundred

constexpr std::pair<std::string_view, DType> kTypes[] = {
    {"<f8", DType::f64}, {"<f4", DType::f32}, {"<f2", DType::f16}, {"<i8", DType::i64},
    {"<i4", DType::i32}, {"|i1", DType::i8},  {"|u1", DType::u8}};

/// Reads the header, a Python dictionary such as {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& source) : rest_(text), source_(source) {}

  struct Header {
    DType dtype;
    Shape shape;
  };

  Header parse() {
    expect('{');
    while (!accept('}')) {
      const std::string_view key = text();
      expect(':');
      if (key == "descr" && !dtype_)
        dtype_ = dtype();
      else if (key == "fortran_order" && !order_seen_)
        order();
      else if (key == "shape" && !dims_)
        dims_ = dims();
      else
        fail(fmt::format("has {}, but may have only 'descr', 'fortran_order' and 'shape', once each",
                         shown(key)));
      if (accept(',')) continue;
      expect('}');
      break;
    }
    skip_space();
    if (!rest_.empty()) fail(fmt::format("continues with {} after its end", shown(rest_)));
    if (!dtype_ || !dims_ || !order_seen_) fail("lacks one of 'descr', 'fortran_order' and 'shape'");
    return {*dtype_, checked_shape(*dims_, *dtype_, source_ + ": array")};
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw FileError("{}: header {}; write it again with numpy.save", source_, reason);
  }
  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n"), rest_.size())); }
  bool accept(char c) {
    skip_space();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("has {} where '{}' belongs", shown(rest_), c));
  }

  std::string_view text() {
    const char quote = accept('"') ? '"' : '\'';
    if (quote == '\'') expect('\'');
    const size_t end = rest_.find(quote);
    if (end == rest_.npos) fail("has an unterminated string");
    const std::string_view found = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return found;
  }

  DType dtype() {
    skip_space();
    if (rest_.starts_with('['))
      fail("describes structures, which lastrow does not read; save one field at a time");
    const std::string_view descr = text();
    for (const auto& [name, dtype] : kTypes)
      if (descr == name || (size_of(dtype) == 1 && descr.size() == 3 && descr.substr(1) == name.substr(1)))
        return dtype;
    throw FileError(
        "{}: has type {}{}, but only <f8 <f4 <f2 <i8 <i4 |i1 |u1 can be read; save for example "
        "a.astype('<f4')",
        source_, shown(descr), descr.starts_with('>') ? " (big endian)" : "");
  }

  void order() {
    order_seen_ = true;
    skip_space();
    for (const std::string_view word : {"False", "True"}) {
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      if (word == "False") return;
      throw FileError(
          "{}: is in Fortran order, but only C order can be read; save numpy.ascontiguousarray(a)", source_);
    }
    fail("has a 'fortran_order' that is neither True nor False");
  }

  std::vector<int64_t> dims() {
    expect('(');
    std::vector<int64_t> numbers;
    while (!accept(')')) {
      skip_space();
      int64_t n = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), n);
      if (error == std::errc::result_out_of_range) fail("has a dimension that overflows 64 bits");
      if (error != std::errc{}) fail(fmt::format("has {} where a dimension belongs", shown(rest_)));
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
      numbers.push_back(n);
      if (accept(',')) continue;
      expect(')');
      break;
    }
    return numbers;
  }

  std::string_view rest_;
  const std::string& source_;
  std::optional<DType> dtype_;
  std::optional<std::vector<int64_t>> dims_;
  bool order_seen_ = false;
};

/// Bytes in memory, with the same functions as an InputFile.
class InputBytes {
 public:
  InputBytes(std::span<const std::byte> bytes, const std::string& name) : rest_(bytes), name_(name) {}
  const std::string& name() const { return name_; }
  int64_t size_bytes() const { return std::ssize(rest_); }  // call it before the first read()
  void read(void* to, int64_t n_bytes) {
    LASTROW_CHECK(n_bytes <= std::ssize(rest_), "{} of {} bytes", n_bytes, rest_.size());
    if (n_bytes > 0) std::memcpy(to, rest_.data(), static_cast<size_t>(n_bytes));
    rest_ = rest_.subspan(static_cast<size_t>(n_bytes));
  }

 private:
  std::span<const std::byte> rest_;
  const std::string& name_;
};

/// Input is InputFile or InputBytes. Never reads more than size_bytes() bytes.
template <typename Input>
Tensor read_array(Input& input) {
  const std::string& name = input.name();
  int64_t left = input.size_bytes();
  const auto take = [&](void* to, int64_t n_bytes, const char* what) {
    if (n_bytes > left)
      throw FileError("{}: {} takes {} bytes, but {} are left; it was cut short: fetch or write it again",
                      name, what, n_bytes, left);
    input.read(to, n_bytes);
    left -= n_bytes;
  };

  unsigned char prologue[kPrologueBytes];
  take(prologue, kPrologueBytes, "the beginning");
  if (std::memcmp(prologue, kMagic.data(), kMagic.size()) != 0)
    throw FileError("{}: does not begin with NumPy's magic bytes; is this a .npy file?", name);
  const int major = prologue[6], minor = prologue[7];
  if ((major != 1 && major != 2) || minor != 0)
    throw FileError("{}: has version {}.{}, but only 1.0 and 2.0 can be read; save a plain array", name,
                    major, minor);
  int64_t header_bytes = prologue[8] | prologue[9] << 8;
  if (major == 2) {
    unsigned char high[2];
    take(high, 2, "the header's length");
    header_bytes |= int64_t{high[0]} << 16 | int64_t{high[1]} << 24;
  }
  if (header_bytes > kMaxNpyHeaderBytes)
    throw FileError("{}: its header claims {} bytes, but at most {} are allowed; is this a plain array?",
                    name, header_bytes, kMaxNpyHeaderBytes);
  std::string text(static_cast<size_t>(header_bytes), '\0');
  take(text.data(), header_bytes, "the header");
  const auto header = HeaderParser(text, name).parse();

  const int64_t data_bytes = header.shape.size() * static_cast<int64_t>(size_of(header.dtype));
  if (data_bytes != left)
    throw FileError("{}: {} {} takes {} bytes, but the file has {}; fetch or write it again", name,
                    name_of(header.dtype), header.shape.to_string(), data_bytes, left);
  Tensor tensor(Memory::host(), header.dtype, header.shape);
  take(tensor.view().raw(), data_bytes, "the data");
  return tensor;
}

}  // namespace

Tensor read_npy(const std::filesystem::path& path) {
  InputFile file(path);
  return read_array(file);
}

Tensor npy_from_bytes(std::span<const std::byte> bytes, const std::string& source) {
  InputBytes input(bytes, source);
  return read_array(input);
}

void write_npy(const std::filesystem::path& path, ConstTensorView tensor) {
  std::string_view descr;
  for (const auto& [name, dtype] : kTypes)
    if (dtype == tensor.dtype()) descr = name;
  if (descr.empty())
    throw UsageError("{}: NumPy has no {}; convert to f32 first", path.string(), name_of(tensor.dtype()));
  std::string dims;  // with a comma after each: "(3, )" is a tuple, but "(3)" is a number
  for (int i = 0; i < tensor.shape().rank(); ++i) dims += fmt::format("{}, ", tensor.dim(i));
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, dims);
  constexpr size_t kAlignment = 64;  // of the data within the file
  const size_t unpadded = kPrologueBytes + header.size() + 1;
  header.append((unpadded + kAlignment - 1) / kAlignment * kAlignment - unpadded, ' ');
  header += '\n';

  AtomicFile file(path);
  file.write(kMagic);
  const unsigned char version_and_length[] = {1, 0, static_cast<unsigned char>(header.size() & 0xFFu),
                                              static_cast<unsigned char>(header.size() >> 8)};
  file.write(version_and_length, sizeof version_and_length);
  file.write(header);
  file.write(tensor.raw(), tensor.size_bytes());
  file.commit();
}

}  // namespace lastrow
