#include "ops/open_blocks.h"

#include <doctest/doctest.h>

using namespace lastrow;

TEST_CASE("a slot of an open block has a place among the open rows, and one of a sealed block has none") {
  CacheSpec spec =
      CacheSpec::contiguous(/*n_layers=*/1, /*n_kv_heads=*/2, /*head_dim=*/8, /*max_seq_len=*/12);
  spec.block_len = 4;
  spec.n_blocks = 3;
  spec.n_open_blocks = 2;
  OpenBlocks open(spec);
  CHECK(open.exist());
  CHECK(open.shape() == Shape{2, 2, 4, 8});
  CHECK(OpenBlocks::layer_bytes(spec) == 2 * 2 * 4 * 8 * 4);
  for (int64_t slot = 0; slot < 12; ++slot) CHECK(open.slot_of(slot) == -1);  // before the first step

  const int32_t numbers[] = {-1, 1, 0};  // block 0 is sealed
  open.set(numbers);
  CHECK(open.numbers()[1] == 1);
  CHECK(open.slot_of(3) == -1);
  CHECK(open.slot_of(4) == 4);
  CHECK(open.slot_of(7) == 7);
  CHECK(open.slot_of(8) == 0);
  CHECK(open.slot_of(11) == 3);
}

TEST_CASE("a storage without scales for channels has no open blocks") {
  const CacheSpec spec = CacheSpec::contiguous(1, 2, 8, 12);
  const OpenBlocks open(spec);
  CHECK(!open.exist());
  CHECK(open.numbers().empty());
  CHECK(OpenBlocks::layer_bytes(spec) == 0);
}
