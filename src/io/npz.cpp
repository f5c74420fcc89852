#include "io/npz.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "io/checked.h"
#include "io/input_file.h"
#include "io/npy.h"

namespace lastrow {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kDirectoryEntry = 0x02014b50, kEndOfDirectory = 0x06054b50;
constexpr int64_t kLocalBytes = 30, kEntryBytes = 46, kEndBytes = 22, kMaxCommentBytes = 65535;

template <typename T>
T number_at(const uint8_t* bytes, int64_t at) {  // little endian, as the machine is
  T x;
  std::memcpy(&x, bytes + at, sizeof x);
  return x;
}

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    table[i] = i;
    for (int bit = 0; bit < 8; ++bit) table[i] = (table[i] >> 1) ^ ((table[i] & 1u) != 0 ? 0xEDB88320u : 0u);
  }
  return table;
}

uint32_t crc32(std::span<const uint8_t> bytes) {
  static constexpr auto kTable = crc_table();
  uint32_t crc = 0xFFFFFFFFu;
  for (const uint8_t b : bytes) crc = (crc >> 8) ^ kTable[(crc ^ b) & 0xFFu];
  return ~crc;
}

}  // namespace

NpzFile NpzFile::open(const std::filesystem::path& path) {
  InputFile file(path);
  NpzFile result;
  result.source_ = file.name();
  if (file.size_bytes() > int64_t{UINT32_MAX})
    throw FileError("{}: has {} bytes, but a .npz file may have at most 4 GiB; save it as safetensors",
                    file.name(), file.size_bytes());
  result.bytes_ = Tensor(Memory::host(), DType::u8, {file.size_bytes()});
  file.read(result.bytes_.view().raw(), file.size_bytes());
  result.read_directory();
  return result;
}

/// A zip file ends with its directory and the end record. That record has 22 bytes, which say where the
/// directory begins, and a comment of unknown length. So this searches for the record from the back.
void NpzFile::read_directory() {
  const auto* bytes = static_cast<const uint8_t*>(std::as_const(bytes_).view().raw());
  const int64_t size = bytes_.size();
  int64_t end = size - kEndBytes;
  const int64_t first = std::max<int64_t>(0, end - kMaxCommentBytes);
  while (end >= first && number_at<uint32_t>(bytes, end) != kEndOfDirectory) --end;
  if (end < first || end < 0)
    throw FileError("{}: is not a zip archive, or was cut short; write it again with numpy.savez", source_);
  const int64_t n_entries = number_at<uint16_t>(bytes, end + 10);
  int64_t at = number_at<uint32_t>(bytes, end + 16);
  for (int64_t i = 0; i < n_entries; ++i) {
    if (at + kEntryBytes > size || number_at<uint32_t>(bytes, at) != kDirectoryEntry)
      throw FileError("{}: its directory is damaged; write it again with numpy.savez", source_);
    const int64_t name_bytes = number_at<uint16_t>(bytes, at + 28),
                  more_bytes =
                      int64_t{number_at<uint16_t>(bytes, at + 30)} + number_at<uint16_t>(bytes, at + 32);
    if (at + kEntryBytes + name_bytes + more_bytes > size)
      throw FileError("{}: its directory is damaged; write it again with numpy.savez", source_);
    std::string name(reinterpret_cast<const char*>(bytes + at + kEntryBytes),
                     static_cast<size_t>(name_bytes));
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    entries_[name] = {.header = number_at<uint32_t>(bytes, at + 42),
                      .bytes = number_at<uint32_t>(bytes, at + 20),
                      .checksum = number_at<uint32_t>(bytes, at + 16),
                      .compressed = number_at<uint16_t>(bytes, at + 10) != 0};
    at += kEntryBytes + name_bytes + more_bytes;
  }
}

Tensor NpzFile::tensor(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    std::string names;
    for (const auto& [other, entry] : entries_) names += (names.empty() ? "" : ", ") + shown(other);
    throw FileError("{}: has no array {}; it has {}", source_, shown(name), names.empty() ? "none" : names);
  }
  const Entry& e = found->second;
  if (e.compressed)
    throw FileError("{}: is compressed; save it with numpy.savez instead of savez_compressed", source_);
  const auto* bytes = static_cast<const uint8_t*>(bytes_.view().raw());
  const std::string what = fmt::format("{}: array {}", source_, shown(name));
  if (e.header + kLocalBytes > bytes_.size() || number_at<uint32_t>(bytes, e.header) != kLocalHeader)
    throw FileError("{} is not where the directory says; write the file again with numpy.savez", what);
  const int64_t begin = e.header + kLocalBytes + number_at<uint16_t>(bytes, e.header + 26) +
                        number_at<uint16_t>(bytes, e.header + 28);
  if (begin + e.bytes > bytes_.size())
    throw FileError("{} ends beyond the end of the file; it was cut short: write it again with numpy.savez",
                    what);
  const std::span<const uint8_t> data(bytes + begin, static_cast<size_t>(e.bytes));
  if (crc32(data) != e.checksum)
    throw FileError("{} does not match its checksum; the file is damaged: fetch or write it again", what);
  return npy_from_bytes(std::as_bytes(data), what);
}

}  // namespace lastrow
