#include "cli/packing.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/memory_limit.h"

namespace lastrow::cli {
namespace {

/// An integer tensor of the file.
struct Integers {
  Shape shape;
  std::vector<int64_t> values;
};

Integers integers(NamedTensors& file, const char* name, int rank, const char* shape) {
  const ConstTensorView x = file.tensor(name);
  if (x.dtype() != DType::i32 && x.dtype() != DType::i64)
    throw FileError("{}: {} is {}; convert it to i32", file.source(), name, name_of(x.dtype()));
  if (x.shape().rank() != rank)
    throw FileError("{}: {} is {}; reshape it to {}", file.source(), name, x.shape().to_string(), shape);
  Integers result{x.shape(), std::vector<int64_t>(static_cast<size_t>(x.size()))};
  if (x.dtype() == DType::i32)
    std::copy_n(x.data<int32_t>(), x.size(), result.values.begin());
  else
    std::copy_n(x.data<int64_t>(), x.size(), result.values.begin());
  return result;
}

/// A tensor of one length for each of n_seqs sequences. n_seqs −1: the tensor says how many there are.
std::vector<int32_t> lengths(NamedTensors& file, const char* name, int64_t n_seqs) {
  const Integers x = integers(file, name, 1, "[n_seqs]");
  if (std::ssize(x.values) > kMaxLength)
    throw FileError("{}: {} is {}; at most {} sequences are possible", file.source(), name,
                    x.shape.to_string(), kMaxLength);
  if (n_seqs >= 0 && std::ssize(x.values) != n_seqs)
    throw FileError("{}: {} is {}, but there are {} sequences; make it [{}]", file.source(), name,
                    x.shape.to_string(), n_seqs, n_seqs);
  for (size_t i = 0; i < x.values.size(); ++i)
    if (x.values[i] < 0 || x.values[i] > kMaxLength)
      throw FileError("{}: {}[{}] is {}; it must be from 0 to {}", file.source(), name, i, x.values[i],
                      kMaxLength);
  return {x.values.begin(), x.values.end()};
}

int64_t sum(const std::vector<int32_t>& x) { return std::accumulate(x.begin(), x.end(), int64_t{0}); }

std::vector<int32_t> read_q_start(NamedTensors& file, int64_t n_tokens, int64_t n_seqs) {
  if (file.has("q_len") && file.has("q_start"))
    throw FileError("{}: it has q_len and q_start, which say the same; drop one of them", file.source());
  std::vector<int32_t> q_start = {0};
  if (file.has("q_len")) {
    const std::vector<int32_t> q_len = lengths(file, "q_len", n_seqs);
    if (sum(q_len) != n_tokens)
      throw FileError("{}: the q_len add up to {}, but q has {} tokens; make them equal", file.source(),
                      sum(q_len), n_tokens);
    for (const int32_t n : q_len) q_start.push_back(q_start.back() + n);
    return q_start;
  }
  if (!file.has("q_start")) {
    if (n_seqs != 1)
      throw FileError("{}: there are {} sequences; add q_len, the number of queries of each, as i32 [{}]",
                      file.source(), n_seqs, n_seqs);
    q_start.push_back(static_cast<int32_t>(n_tokens));
    return q_start;
  }
  const Integers x = integers(file, "q_start", 1, "[n_seqs + 1]");
  if (std::ssize(x.values) != n_seqs + 1)
    throw FileError("{}: q_start is {}, but there are {} sequences; make it [{}]", file.source(),
                    x.shape.to_string(), n_seqs, n_seqs + 1);
  if (x.values.front() != 0 || x.values.back() != n_tokens ||
      !std::is_sorted(x.values.begin(), x.values.end()))
    throw FileError(
        "{}: q_start must begin with 0, never decrease, and end with {}, the tokens of q; it is {}",
        file.source(), n_tokens,
        fmt::join(x.values.begin(), x.values.begin() + std::min<int64_t>(std::ssize(x.values), 8), " "));
  return {x.values.begin(), x.values.end()};
}

/// Blocks, and the slots that at least one sequence uses. A block may be in several places of the table.
void read_blocks(NamedTensors& file, const Shape& k, Packing& p) {
  if (k.rank() != 4)
    throw FileError(
        "{}: k is {}; with a block_table, reshape it to [n_blocks, n_kv_heads, block_len, head_dim]",
        file.source(), k.to_string());
  const Integers table = integers(file, "block_table", 2, "[n_seqs, blocks_per_seq]");
  if (table.shape[0] != p.n_seqs())
    throw FileError("{}: block_table is {}, but kv_len has {} sequences; make it [{}, blocks_per_seq]",
                    file.source(), table.shape.to_string(), p.n_seqs(), p.n_seqs());
  const int64_t n_blocks = k[0], block_len = k[2], per_seq = table.shape[1];
  if (k[1] < 1 || block_len < 1 || k[3] < 1)
    throw FileError("{}: k is {}; n_kv_heads, block_len and head_dim must be at least 1", file.source(),
                    k.to_string());
  if (block_len > kMaxLength || n_blocks > kMaxLength || per_seq > kMaxLength)
    throw FileError("{}: k is {} and block_table is {}; each size may be at most {}", file.source(),
                    k.to_string(), table.shape.to_string(), kMaxLength);
  p.paged = true;
  p.block_len = static_cast<int32_t>(block_len), p.blocks_per_seq = static_cast<int32_t>(per_seq);
  std::vector<bool> used(static_cast<size_t>(n_blocks * block_len));
  for (int64_t i = 0; i < p.n_seqs(); ++i) {
    const int64_t kv_len = p.kv_len[i], n_needed = (kv_len + block_len - 1) / block_len;
    if (n_needed > per_seq)
      throw FileError(
          "{}: kv_len[{}] is {}, but block_table has room for {} blocks of {}; give it more blocks",
          file.source(), i, kv_len, per_seq, block_len);
    for (int64_t b = 0; b < per_seq; ++b) {
      const int64_t block = table.values[i * per_seq + b];
      if (block < -1 || block >= n_blocks)
        throw FileError(
            "{}: block_table[{}, {}] is {}, but k has {} blocks; give a block from 0 on, or -1 for none",
            file.source(), i, b, block, n_blocks);
      if (block == -1 && b < n_needed)
        throw FileError("{}: block_table[{}, {}] is -1, but kv_len[{}] is {}, which takes {} blocks of {}",
                        file.source(), i, b, i, kv_len, n_needed, block_len);
      p.block_tables.push_back(b < n_needed ? static_cast<int32_t>(block) : -1);
      if (b >= n_needed) continue;
      const int64_t n_here = std::min(block_len, kv_len - b * block_len);
      std::fill_n(used.begin() + block * block_len, n_here, true);
    }
  }
  for (size_t slot = 0; slot < used.size(); ++slot)
    if (used[slot]) p.slots.push_back(static_cast<int64_t>(slot));
  if (n_blocks == 0) p.block_len = 1;  // no slots are stored, however long the missing blocks would be
  // Storage must hold the longest sequence, even if that uses a block twice.
  p.n_blocks =
      static_cast<int32_t>(std::max({n_blocks, int64_t{1}, (p.max_kv_len() + block_len - 1) / block_len}));
}

int64_t blocks_for(int64_t kv_len, int64_t block_len) { return (kv_len + block_len - 1) / block_len; }

int64_t n_blocks_of(const Packing& p, int64_t block_len) {
  int64_t n = 0;
  for (const int32_t kv_len : p.kv_len) n += blocks_for(kv_len, block_len);
  return n;
}

int64_t table_bytes(const Packing& p, int64_t block_len) {
  return p.n_seqs() * blocks_for(p.max_kv_len(), block_len) * int64_t{sizeof(int32_t)};
}

/// The block length that takes the least memory: the longest kv_len, or a power of two from 16 on. Sequences
/// of similar lengths get one block each. But many short ones beside a long one get shorter blocks, because
/// each would waste most of a long block.
int64_t best_block_len(const Packing& p, int64_t row_size) {
  constexpr int64_t kShortest = 16;
  const double row_bytes = 2.0 * sizeof(float) * static_cast<double>(row_size);  // K and V
  const auto bytes = [&](int64_t len) {
    const auto n_slots = static_cast<double>(n_blocks_of(p, len) * len);
    return static_cast<double>(table_bytes(p, len)) + n_slots * row_bytes;
  };
  int64_t best = std::max(p.max_kv_len(), 1);
  for (int64_t len = kShortest; len < p.max_kv_len(); len *= 2)
    if (bytes(len) < bytes(best)) best = len;
  return best;
}

/// The rows of each sequence are the next kv_len[i] rows of k. `row_size` is n_kv_heads · head_dim.
void pack_rows(Packing& p, const std::string& source, int64_t row_size) {
  const int64_t block_len = best_block_len(p, row_size);
  require_memory(table_bytes(p, block_len), source, "pack fewer sequences, or sequences of similar lengths");
  p.block_len = static_cast<int32_t>(block_len);
  p.n_blocks = static_cast<int32_t>(std::max<int64_t>(n_blocks_of(p, block_len), 1));
  p.blocks_per_seq = static_cast<int32_t>(std::max<int64_t>(blocks_for(p.max_kv_len(), block_len), 1));
  int32_t block = 0;
  for (const int32_t kv_len : p.kv_len) {
    const int64_t n_here = blocks_for(kv_len, block_len), first_slot = slot_in(block, p.block_len, 0);
    for (int64_t b = 0; b < p.blocks_per_seq; ++b) p.block_tables.push_back(b < n_here ? block++ : -1);
    for (int64_t s = 0; s < kv_len; ++s) p.slots.push_back(first_slot + s);
  }
}

}  // namespace

int32_t Packing::max_kv_len() const {
  return kv_len.empty() ? 0 : *std::max_element(kv_len.begin(), kv_len.end());
}

int32_t Packing::sequence_of(int32_t token) const {
  return static_cast<int32_t>(std::upper_bound(q_start.begin(), q_start.end(), token) - q_start.begin()) - 1;
}

Packing one_sequence(int32_t q_len, int32_t kv_len) {
  Packing p;
  p.q_start = {0, q_len};
  p.kv_len = {kv_len};
  p.block_tables = {0};
  p.block_len = std::max(kv_len, 1);
  p.slots.resize(static_cast<size_t>(kv_len));
  std::iota(p.slots.begin(), p.slots.end(), int64_t{0});
  return p;
}

bool has_packing(const NamedTensors& file) {
  return file.has("block_table") || file.has("kv_len") || file.has("q_len") || file.has("q_start");
}

Packing read_packing(NamedTensors& file, int64_t n_tokens, const Shape& k) {
  if (!file.has("kv_len"))
    throw FileError(
        "{}: there is no kv_len; add it, with the number of keys of each sequence, as i32 [n_seqs]",
        file.source());
  Packing p;
  p.kv_len = lengths(file, "kv_len", -1);
  p.q_start = read_q_start(file, n_tokens, p.n_seqs());
  if (file.has("block_table")) {
    read_blocks(file, k, p);
    return p;
  }
  if (k.rank() != 3)
    throw FileError("{}: k is {}; reshape it to [tokens, n_kv_heads, head_dim], or add a block_table",
                    file.source(), k.to_string());
  if (k[1] < 1 || k[2] < 1)  // such a k has no data, and could claim any number of rows
    throw FileError("{}: k is {}; n_kv_heads and head_dim must be at least 1", file.source(), k.to_string());
  if (sum(p.kv_len) != k[0])
    throw FileError("{}: the kv_len add up to {}, but k has {} tokens; make them equal", file.source(),
                    sum(p.kv_len), k[0]);
  pack_rows(p, file.source(), k[1] * k[2]);
  return p;
}

StepPlan slice(const Packing& packing, int32_t first, int32_t n, const AttendSpec& spec) {
  const bool causal = spec.mask.causal;
  StepPlan plan;
  plan.q_start = {0};
  for (int32_t i = 0; i < packing.n_seqs(); ++i) {
    const int32_t begin = std::clamp(packing.q_start[i], first, first + n),
                  end = std::clamp(packing.q_start[i + 1], first, first + n);
    const int32_t left_out = causal ? std::max(packing.q_start[i + 1] - (first + n), 0) : 0;
    const int32_t kv_len = std::max(packing.kv_len[i] - left_out, 0);
    for (int32_t t = begin; t < end; ++t)
      plan.positions.push_back(packing.kv_len[i] - packing.q_start[i + 1] + t);
    plan.q_start.push_back(end - first);
    plan.kv_len.push_back(kv_len);
    plan.sequences.push_back(i);
  }
  plan.tokens.assign(static_cast<size_t>(n), 0);
  plan.append_slots.assign(static_cast<size_t>(n), 0);  // not used: write_rows has stored the rows
  plan.block_tables = packing.block_tables;
  plan.blocks_per_seq = packing.blocks_per_seq;
  plan.block_len = packing.block_len;
  if (!causal && spec.score.alibi_heads > 0)
    for (int32_t i = 0; i < packing.n_seqs(); ++i)
      for (int32_t s = 0; s < plan.keys_per_seq(); ++s) plan.key_positions.push_back(s);
  return plan;
}

}  // namespace lastrow::cli
