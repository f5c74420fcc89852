#include "tests/io/loading.h"

#include <string>

#include "io/json.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "tests/io/files.h"

namespace lastrow::test {
namespace {

constexpr const char* kSource = "fuzz-source";

template <typename F>
bool loads(F&& load) {
  const std::string message = message_of(load);
  if (message.empty()) return true;
  LASTROW_CHECK(message.starts_with(kSource), "message without its source: {}", message);
  LASTROW_CHECK(message.find('\n') == message.npos, "message of several lines: {}", message);
  LASTROW_CHECK(message.size() < 1000, "message of {} bytes", message.size());
  return false;
}

void require_readable(ConstTensorView view) {
  LASTROW_CHECK(reinterpret_cast<uintptr_t>(view.raw()) % size_of(view.dtype()) == 0, "{} at {}",
                name_of(view.dtype()), view.raw());
  volatile uint64_t kept = sum_of_bytes(view);
  static_cast<void>(kept);
}

}  // namespace

bool load_safetensors(std::span<const std::byte> bytes) {
  return loads([&] {
    const auto file = SafetensorsFile::from_bytes(bytes, kSource);
    int64_t data_bytes = 0;
    for (const std::string& name : file.names()) {
      require_readable(file.tensor(name));
      data_bytes += file.tensor(name).size_bytes();
    }
    LASTROW_CHECK(data_bytes <= std::ssize(bytes), "{} bytes of tensors in {}", data_bytes, bytes.size());
    for (const auto& [key, value] : file.metadata())
      LASTROW_CHECK(file.metadata().at(key) == value, "{}", key);
  });
}

bool load_npy(std::span<const std::byte> bytes) {
  return loads([&] {
    const Tensor t = npy_from_bytes(bytes, kSource);
    require_readable(t.view());
    LASTROW_CHECK(t.size_bytes() <= std::ssize(bytes), "{} bytes from {}", t.size_bytes(), bytes.size());
  });
}

bool load_json(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return loads([&] { static_cast<void>(parse_json(text, kSource).dump()); });
}

}  // namespace lastrow::test
