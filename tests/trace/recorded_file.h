// A recording in a trace file, and files of bytes, for the tests of trace files.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/trace/tiny.h"
#include "tests/trace/traced_model.h"
#include "trace/poke.h"
#include "trace/trace_file.h"

namespace lastrow::test {

// A different file for each test. It is removed afterwards.
struct TemporaryFile {
  std::filesystem::path path;
  explicit TemporaryFile(const std::string& name)
      : path(std::filesystem::temp_directory_path() / fmt::format("lastrow-{}-{}", getpid(), name)) {}
  ~TemporaryFile() { std::filesystem::remove(path); }
};

inline std::vector<char> bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_bytes(const std::filesystem::path& path, const std::vector<char>& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline bool same(ConstTensorView a, ConstTensorView b) {
  return a.empty() ? b.empty() : !b.empty() && same_bits(a, b);
}

// A prefill and two decodes of a model with two layers; with new positions, five steps of one token. In the second
// step one key is poked.
struct Recorded {
  TracedModel m;
  TemporaryFile file{"trace.safetensors"};
  explicit Recorded(RecordOptions options = {.keep = RecordOptions::Keep::all, .ops = {"*"}, .probe = true},
                    const CacheOptions& cache = {})
      : m(std::move(options), 2, cache) {
    PokingBackend poking(m.tracing);
    const Poke poke{.what = Poke::What::k, .layer = 1, .position = 1, .seed = 8, .step = 1};
    poking.set_pokes({&poke, 1});
    int32_t step = 0;
    std::vector<std::vector<int32_t>> steps = {{3, 1, 4}, {1}, {5}};
    if (cache.positions == Positions::renumbered) steps = {{3}, {1}, {4}, {1}, {5}};
    for (const std::vector<int32_t>& tokens : steps) {
      poking.set_step(step++);
      m.step(tokens, &poking);
    }
    write_trace(file.path, m.recorder, {.config_json = "{\"a\": 1}", .tokens = {3, 1, 4, 1, 5}});
  }
};

}  // namespace lastrow::test
