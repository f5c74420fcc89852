#include "cli/cache_flags.h"

namespace lastrow::cli {

void CacheFlags::add_to(CLI::App& subcommand) {
  subcommand.add_option(
      "--cache", cache_,
      "contiguous: one block for each sequence; paged[:block=B][,blocks=N]: blocks of B rows from a pool of "
      "N; window[:w=W][,sinks=N][,positions=kept|new][,block=B]: the first N rows, and a ring for the last "
      "W; without W: the model's own window, in the layers that have one; with positions=new, a row's "
      "position is its place among the rows that are kept, so a text may be longer than the model's context; "
      "contiguous:window=W[,sinks=N]: sees the same rows, but stores all; "
      "budget:rows=N[,policy=oldest|sinks|heavy|random][,sinks=N][,seed=N]: N rows; the policy chooses which "
      "to forget. Default: contiguous, B 16, blocks=N as many as are needed, no sinks, policy oldest");
  subcommand.add_option(
      "--kv-dtype", kv_dtype_,
      "The type of the cache: f32, f16, bf16, fp8, int8, int4 or fp4, with --cache paged also int8-channel "
      "(K only; V is then int8), or k=TYPE,v=TYPE; default f32 (naive-f64 stores f64 instead)");
}

CacheOptions CacheFlags::options() const { return cache_options(cache_, kv_dtype_); }

}  // namespace lastrow::cli
