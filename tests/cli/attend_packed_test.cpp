// `lastrow attend` with packed sequences and with K and V in blocks.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "cache/index.h"
#include "cli/attend_files.h"
#include "cli/lastrow_program.h"
#include "core/random.h"
#include "io/safetensors.h"
#include "judge/random_tensor.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace {

Tensor ints(Shape shape, std::vector<int32_t> values) {
  Tensor t = Tensor::host(DType::i32, shape);
  std::copy(values.begin(), values.end(), t.data<int32_t>());
  return t;
}

Tensor floats(Shape shape, std::vector<float> values) {
  Tensor t = Tensor::host(DType::f32, shape);
  std::copy(values.begin(), values.end(), t.data<float>());
  return t;
}

Tensor as(DType dtype, const Tensor& x) {
  Tensor t = Tensor::host(dtype, x.shape());
  convert(x.view(), t.view());
  return t;
}

std::vector<std::string> command(const Folder& folder, std::vector<std::string> more) {
  std::vector<std::string> all = {"attend", "--in", folder.file("in"), "--out", folder.file("out")};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::vector<float> attended(const Folder& folder, const Named& tensors, std::vector<std::string> more = {}) {
  write(folder.file("in"), tensors);
  const LastrowOutcome o = lastrow_program(command(folder, std::move(more)));
  CAPTURE(o.err);
  REQUIRE(o.exit_code == 0);
  CHECK(o.err_without_progress().empty());
  return result(folder, "out");
}

constexpr int32_t kHeads = 4, kPackedKvHeads = 2, kDim = 16, kBlockLen = 4, kBlocks = 12;

/// Three sequences with 2, 0 and 3 queries against 9, 5 and 17 keys; the same rows one after the other, and
/// in shuffled blocks whose unused slots hold NaN.
struct Packed {
  std::vector<int32_t> q_len = {2, 0, 3}, kv_len = {9, 5, 17};
  Tensor q = judge::random_tensor({5, kHeads, kDim}, 7, 0),
         k = judge::random_tensor({31, kPackedKvHeads, kDim}, 7, 1),
         v = judge::random_tensor({31, kPackedKvHeads, kDim}, 7, 2);
  Tensor table = ints({3, 5}, {7, 2, 11, -1, -1, 0, 9, -1, -1, -1, 4, 1, 10, 3, 8});
  Tensor lens = ints({3}, kv_len), queries = ints({3}, q_len), starts = ints({4}, {0, 2, 2, 5});
  Tensor k_blocks = in_blocks(k), v_blocks = in_blocks(v);

  /// [31, n_kv_heads, dim] → [n_blocks, n_kv_heads, block_len, dim].
  Tensor in_blocks(const Tensor& rows) const {
    const auto dim = static_cast<int32_t>(rows.shape()[2]);
    const RowLayout layout{kPackedKvHeads, kBlockLen, dim};
    Tensor blocks = Tensor::host(DType::f32, {kBlocks, kPackedKvHeads, kBlockLen, dim});
    std::fill_n(blocks.data<float>(), blocks.size(), std::numeric_limits<float>::quiet_NaN());
    const float* row = rows.data<float>();
    for (int32_t i = 0; i < 3; ++i)
      for (int32_t s = 0; s < kv_len[i]; ++s)
        for (int32_t g = 0; g < kPackedKvHeads; ++g, row += dim)
          std::copy_n(row, dim,
                      blocks.data<float>() +
                          row_offset(layout, slot_of({table.data<int32_t>() + i * 5, 5, kBlockLen}, s), g));
    return blocks;
  }
  Named contiguous() const {
    return {{"q", q.view()},
            {"k", k.view()},
            {"v", v.view()},
            {"kv_len", lens.view()},
            {"q_len", queries.view()}};
  }
  Named paged() const {
    return {{"q", q.view()},         {"k", k_blocks.view()},     {"v", v_blocks.view()},
            {"kv_len", lens.view()}, {"q_start", starts.view()}, {"block_table", table.view()}};
  }
};

}  // namespace

TEST_CASE("two sequences in blocks, by eye: with equal scores, out is the mean of the values") {
  const Folder folder;
  const Tensor q = floats({2, 1, 1}, {0, 0}), k = floats({3, 1, 2, 1}, {0, 0, 0, 0, 0, 0}),
               v = floats({3, 1, 2, 1}, {10, 11, 20, 21, 30, 31});
  const Tensor table = ints({2, 2}, {2, 0, 1, -1}), kv_len = ints({2}, {3, 1}), q_len = ints({2}, {1, 1});
  const Named file = {{"q", q.view()},           {"k", k.view()},         {"v", v.view()},
                      {"kv_len", kv_len.view()}, {"q_len", q_len.view()}, {"block_table", table.view()}};
  const auto out = attended(folder, file);
  CHECK(out[0] == doctest::Approx((30 + 31 + 10) / 3.0));  // blocks 2 and 0
  CHECK(out[1] == 20);                                     // block 1
  CHECK(attended(folder, file, {"--backend", "cuda-emulated"})[1] == 20);
}

TEST_CASE("in blocks = packed = each sequence alone") {
  const Folder folder;
  const Packed p;
  for (const char* backend : {"naive", "naive-f64", "eigen", "cuda-emulated"}) {
    CAPTURE(backend);
    const auto packed = attended(folder, p.contiguous(), {"--backend", backend});
    CHECK(attended(folder, p.paged(), {"--backend", backend}) == packed);
    std::vector<float> alone;
    int64_t first_query = 0, first_key = 0;
    for (int i = 0; i < 3; ++i) {
      const auto out = attended(folder,
                                {{"q", p.q.view().rows(first_query, p.q_len[i])},
                                 {"k", p.k.view().rows(first_key, p.kv_len[i])},
                                 {"v", p.v.view().rows(first_key, p.kv_len[i])}},
                                {"--backend", backend});
      alone.insert(alone.end(), out.begin(), out.end());
      first_query += p.q_len[i], first_key += p.kv_len[i];
    }
    REQUIRE(alone.size() == packed.size());
    if (std::string(backend) != "cuda-emulated") CHECK(alone == packed);  // there splits follow the longest
    for (size_t i = 0; i < alone.size(); ++i) CHECK(alone[i] == doctest::Approx(packed[i]).epsilon(1e-4));
  }
}

TEST_CASE("a problem of several seconds is computed in parts, also if a part ends within a sequence") {
  const Folder folder;  // a part is 2 GFlop: here 15 queries, so it ends at the fifth of the second sequence
  const Tensor q = judge::random_tensor({19, 32, 256}, 7, 0), k = judge::random_tensor({7000, 1, 256}, 7, 1),
               v = judge::random_tensor({7000, 1, 256}, 7, 2);
  const Tensor kv_len = ints({2}, {4000, 3000}), q_len = ints({2}, {10, 9});
  const auto packed = attended(folder, {{"q", q.view()},
                                        {"k", k.view()},
                                        {"v", v.view()},
                                        {"kv_len", kv_len.view()},
                                        {"q_len", q_len.view()}});
  auto alone = attended(
      folder, {{"q", q.view().rows(0, 10)}, {"k", k.view().rows(0, 4000)}, {"v", v.view().rows(0, 4000)}});
  const auto second = attended(
      folder,
      {{"q", q.view().rows(10, 9)}, {"k", k.view().rows(4000, 3000)}, {"v", v.view().rows(4000, 3000)}});
  alone.insert(alone.end(), second.begin(), second.end());
  CHECK(alone == packed);
}

TEST_CASE("--probe of packed sequences: rows of the longest, −inf and 0 behind a shorter one") {
  const Folder folder;
  const Packed p;
  for (const Named& file : {p.contiguous(), p.paged()}) {
    attended(folder, file, {"--probe", "--backend", "naive"});
    const SafetensorsFile out = SafetensorsFile::open(folder.file("out"));
    CHECK(out.tensor("scores").shape() == Shape{kHeads, 5, 17});
    CHECK(out.tensor("lse_distance").shape() == Shape{kHeads, 5});
    const auto scores = result(folder, "scores"), probs = result(folder, "probs");
    for (int64_t row = 0; row < kHeads * 5; ++row) {
      const bool first_sequence = row % 5 < 2;
      const int64_t n_visible = first_sequence ? 8 + row % 5 : 15 + row % 5 - 2;
      double sum = 0;
      for (int64_t s = 0; s < 17; ++s) {
        CHECK((scores[row * 17 + s] == -std::numeric_limits<float>::infinity()) == (s >= n_visible));
        if (s >= n_visible) CHECK(probs[row * 17 + s] == 0);
        sum += double{probs[row * 17 + s]};
      }
      CHECK(sum == doctest::Approx(1));
    }
  }
}

TEST_CASE("a block may occur twice, in one sequence and in two") {
  const Folder folder;
  const Tensor q = judge::random_tensor({2, 1, 8}, 3, 0), k = judge::random_tensor({2, 1, 4, 8}, 3, 1),
               v = judge::random_tensor({2, 1, 4, 8}, 3, 2);
  const Tensor table = ints({2, 3}, {1, 0, 1, 1, -1, -1}), kv_len = ints({2}, {12, 4}),
               q_len = ints({2}, {1, 1});
  const auto out = attended(folder, {{"q", q.view()},
                                     {"k", k.view()},
                                     {"v", v.view()},
                                     {"kv_len", kv_len.view()},
                                     {"q_len", q_len.view()},
                                     {"block_table", table.view()}});
  // With one K/V head, the rows of a block are [block_len, 1, head_dim] as they are.
  const auto rows = [](const Tensor& blocks, std::vector<int64_t> which) {
    Tensor all = Tensor::host(DType::f32, {std::ssize(which) * 4, 1, 8});
    for (size_t i = 0; i < which.size(); ++i)
      std::copy_n(blocks.data<float>() + which[i] * 32, 32, all.data<float>() + i * 32);
    return all;
  };
  for (const auto& [i, which] : {std::pair{0, std::vector<int64_t>{1, 0, 1}}, {1, {1}}}) {
    const Tensor one_k = rows(k, which), one_v = rows(v, which);
    const auto alone =
        attended(folder, {{"q", q.view().rows(i, 1)}, {"k", one_k.view()}, {"v", one_v.view()}});
    CHECK(std::equal(alone.begin(), alone.end(), out.begin() + i * 8));
  }
}

TEST_CASE("many short sequences beside a long one take little memory and give what each gives alone") {
  const Folder folder;
  constexpr int32_t kLong = 3000,
                    kShort = 3000;  // a block of 3000 for each would be 9 M rows of 2 · 32 bytes
  std::vector<int32_t> kv_len(kShort + 1, 1), q_len(kShort + 1, 0);
  kv_len[0] = kLong, q_len[0] = 2, q_len[kShort] = 1;
  const Tensor q = judge::random_tensor({3, 1, 8}, 3, 0),
               k = judge::random_tensor({kLong + kShort, 1, 8}, 3, 1),
               v = judge::random_tensor({kLong + kShort, 1, 8}, 3, 2);
  const Tensor kv_lens = ints({kShort + 1}, kv_len), q_lens = ints({kShort + 1}, q_len);
  const Named file = {{"q", q.view()},
                      {"k", k.view()},
                      {"v", v.view()},
                      {"kv_len", kv_lens.view()},
                      {"q_len", q_lens.view()}};
  write(folder.file("in"), file);
  const auto limited = command(folder, {"--backend", "naive"});
  const std::string program = LASTROW_BIN_DIR "/lastrow";
#ifdef __SANITIZE_ADDRESS__  // it reserves terabytes of addresses
  std::vector<std::string> in_shell = {"-c", "exec \"$0\" \"$@\"", program};
#else
  std::vector<std::string> in_shell = {"-c", "ulimit -v 400000; exec \"$0\" \"$@\"", program};  // KiB
#endif
  in_shell.insert(in_shell.end(), limited.begin(), limited.end());
  const Outcome o = run("/bin/sh", in_shell);
  CAPTURE(o.err);
  REQUIRE(o.exit_code == 0);
  const auto packed = result(folder, "out");
  const auto first = attended(
      folder, {{"q", q.view().rows(0, 2)}, {"k", k.view().rows(0, kLong)}, {"v", v.view().rows(0, kLong)}},
      {"--backend", "naive"});
  CHECK(std::equal(first.begin(), first.end(), packed.begin()));
  const float* const last_row = v.data<float>() + (kLong + kShort - 1) * 8;  // it sees this key only
  CHECK(std::equal(last_row, last_row + 8, packed.begin() + 16));
}

TEST_CASE("int8 in blocks with its scales, and K and V of different types") {
  const Folder folder;
  const Packed p;
  Tensor codes = Tensor::host(DType::i8, {31, kPackedKvHeads, kDim}),
         decoded = Tensor::host(DType::f32, codes.shape()),
         scales = Tensor::host(DType::f32, {31, kPackedKvHeads, 1});
  for (int64_t i = 0; i < codes.size(); ++i) {
    codes.data<int8_t>()[i] = static_cast<int8_t>(i % kDim == 0 ? 127 : i % 120 - 60);
    scales.data<float>()[i / kDim] = 0.0078125f * static_cast<float>(1 + i / kDim % 3);
    decoded.data<float>()[i] = static_cast<float>(codes.data<int8_t>()[i]) * scales.data<float>()[i / kDim];
  }
  Tensor wide_codes = p.in_blocks(as(DType::f32, codes));
  for (int64_t i = 0; i < wide_codes.size(); ++i)
    if (std::isnan(wide_codes.data<float>()[i])) wide_codes.data<float>()[i] = 5;  // an unused slot
  const Tensor code_blocks = as(DType::i8, wide_codes);
  Tensor scale_blocks = p.in_blocks(scales);
  const Tensor decoded_blocks = p.in_blocks(decoded);
  Named file = p.paged();
  file[1].second = code_blocks.view();
  file.emplace_back("k_scale", scale_blocks.view().reshaped({kBlocks, kPackedKvHeads, kBlockLen}));
  const auto from_codes = attended(folder, file);  // K int8, V f32
  file = p.paged();
  file[1].second = decoded_blocks.view();
  CHECK(attended(folder, file, {"--kv-dtype", "k=int8,v=f32"}) == from_codes);
  CHECK(attended(folder, file, {"--kv-dtype", "k=int8,v=bf16"}) != from_codes);
  const LastrowOutcome o = lastrow_program(command(folder, {"--kv-dtype", "k=int8,v=fp8"}));
  CHECK(o.out.find("3 sequences in blocks of 4, K/V in k=int8,v=fp8") != std::string::npos);
  const LastrowOutcome forced = lastrow_program(
      command(folder, {"--kv-dtype", "k=int8,v=bf16", "--backend", "cuda-emulated", "--kernel", "k08"}));
  CHECK((forced.out + forced.err).find("it needs K and V in the same type") != std::string::npos);
  check_refused(command(folder, {"--kv-dtype", "k=int8"}), "use TYPE or k=TYPE,v=TYPE");
}

TEST_CASE("--backend all judges packed sequences in blocks on every backend and kernel") {
  const Folder folder;
  write(folder.file("in"), Packed().paged());
  const LastrowOutcome o = lastrow_program({"attend", "--in", folder.file("in"), "--backend", "all"});
  CAPTURE(o.out);
  CHECK(o.exit_code == 0);
  CHECK(o.out.find("cuda-emulated:k08") != std::string::npos);
  CHECK(o.out.find("yes") != std::string::npos);
  CHECK(o.out.find("  no\n") == std::string::npos);
}

TEST_CASE("lengths and block tables that do not fit are refused in one line") {
  const Folder folder;
  const Packed p;
  constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
  const auto refuse = [&](bool paged, const char* name, const Tensor& x, const char* why) {
    Named file = paged ? p.paged() : p.contiguous();
    std::erase_if(file, [&](const auto& entry) { return entry.first == name; });
    if (!x.empty()) file.emplace_back(name, x.view());
    CAPTURE(name);
    write(folder.file("in"), file);
    check_refused(command(folder, {}), why);
  };
  const Tensor none;
  refuse(true, "kv_len", none, "there is no kv_len");
  refuse(true, "q_start", none, "there are 3 sequences; add q_len");
  refuse(true, "q_len", ints({3}, {2, 0, 3}), "q_len and q_start, which say the same");
  refuse(true, "kv_len", ints({3, 1}, {9, 5, 17}), "reshape it to [n_seqs]");
  refuse(true, "kv_len", floats({3}, {9, 5, 17}), "convert it to i32");
  refuse(true, "kv_len", ints({3}, {9, -5, 17}), "kv_len[1] is -5; it must be from 0");
  refuse(true, "kv_len", ints({3}, {9, 5, kMost}), "kv_len[2] is 2147483647; it must be from 0");
  refuse(true, "kv_len", ints({3}, {9, 5, 21}), "room for 5 blocks of 4");
  refuse(true, "kv_len", ints({3}, {13, 5, 17}), "block_table[0, 3] is -1, but kv_len[0] is 13");
  refuse(true, "kv_len", ints({2}, {9, 5}), "there are 2 sequences");
  refuse(true, "q_start", ints({4}, {0, 2, 1, 5}), "never decrease");
  refuse(true, "q_start", ints({4}, {1, 2, 2, 5}), "must begin with 0");
  refuse(true, "q_start", ints({4}, {0, 2, 2, 6}), "end with 5");
  refuse(true, "q_start", ints({3}, {0, 2, 5}), "make it [4]");
  refuse(true, "block_table", ints({15}, std::vector<int32_t>(15, 0)), "[n_seqs, blocks_per_seq]");
  refuse(true, "block_table", ints({2, 5}, std::vector<int32_t>(10, 0)), "kv_len has 3 sequences");
  refuse(true, "block_table", ints({3, 5}, std::vector<int32_t>(15, 12)), "is 12, but k has 12 blocks");
  refuse(true, "block_table", ints({3, 5}, std::vector<int32_t>(15, -2)), "is -2, but");
  refuse(true, "block_table", ints({3, 5}, std::vector<int32_t>(15, kMost)), "is 2147483647, but");
  refuse(true, "block_table", none, "reshape it to [tokens, n_kv_heads, head_dim], or add a block_table");
  refuse(true, "k", p.k, "with a block_table, reshape it");
  refuse(true, "v", p.v, "make their shapes equal");
  refuse(false, "kv_len", ints({3}, {9, 5, 16}), "the kv_len add up to 30, but k has 31 tokens");
  refuse(false, "q_len", ints({3}, {2, 1, 3}), "the q_len add up to 6, but q has 5 tokens");
  refuse(false, "q_len", ints({3}, {kMost, 1, 3}), "q_len[0] is 2147483647");
  write(folder.file("in"), p.contiguous());
  check_refused(command(folder, {"--layout", "bhsd"}), "reshape it to [batch, heads, tokens, head_dim]");
}

TEST_CASE("sizes that a tensor without elements claims are refused, or take no memory") {
  const Folder folder;
  constexpr int64_t kHuge = int64_t{1} << 32;
  const Tensor q = floats({1, 1, 8}, std::vector<float>(8, 1));
  const Tensor kv_len = ints({1}, {0}), table = ints({1, 0}, {});
  const auto in_blocks = [&](Shape shape) {
    const Tensor none = Tensor::host(DType::f32, shape);
    write(folder.file("in"), {{"q", q.view()},
                              {"k", none.view()},
                              {"v", none.view()},
                              {"kv_len", kv_len.view()},
                              {"block_table", table.view()}});
  };
  for (const char* backend : {"naive", "naive-f64", "eigen", "cuda-emulated"}) {
    CAPTURE(backend);
    const auto arguments = command(folder, {"--backend", backend});
    in_blocks({0, 1, 4, kHuge});
    check_refused(arguments, "head_dim is 4294967296; it must be from 1 to 4096");
    in_blocks({0, 1, 4, 2 * kHuge + 8});  // 8 in 32 bits
    check_refused(arguments, "head_dim is 8589934600");
    in_blocks({0, kHuge + 1, 4, 8});  // 1 in 32 bits
    check_refused(arguments, "n_kv_heads is 4294967297");
    in_blocks({0, 1, 1 << 28, 8});
    const LastrowOutcome o = lastrow_program(arguments);
    CHECK(o.err_without_progress().empty());
    CHECK(o.exit_code == 0);
    CHECK(result(folder, "out") == std::vector<float>(8, 0));
  }
  const Tensor flat = Tensor::host(DType::f32, {int64_t{1} << 30, 1, 0}), most = ints({1}, {1 << 30});
  write(folder.file("in"),
        {{"q", q.view()}, {"k", flat.view()}, {"v", flat.view()}, {"kv_len", most.view()}});
  check_refused(command(folder, {}), "n_kv_heads and head_dim must be at least 1");
  const Tensor empty = Tensor::host(DType::f32, {int64_t{1} << 24, 1, 0, 8});
  write(folder.file("in"), {{"q", empty.view()}, {"k", empty.view()}, {"v", empty.view()}});
  CHECK(lastrow_program(command(folder, {"--layout", "bhsd"})).exit_code == 0);  // at once
}
