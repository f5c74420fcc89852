// Damaged and hostile files of saved caches. Each gives a one-line message that names the file and the
// problem.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "io/safetensors.h"
#include "session/saved_cache.h"
#include "tests/io/files.h"
#include "tests/session/texts.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

SavedCache small() {
  DecodeSession s(load_model("random:layers=2,q_heads=2,kv_heads=1,head_dim=4,vocab=10,context=8"), naive(),
                  {});
  s.start({7, 8, 9});
  s.advance();
  return save_cache(s);
}

/// The file of a small cache, after a change. `metadata` replaces or adds keys; "" removes the key.
std::string changed(const std::function<void(SavedCache&)>& change,
                    const std::map<std::string, std::string>& metadata = {},
                    const std::string& without = "") {
  SavedCache saved = small();
  change(saved);
  const TemporaryFolder folder;
  write_saved_cache(saved, folder / "whole");
  const auto whole = SafetensorsFile::open(folder / "whole");
  SafetensorsWriter writer;
  for (const std::string& name : whole.names())
    if (name != without) writer.add(name, whole.tensor(name));
  for (const auto& [key, value] : whole.metadata())
    if (key != without) writer.metadata(key, value);
  for (const auto& [key, value] : metadata) writer.metadata(key, value);
  writer.write(folder / "changed");
  return get(folder / "changed");
}

SavedCache load(const std::string& bytes) {
  const TemporaryFolder folder;
  put(folder / "bad.safetensors", bytes);
  return read_saved_cache(folder / "bad.safetensors");
}

void nothing(SavedCache&) {}

/// The same elements in another type.
Tensor as(const Tensor& rows, DType dtype) {
  Tensor other = Tensor::host(dtype, rows.view().shape());
  convert(rows.view(), other.view());
  return other;
}

}  // namespace

TEST_CASE("the file that is changed below is sound as it is") {
  const SavedCache saved = load(changed(&nothing));
  CHECK(saved.tokens == std::vector<int32_t>{7, 8, 9});
  CHECK(saved.k.size() == 2);
}

TEST_CASE("a file that is cut at any byte, or is something else") {
  const std::string whole = changed(&nothing);
  for (size_t n = 0; n < whole.size(); n += n < 16 || n + 64 > whole.size() ? 1 : 37) {
    CAPTURE(n);
    CHECK_FILE_ERROR(load(whole.substr(0, n)), "bad.safetensors");
  }
  CHECK_FILE_ERROR(load(safetensors_bytes("{}", "")), "not a saved cache", "lacks lastrow.schema");
  CHECK_FILE_ERROR(read_saved_cache("/nowhere/cache.safetensors"), "/nowhere/cache.safetensors");
}

TEST_CASE("missing and wrong metadata") {
  for (const char* key : {"lastrow.schema", "lastrow.model", "lastrow.kv_dtype", "lastrow.cache"})
    CHECK_FILE_ERROR(load(changed(&nothing, {}, key)), "not a saved cache", std::string("lacks ") + key);
  CHECK_FILE_ERROR(load(changed(&nothing, {{"lastrow.schema", "lastrow.cache.2"}})), "lastrow.cache.2",
                   "save it again");
  CHECK_FILE_ERROR(load(changed(&nothing, {{"lastrow.kv_dtype", "f\n17"}})),
                   "lastrow.kv_dtype is \"f\\n17\"");
  for (const char* model : {"", "7", "{", "{}", R"({"config":{},"weights_xxh64":"0123456789abcdef"})"})
    CHECK_FILE_ERROR(load(changed(&nothing, {{"lastrow.model", model}})), "not a saved cache", "model");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) { s.model.config.n_layers = 65536; })), "k.2");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) { s.model.config.n_layers = 1 << 29; })), "n_layers");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) { s.model.config.head_dim = 1 << 29; })), "model config");
}

TEST_CASE("the name of a cache may be anything, and is shown without control characters") {
  const SavedCache saved =
      load(changed(&nothing, {{"lastrow.cache", "\x1b[2Jpaged" + std::string(5000, 'x')}}));
  CHECK(saved.cache_name.find('\x1b') == std::string::npos);
  CHECK(saved.cache_name.size() <= 80);
  std::string wide = "p";  // a cut after 80 bytes would fall into a character
  for (int i = 0; i < 100; ++i) wide += "ä";
  CHECK(load(changed(&nothing, {{"lastrow.cache", wide}})).cache_name == wide.substr(0, 79));
}

TEST_CASE("NaN and infinity are refused in every type, with their place") {
  for (const char* dtype : {"f32", "bf16", "fp8", "int8", "f16", "f64"})
    for (const double x : {double{NAN}, double{INFINITY}, -double{INFINITY}}) {
      CAPTURE(dtype);
      const auto put_x = [&](SavedCache& s) {
        for (std::vector<Tensor>* all : {&s.k, &s.v})
          for (Tensor& rows : *all) {
            Tensor zeros = Tensor::host(DType::f64, rows.shape());
            std::fill_n(zeros.data<double>(), zeros.size(), 0.0);
            rows = std::string(dtype) == "f16"   ? as(zeros, DType::f16)
                   : std::string(dtype) == "f64" ? std::move(zeros)
                                                 : as(zeros, DType::f32);
          }
        Tensor bad = Tensor::host(DType::f64, {3, 1, 4});
        std::fill_n(bad.data<double>(), bad.size(), 0.0);
        bad.data<double>()[9] = x;
        s.v[1] = as(bad, s.v[1].view().dtype());
      };
      const std::string kv_dtype = std::string(dtype) == "f64" ? "f32" : dtype;
      CHECK_FILE_ERROR(load(changed(put_x, {{"lastrow.kv_dtype", kv_dtype}})),
                       fmt::format("v.1[2, 0, 1] is {}: save the rows again", x));
    }
}

TEST_CASE("rows that no cache of their type held are refused; those that one held are not") {
  const auto with = [](const char* kv_dtype, std::vector<float> row) {
    return changed(
        [&](SavedCache& s) {
          for (std::vector<Tensor>* all : {&s.k, &s.v})
            for (Tensor& rows : *all) std::fill_n(rows.data<float>(), rows.size(), 0.0f);
          std::copy(row.begin(), row.end(), s.k[0].data<float>());
        },
        {{"lastrow.kv_dtype", kv_dtype}});
  };
  CHECK_FILE_ERROR(load(with("fp8", {1, 1000, 0, 0})),
                   "k.0[0, 0, 1] is 1000, which a cache in fp8 would hold as 448");
  CHECK_FILE_ERROR(load(with("bf16", {0.12345678f, 0, 0, 0})),
                   "k.0[0, 0, 0] is 0.12345678, which a cache in bf16");
  CHECK_FILE_ERROR(load(with("bf16", {1e38f, 0, 0, 0})), "k.0[0, 0, 0] is 1e+38, which a cache in bf16");
  CHECK_FILE_ERROR(load(with("int8", {127, 0.5f, 0, 0})), "which a cache in int8 would hold as 0");
  CHECK_FILE_ERROR(load(with("k=int8,v=f32", {127, 0.5f, 0, 0})), "k.0[0, 0, 1] is 0.5");
  CHECK(load(with("k=f32,v=int8", {127, 0.5f, 0.12345678f, 1e38f})).n_rows() == 3);
  CHECK(load(with("fp8", {448, -448, 0.5f, 0})).n_rows() == 3);
  CHECK(load(with("bf16", {0.125f, -3, 0, 0})).n_rows() == 3);
  CHECK(load(with("int8", {127, -128 + 1, 5, 0})).n_rows() == 3);
  CHECK_FILE_ERROR(load(with("int4", {7, 0.5f, 0, 0})), "which a cache in int4 would hold as 0");
  CHECK(load(with("int4", {7, -7, 5, 0})).n_rows() == 3);
  CHECK(load(with("fp4", {-6, 4, 0.5f, 0})).n_rows() == 3);
}

TEST_CASE("missing and misshapen tensors") {
  for (const char* name : {"k.0", "v.1", "tokens", "positions"})
    CHECK_FILE_ERROR(load(changed(&nothing, {}, name)), std::string("\"") + name + "\"");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) {
                     s.k[1] = Tensor::host(DType::f32, {3, 1, 5});
                   })),
                   "k.1 is [3, 1, 5], not [3, 1, 4]");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) {
                     s.v[0] = Tensor::host(DType::f32, {4, 1, 4});
                   })),
                   "v.0 is [4, 1, 4], not [3, 1, 4]");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) { s.v[0] = Tensor::host(DType::f32, {12}); })),
                   "v.0 is [12], not");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) { s.k[0] = as(s.k[0], DType::bf16); })), "k.0 is bf16");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) { s.k[1] = as(s.k[1], DType::f64); })), "k.1 is f64",
                   "in all layers");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) { s.model.config.n_layers = 3; })), "\"k.2\"");
}

TEST_CASE("tokens and positions that cannot be") {
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) { s.tokens[1] = 10; })), "row 1 is of token 10",
                   "vocabulary of 10");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) { s.tokens[2] = -1; })), "row 2 is of token -1");
  for (const std::vector<int32_t>& positions :
       {std::vector<int32_t>{0, 2, 2}, {0, 2, 3}, {0, 2, std::numeric_limits<int32_t>::max()}})
    CHECK_FILE_ERROR(load(changed([&](SavedCache& s) { s.positions = positions; })),
                     "row 1 has position 2, and the positions must be 0, 1, 2 and so on");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) { s.positions = {1, 2, 3}; })), "row 0 has position 1");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) { s.positions[0] = -1; })), "row 0 has position -1");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) { s.positions.pop_back(); })), "3 tokens and 2 positions");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) { s.tokens = s.positions = {}; })), "no rows");
  CHECK_FILE_ERROR(load(changed([](SavedCache& s) { s.model.config.max_seq_len = 2; })),
                   "3 rows, and the context of its model is 2");
}

TEST_CASE("one changed byte of the header is refused or harmless; a session still judges the model") {
  const std::string whole = changed(&nothing);
  uint64_t header = 0;
  for (int i = 7; i >= 0; --i)
    header = header << 8 | static_cast<unsigned char>(whole[static_cast<size_t>(i)]);
  int32_t n_refused = 0;
  for (size_t at = 0; at < 8 + header; ++at) {
    std::string text = whole;
    text[at] = static_cast<char>(text[at] ^ 1);
    const std::string message = message_of([&] {
      const SavedCache saved = load(text);
      CHECK(saved.k.size() == static_cast<size_t>(saved.model.config.n_layers));
      for (const Tensor& rows : saved.k) (void)sum_of_bytes(rows.view());
    });
    if (message.empty()) continue;
    ++n_refused;
    CHECK_MESSAGE(message.find('\n') == std::string::npos, message);
  }
  CHECK(n_refused > 100);
}
