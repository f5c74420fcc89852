#include "cache/block_pool.h"

#include <doctest/doctest.h>

#include "support/aborts.h"

using namespace lastrow;
using lastrow::testing::aborts;

TEST_CASE("a pool by eye: the block that was given back last comes first") {
  BlockPool pool(4);
  CHECK(pool.take() == 0);
  CHECK(pool.take() == 1);
  CHECK(pool.take() == 2);
  for (const int32_t block : {2, 0}) {
    CHECK(pool.drop(block) == 0);
    pool.give_back(block);
  }
  CHECK(pool.n_free() == 3);
  CHECK(pool.free_block(0) == 0);
  CHECK(pool.free_block(1) == 2);
  CHECK(pool.free_block(2) == 3);
  for (const int32_t expected : {0, 2, 3}) CHECK(pool.take() == expected);
  CHECK(pool.n_free() == 0);
}

TEST_CASE("a pool counts the holders of each block") {
  BlockPool pool(3);
  const int32_t block = pool.take();
  pool.share(block);
  pool.share(block);
  CHECK(pool.holders(block) == 3);
  CHECK(pool.n_used() == 1);
  CHECK(pool.n_shared() == 1);
  CHECK(pool.drop(block) == 2);
  CHECK(pool.n_shared() == 1);
  CHECK(pool.drop(block) == 1);
  CHECK(pool.n_shared() == 0);
  CHECK(pool.drop(block) == 0);
  CHECK(pool.n_used() == 0);
  CHECK(pool.n_free() == 2);  // nobody holds it, but it was not given back
  pool.share(block);
  CHECK(pool.n_used() == 1);
}

TEST_CASE("a copied pool continues like the original") {
  BlockPool pool(3), copy(3);
  pool.take();
  pool.share(pool.take());
  copy.copy_from(pool);
  CHECK(copy.holders(1) == 2);
  CHECK(copy.n_shared() == 1);
  CHECK(copy.take() == 2);
  CHECK(pool.n_free() == 1);
}

TEST_CASE("a pool stops the program when its blocks are counted wrongly") {
  BlockPool pool(1), larger(2);
  CHECK(aborts([&] { pool.give_back(0); }));  // it is free
  CHECK(aborts([&] { pool.drop(0); }));
  pool.take();
  CHECK(aborts([&] { pool.take(); }));
  CHECK(aborts([&] { pool.give_back(0); }));  // a sequence holds it
  CHECK(aborts([&] { pool.copy_from(larger); }));
}
