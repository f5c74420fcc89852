#include <doctest/doctest.h>

#include <string>

#include "core/error.h"
#include "cost/memory.h"
#include "cost/presets.h"

using namespace lastrow;

namespace {

constexpr int64_t kGiB = int64_t{1} << 30;

const CacheFormat& f16() { return cache_format("f16"); }

}  // namespace

TEST_CASE("claim 12: a 7B model at 2,048 tokens in f16 is 1 GiB") {
  const CacheMemory m = cache_memory(find_preset("llama-2-7b"), 2048, 1, f16());
  CHECK(m.bytes == kGiB);
  CHECK(m.gib == 1.0);
  CHECK(m.gb == doctest::Approx(1.0737).epsilon(1e-4));
  CHECK(m.bytes_per_token == 512 * 1024);
  CHECK(m.weights_bytes == 2 * int64_t{6'738'415'616});
  CHECK(m.formula ==
        "2 (K and V) · 32 layers · 2,048 tokens · 32 K/V heads · 128 head_dim · 2 bytes · 1 sequence"
        " = 1,073,741,824 bytes = 1.00 GiB (1.07 GB)");
}

TEST_CASE("claim 13: the same at batch 64 and 8,192 tokens is 256 GiB, not 32") {
  ModelShape llama = find_preset("llama-2-7b");
  CHECK(cache_bytes(llama, 8192, 64, f16()) == 256 * kGiB);
  llama.n_kv_heads = 4;  // 8 query heads per K/V head would give the 32 GiB
  CHECK(cache_bytes(llama, 8192, 64, f16()) == 32 * kGiB);
}

TEST_CASE("claim 14: Llama-3-70B at 8k tokens and batch 32 is 80 GiB, not 275 GB") {
  ModelShape llama = find_preset("llama-3-70b");
  CHECK(llama.n_layers == 80);
  CHECK(cache_bytes(llama, 8192, 32, f16()) == 80 * kGiB);
  llama.n_layers = 32;  // with the 32 layers of the claim
  CHECK(cache_bytes(llama, 8192, 32, f16()) == 32 * kGiB);
  llama.n_kv_heads = 64;  // and K/V for all 64 heads: this gives the 275 GB
  CHECK(cache_memory(llama, 8192, 32, f16()).gb == doctest::Approx(274.9).epsilon(1e-3));
}

TEST_CASE("claim 15: grouping divides the cache by the group") {
  ModelShape mha = find_preset("llama-3-70b");
  mha.n_kv_heads = mha.n_q_heads;
  CHECK(cache_bytes(mha, 1000, 3, f16()) == 8 * cache_bytes(find_preset("llama-3-70b"), 1000, 3, f16()));
}

TEST_CASE("tiny caches, counted by hand, in every dtype") {
  const ModelShape tiny{.name = "tiny",
                        .n_layers = 2,
                        .n_q_heads = 2,
                        .n_kv_heads = 1,
                        .head_dim = 7,
                        .model_dim = 14,
                        .ffn_dim = 8,
                        .vocab_size = 10,
                        .max_seq_len = 16};
  // 2 (K, V) · 2 layers · 1 head · 3 tokens · 1 sequence = 12 rows of 7.
  CHECK(cache_bytes(tiny, 3, 1, cache_format("f32")) == 12 * 28);
  CHECK(cache_bytes(tiny, 3, 1, cache_format("f16")) == 12 * 14);
  CHECK(cache_bytes(tiny, 3, 1, cache_format("bf16")) == 12 * 14);
  CHECK(cache_bytes(tiny, 3, 1, cache_format("fp8")) == 12 * 7);
  CHECK(cache_bytes(tiny, 3, 1, cache_format("int8")) == 12 * (7 + 4));  // plus an f32 scale
  for (const char* format : {"int4", "fp4"})  // 7 nibbles take 4 bytes, and there is one f16 scale
    CHECK(cache_bytes(tiny, 3, 1, cache_format(format)) == 12 * (4 + 2));
  CHECK(cache_memory(tiny, 3, 2, cache_format("int4")).formula ==
        "2 (K and V) · 2 layers · 3 tokens · 1 K/V head · (7 head_dim · 4 bits + 1 scale · 2 bytes) · 2 "
        "sequences = 144 bytes = 0.14 KiB (0.14 kB)");
  CHECK(cache_memory(tiny, 3, 2, f16()).bytes_per_token == 4 * 14);
}

TEST_CASE("K and V in different formats: the sum of both rows") {
  const ModelShape& llama = find_preset("llama-2-7b");
  const int64_t n = 32 * 32 * 100;  // rows of K, and as many of V
  CHECK(cache_bytes(llama, 100, 1, cache_formats_of("k=int8,v=int4")) == n * (128 + 4) + n * (64 + 4 * 2));
  CHECK(cache_bytes(llama, 100, 1, cache_formats_of("k=f16,v=f16")) == cache_bytes(llama, 100, 1, f16()));
  CHECK(cache_memory(llama, 100, 1, cache_formats_of("k=f16,v=fp8")).formula ==
        "32 layers · 100 tokens · 32 K/V heads · (K: 128 head_dim · 2 bytes + V: 128 head_dim · 1 bytes) · 1 "
        "sequence = 39,321,600 bytes = 37.50 MiB (39.32 MB)");
  CHECK_THROWS_WITH_AS(cache_formats_of("k=int8"), doctest::Contains("use TYPE, or k=TYPE,v=TYPE"),
                       UsageError);
  CHECK_THROWS_WITH_AS(cache_formats_of("k=int8,v=i8"), doctest::Contains("use one of"), UsageError);
}

TEST_CASE("five tokens in blocks of two: three blocks, and one slot stays empty") {
  const ModelShape& llama = find_preset("llama-2-7b");
  const int64_t token = cache_memory(llama, 1, 1, f16()).bytes;
  const PagedMemory m = paged_memory(llama, 5, 4, f16(), 2);
  CHECK(m.blocks_per_seq == 3);
  CHECK(m.waste_rows == 1);
  CHECK(m.n_blocks == 12);
  CHECK(m.block_bytes == 2 * token);
  CHECK(m.bytes == 12 * 2 * token);
  CHECK(m.seqs_that_fit == 4);
  CHECK(m.formula.find("32 layers · 12 blocks of 2 rows · 32 K/V heads") != std::string::npos);
  CHECK(paged_memory(llama, 5, 4, f16(), 2, 7).bytes == 7 * 2 * token);
  CHECK(paged_memory(llama, 5, 4, f16(), 2, 7).seqs_that_fit == 2);
  CHECK(paged_memory(llama, 5, 4, f16(), 1).bytes == cache_memory(llama, 5, 4, f16()).bytes);
  CHECK_THROWS_WITH_AS(paged_memory(llama, 5, 1, f16(), 2, 2), doctest::Contains("choose blocks=3 or more"),
                       ShapeError);
  CHECK_THROWS_AS(paged_memory(llama, 5, 1, f16(), 6), ShapeError);
  CHECK_THROWS_AS(paged_memory(llama, 5, 1, f16(), 0), ShapeError);
}

TEST_CASE("K with a scale for each channel of a block, counted by hand: five tokens in blocks of two") {
  const ModelShape tiny{.name = "tiny",
                        .n_layers = 2,
                        .n_q_heads = 2,
                        .n_kv_heads = 1,
                        .head_dim = 7,
                        .model_dim = 14,
                        .ffn_dim = 8,
                        .vocab_size = 10,
                        .max_seq_len = 16};
  const PagedMemory m = paged_memory(tiny, 5, 2, cache_formats_of("int8-channel"), 2);
  const int64_t k_row = 7, v_row = 7 + 4, scales = 7 * 4, open_row = 7 * 4;
  CHECK(m.n_blocks == 6);
  CHECK(m.block_bytes == 2 * (2 * k_row + 2 * v_row + scales));  // 2 layers
  CHECK(m.n_open_blocks == 6);                                   // 3 for each sequence
  CHECK(m.open_bytes == 2 * 6 * 2 * open_row);
  CHECK(m.bytes == 6 * m.block_bytes + m.open_bytes);
  CHECK(m.bytes_per_token == 2 * (k_row + v_row + scales / 2));  // two rows share the scales
  CHECK(m.formula ==
        "2 layers · 6 blocks of 2 rows · 1 K/V head · (K: 7 head_dim · 1 bytes + V: (7 head_dim · 1 bytes + "
        "4 bytes "
        "scale)) + scales of K: 2 layers · 6 blocks · 1 K/V head · 7 head_dim · 4 bytes + open rows of K: 2 "
        "layers · 6 "
        "blocks of 2 rows · 1 K/V head · 7 head_dim · 4 bytes = 1,440 bytes = 1.41 KiB (1.44 kB)");
  CHECK(paged_memory(tiny, 5, 2, cache_formats_of("int8-channel"), 3).bytes_per_token ==
        2 * (7 + 11) + 19);  // 56/3
  CHECK(paged_memory(tiny, 5, 1, cache_formats_of("int8-channel"), 1).n_open_blocks == 2);
  const int64_t crossing = paged_crossing_context(tiny, 1, cache_formats_of("int8-channel"), 2);
  const auto bytes = [&](int64_t context) {
    return paged_memory(tiny, context, 1, cache_formats_of("int8-channel"), 2).bytes;
  };
  CHECK(bytes(crossing) > weights_bytes(tiny));
  CHECK(bytes(crossing - 1) <= weights_bytes(tiny));
}

TEST_CASE("scales of channels need blocks that keep their rows, and belong to K") {
  const ModelShape& llama = find_preset("llama-2-7b");
  const CacheFormats formats = cache_formats_of("int8-channel");
  CHECK(formats.k.name == "int8-channel");
  CHECK(formats.v.name == "int8");
  CHECK(cache_formats_of("k=int8-channel,v=f16").v.name == "f16");
  CHECK_THROWS_WITH_AS((void)cache_bytes(llama, 100, 1, formats),
                       doctest::Contains("it needs blocks that keep their rows: add --cache paged"),
                       UsageError);
  CHECK_THROWS_AS((void)cache_memory(llama, 100, 1, formats), UsageError);
  CHECK_THROWS_AS((void)window_memory(llama, 100, 1, formats, {.kind = "window", .window = 32}, 32),
                  UsageError);
  CHECK_THROWS_AS((void)window_memory(llama, 100, 1, formats, {.kind = "budget", .budget = 32}, 32),
                  UsageError);
  CHECK_THROWS_WITH_AS(cache_formats_of("k=f16,v=int8-channel"),
                       doctest::Contains("use k=int8-channel,v=int8"), UsageError);
}

TEST_CASE("windows limit the cache") {
  const ModelShape &mistral = find_preset("mistral-7b"), &gemma = find_preset("gemma-2-9b");
  const int64_t mistral_token = 2 * 32 * 8 * 128 * 2;
  CHECK(cache_bytes(mistral, 4095, 1, f16()) == 4095 * mistral_token);
  CHECK(cache_bytes(mistral, 4096, 1, f16()) == 4096 * mistral_token);
  CHECK(cache_bytes(mistral, 32768, 1, f16()) == 4096 * mistral_token);
  const int64_t gemma_layer_token = 2 * 8 * 256 * 2;
  CHECK(cache_bytes(gemma, 8192, 1, f16()) == (21 * 4096 + 21 * 8192) * gemma_layer_token);
  CHECK(cache_memory(gemma, 8192, 1, f16())
            .formula.find("(21 layers · 4,096 tokens (window) + 21 layers · 8,192 tokens)") !=
        std::string::npos);
  CHECK(cache_memory(mistral, 8192, 1, f16()).formula.find("32 layers · 4,096 tokens (window)") !=
        std::string::npos);
  CHECK(cache_memory(mistral, 100, 1, f16()).formula.find("window") == std::string::npos);
}

TEST_CASE("a ring in the layers with a window, and whole blocks in the others") {
  const ModelShape& gemma = find_preset("gemma-2-9b");
  CacheOptions options{.kind = "window", .block_len = 16, .window = 4096, .windowed_every = 2};
  const AlternatingMemory m = alternating_memory(gemma, 100000, 1, f16(), options, 4096);
  const int64_t layer_token = 2 * 8 * 256 * 2;
  CHECK(m.windowed.ring_blocks == 512);  // 4096 + 4096 − 1 rows
  CHECK(m.windowed.bytes == 21 * 512 * 16 * layer_token);
  CHECK(m.full.bytes == 21 * 100000 * layer_token);
  CHECK(m.n_full_layers == 21);
  CHECK(m.bytes() == m.windowed.bytes + m.full.bytes);
  for (const int64_t batch : {1, 8, 64}) {
    const auto crossing = forgetting_crossing_context(gemma, batch, f16(), options);
    REQUIRE(crossing.has_value());
    const auto bytes = [&](int64_t context) {
      return alternating_memory(gemma, context, batch, f16(), options, std::min<int64_t>(4096, context))
          .bytes();
    };
    CHECK(bytes(*crossing) > weights_bytes(gemma));
    CHECK(bytes(*crossing - 1) <= weights_bytes(gemma));
  }
}

TEST_CASE("a budget that is larger than the weights is so from some context on, and a smaller one never") {
  const ModelShape& gpt2 = find_preset("gpt-2");
  const CacheOptions budget{.kind = "budget", .budget = 100};
  const int64_t batch = weights_bytes(gpt2) / window_memory(gpt2, 150, 1, f16(), budget, 100).bytes + 1;
  const auto bytes = [&](int64_t context) {
    return window_memory(gpt2, context, batch, f16(), budget, prompt_chunk(budget, context)).bytes;
  };
  const auto crossing = forgetting_crossing_context(gpt2, batch, f16(), budget);
  REQUIRE(crossing.has_value());
  CHECK(bytes(*crossing) > weights_bytes(gpt2));
  CHECK(bytes(*crossing - 1) <= weights_bytes(gpt2));
  CHECK_FALSE(forgetting_crossing_context(gpt2, batch / 2, f16(), budget).has_value());
}

TEST_CASE("bytes_per_token is the difference between two contexts that differ by one token") {
  const int64_t mistral_token = 2 * 32 * 8 * 128 * 2, gemma_layer_token = 2 * 8 * 256 * 2;
  const auto added = [](const char* preset, int64_t context) {
    return cache_memory(find_preset(preset), context, 1, f16()).bytes_per_token;
  };
  CHECK(added("mistral-7b", 4095) == mistral_token);
  CHECK(added("mistral-7b", 4096) == 0);  // the window of each layer is full
  CHECK(added("mistral-7b", 32768) == 0);
  CHECK(added("gemma-2-9b", 4095) == 42 * gemma_layer_token);
  CHECK(added("gemma-2-9b", 8192) == 21 * gemma_layer_token);  // the layers without a window
  for (const ModelShape& shape : presets())
    for (const int64_t context : {1, 4095, 4096, 4097, 8192})
      CHECK(added(shape.name.c_str(), context) ==
            cache_bytes(shape, context + 1, 1, f16()) - cache_bytes(shape, context, 1, f16()));
}

TEST_CASE(
    "claim 22: the crossing is the first context, and the first batch, whose cache exceeds the weights") {
  for (const ModelShape& m : presets())
    for (const char* dtype : {"f16", "int4"})
      for (const int64_t batch : {1, 8, 64, 1024}) {
        const CacheFormat& format = cache_format(dtype);
        INFO(m.name, " ", dtype, " batch ", batch);
        const auto context = crossing_context(m, batch, format);
        if (context.has_value()) {
          CHECK(cache_bytes(m, *context, batch, format) > weights_bytes(m));
          if (*context > 1) CHECK(cache_bytes(m, *context - 1, batch, format) <= weights_bytes(m));
        } else {
          CHECK(m.n_window_layers() == m.n_layers);
          CHECK(cache_bytes(m, kMaxContext, batch, format) <= weights_bytes(m));
        }
        const int64_t sequences = crossing_batch(m, 100 * batch, format);
        CHECK(cache_bytes(m, 100 * batch, sequences, format) > weights_bytes(m));
        if (sequences > 1) CHECK(cache_bytes(m, 100 * batch, sequences - 1, format) <= weights_bytes(m));
      }
  // Llama-2-7B, batch 1: 13.48 GB at 512 KiB a token.
  CHECK(crossing_context(find_preset("llama-2-7b"), 1, f16()) == 25706);
  CHECK_FALSE(crossing_context(find_preset("mistral-7b"), 1, f16()).has_value());
}

TEST_CASE("sizes for people") {
  CHECK(with_commas(0) == "0");
  CHECK(with_commas(999) == "999");
  CHECK(with_commas(1000) == "1,000");
  CHECK(with_commas(-123456) == "-123,456");
  CHECK(with_commas(INT64_MIN) == "-9,223,372,036,854,775,808");
  CHECK(gib_and_gb(256 * kGiB) == "256.00 GiB (274.88 GB)");
  CHECK(gib_and_gb(1 << 20) == "1.00 MiB (1.05 MB)");
  CHECK(gib_and_gb(128 << 10) == "128.00 KiB (131.07 kB)");
  CHECK(gib_and_gb(512) == "0.50 KiB (0.51 kB)");
  CHECK(gib_and_gb(37'748'736) == "36.00 MiB (37.75 MB)");
}

TEST_CASE("wrong input is refused, and the message has the values") {
  const ModelShape& m = find_preset("llama-2-7b");
  CHECK_THROWS_WITH_AS((void)cache_bytes(m, 0, 1, f16()), doctest::Contains("context 0"), ShapeError);
  CHECK_THROWS_AS((void)cache_bytes(m, -5, 1, f16()), ShapeError);
  CHECK_THROWS_AS((void)cache_bytes(m, kMaxContext + 1, 1, f16()), ShapeError);
  CHECK_THROWS_WITH_AS((void)cache_bytes(m, 1, 0, f16()), doctest::Contains("batch 0"), ShapeError);
  CHECK_THROWS_AS((void)cache_bytes(m, 1, kMaxBatch + 1, f16()), ShapeError);
  CHECK_THROWS_AS((void)crossing_context(m, 0, f16()), ShapeError);
  CHECK_THROWS_AS((void)crossing_batch(m, 0, f16()), ShapeError);
  CHECK_THROWS_WITH_AS((void)cache_bytes(m, kMaxContext, kMaxBatch, f16()), doctest::Contains("2^63"),
                       ShapeError);
  CHECK_THROWS_WITH_AS((void)cache_format("int3"), doctest::Contains("f32, f16, bf16, int8, fp8, int4"),
                       UsageError);
  CHECK_THROWS_AS((void)cache_bytes(ModelShape{}, 1, 1, f16()), ShapeError);
}
