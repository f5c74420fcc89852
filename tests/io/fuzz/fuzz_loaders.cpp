// Runs the loaders under libFuzzer (clang only). The first byte of an input chooses the loader, and the rest
// is the file. Not part of test_io, whose seeded mutations need no clang.
//
//   fuzz_loaders -max_total_time=60 -max_len=4096 CORPUS_FOLDER
#include <cstddef>
#include <cstdint>
#include <span>

#include "tests/io/loading.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  switch (data[0] % 3) {
    case 0:
      lastrow::test::load_safetensors(bytes);
      break;
    case 1:
      lastrow::test::load_npy(bytes);
      break;
    default:
      lastrow::test::load_json(bytes);
  }
  return 0;
}
