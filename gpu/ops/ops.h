// The decoder's other operations on a device: short kernels, one idea each, queued on a stream.
//
// All addresses are the device's; sizes are in elements. A call with nothing to do launches nothing. Shapes
// were checked by the caller. Formulas are those of src/ops, judged by src/backend/naive.cpp.
#pragma once

#include <cstdint>

#include "attention/mask.h"
#include "cache/index.h"
#include "core/dtype.h"
#include "gpu/parts/attend_call.h"
#include "gpu/target/stream.h"

namespace lastrow::LASTROW_TARGET {

/// out[i,:] = table[ids[i],:].   table [table_rows, dim]   ids [n]   out [n, dim]   embed and gather_rows
void take_rows(const float* table, int64_t table_rows, const int32_t* ids, int64_t n, int64_t dim, float* out,
               Stream stream);

/// x[i,:] += table[ids[i],:].   table [table_rows, dim]   ids [n]   x [n, dim]   embed_positions
void add_table_rows(const float* table, int64_t table_rows, const int32_t* ids, int64_t n, int64_t dim,
                    float* x, Stream stream);

/// x, out [n_rows, dim]   weight [dim]
void rms_norm(const float* x, const float* weight, float eps, int64_t n_rows, int64_t dim, float* out,
              Stream stream);

/// x, out [n_rows, dim]   weight, bias [dim]
void layer_norm(const float* x, const float* weight, const float* bias, float eps, int64_t n_rows,
                int64_t dim, float* out, Stream stream);

struct RopeCall {
  const float *cos, *sin;    // [max_seq_len, head_dim / 2]
  const int32_t* positions;  // [n_tokens]
  float* x;                  // [n_tokens, n_heads, head_dim], in place
  int32_t max_seq_len, n_tokens, n_heads, head_dim;
  bool interleaved;
};
void rope(const RopeCall& call, Stream stream);

/// The stored keys of one layer, rotated at their positions into a scratch of the same slots.
struct RotateKeysCall {
  const float *cos, *sin;        // [max_seq_len, head_dim / 2]
  const void *k, *k_scales;      // of the layer, as KvStorage says
  float* keys;                   // [n_blocks, n_kv_heads, block_len, head_dim]
  const int32_t* kv_len;         // [n_seqs]
  const int32_t* block_tables;   // [n_seqs, blocks_per_seq]
  const int32_t* table_first;    // [n_seqs], or null
  const int32_t* key_positions;  // [n_seqs, keys_per_seq], or null
  RowLayout layout;
  DType k_dtype;
  int64_t n_blocks;
  int32_t max_seq_len, n_seqs, blocks_per_seq, table_sinks;
  bool interleaved;
};
void rotate_keys(const RotateKeysCall& call, Stream stream);

/// Rows of K or of V by their slots, encoded in storage of kv_dtype (cache/kv_codec.h). Row is const where
/// they are stored, Stored where they are fetched.
template <typename Row, typename Stored>
struct RowsCall {
  Row* rows;             // [n_rows, n_kv_heads, head_dim]
  const int64_t* slots;  // [n_rows]
  Stored* storage;       // [n_blocks, n_kv_heads, block_len, head_dim]
  Stored* scales;        // as KvStorage::scales says, or null
  RowLayout layout;
  DType kv_dtype;
  int32_t n_rows;
  int64_t n_blocks;
};
void store_rows(const RowsCall<const float, void>& call, Stream stream);
void fetch_rows(const RowsCall<float, const void>& call, Stream stream);

/// As RowsCall, for K with scales for channels. A row of a sealed block is encoded with the scales that the block has.
template <typename Row, typename Stored>
struct ChannelRowsCall {
  Row* rows;             // [n_rows, n_kv_heads, head_dim]
  const int64_t* slots;  // [n_rows]
  gpu::ChannelStorage<Stored> k;
  int32_t n_rows;
};
void store_channel_rows(const ChannelRowsCall<const float, void>& call, Stream stream);
void fetch_channel_rows(const ChannelRowsCall<float, const void>& call, Stream stream);

/// Gives the blocks in seals [n_seals] their scales, and stores the rows of their open blocks as codes.
void seal_keys(const gpu::ChannelStorage<void>& k, const int32_t* seals, int32_t n_seals, Stream stream);

/// The keys that sequences hold, decoded into a scratch of the same slots.
struct DecodeKeysCall {
  gpu::ChannelStorage<const void> k;
  float* keys;                  // [n_blocks, n_kv_heads, block_len, head_dim]
  const int32_t* kv_len;        // [n_seqs]
  const int32_t* block_tables;  // [n_seqs, blocks_per_seq]
  int32_t n_seqs, blocks_per_seq;
  int32_t max_kv_len;  // as in AttendShape
};
void decode_keys(const DecodeKeysCall& call, Stream stream);

/// Scores of chosen heads and rows of sequence `seq`, their softmax, and how far its lse is from that which
/// attend wrote.
struct ProbeCall {
  gpu::AttendCall attend;
  int32_t seq, first_head, n_heads, first_row, n_rows;
  int32_t kv_len;         // of the sequence
  float *scores, *probs;  // [n_heads, n_rows, kv_len]
  float* lse_distance;    // [n_heads, n_rows], or null
};
void probe(const ProbeCall& call, Stream stream);

/// mass [n_seqs, keys_per_seq], of the call's step; the call's lse is read, its out and scratch are not used.
void score_mass(const gpu::AttendCall& call, float* mass, Stream stream);

/// out = silu(gate) ⊙ up, all [n].
void swiglu(const float* gate, const float* up, int64_t n, float* out, Stream stream);
/// out = gelu(x), both [n].
void gelu(const float* x, int64_t n, float* out, Stream stream);
/// x += y, both [n].
void add(const float* y, int64_t n, float* x, Stream stream);
/// x[i,:] += bias.   x [n_rows, dim]   bias [dim]
void add_bias(const float* bias, int64_t n_rows, int64_t dim, float* x, Stream stream);
/// ids[i] = the first of the largest of logits[i,:].   logits [n_rows, vocab_size]
void argmax(const float* logits, int64_t n_rows, int64_t vocab_size, int32_t* ids, Stream stream);

}  // namespace lastrow::LASTROW_TARGET
