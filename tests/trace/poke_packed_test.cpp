// Pokes in a step of two sequences that share a block: which of them see the poked row.
#include <doctest/doctest.h>

#include <array>

#include "tests/trace/tiny.h"
#include "trace/poke.h"
#include "trace/recorder.h"
#include "trace/tracing.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

/// One head of width 2 and blocks of 2 rows. Both sequences hold 2 rows in block 0, and each appends a third
/// one in a block of its own. Block 3 is spare. All scores are 0, so each row has weight 1/3:
///   v[0] = (3, 0), v[1] = (0, 3), v[2] = (0, 0)   gives   out = (1, 1)
struct Shared {
  Shared() {
    spec = {.n_layers = 1, .n_kv_heads = 1, .head_dim = 2, .max_seq_len = 4, .block_len = 2, .n_blocks = 4};
    storage = naive.make_storage(spec);
    Tensor rows = Tensor::host(DType::f32, {2, 1, 2});
    const std::array<int64_t, 2> slots = {0, 1};
    naive.write_rows(*storage, 0, RowKind::k, slots, rows.view());
    rows.data<float>()[0] = rows.data<float>()[3] = 3;
    naive.write_rows(*storage, 0, RowKind::v, slots, rows.view());
    plan = {.tokens = {0, 0},
            .positions = {2, 2},
            .q_start = {0, 1, 2},
            .kv_len = {3, 3},
            .block_tables = {0, 1, 0, 2},
            .append_slots = {2, 4},
            .block_copies = {},
            .logit_rows = {},
            .sequences = {5, 6},
            .blocks_per_seq = 2,
            .block_len = 2,
            .table_sinks = 0,
            .table_first = {},
            .key_positions = {},
            .new_positions = {},
            .new_key_positions = {},
            .of_windowed = {}};
  }

  /// The two rows of the attention output, each of width 2.
  std::array<float, 4> attend(Backend& backend) {
    const Batch& batch = backend.begin_step(plan, *storage);
    const Tensor zeros = Tensor::host(DType::f32, {2, 1, 2});
    Tensor out = zeros.clone(), lse = Tensor::host(DType::f32, {2, 1});
    backend.run(Append{{0, site::kAppend}, zeros.view(), zeros.view(), batch, *storage});
    backend.run(Attend{{0, site::kAttend}, zeros.view(), *storage, batch, {}, out.view(), lse.view()});
    const float* x = out.data<float>();
    return {x[0], x[1], x[2], x[3]};
  }
  /// The same after this poke. Checks that the stored row is afterwards what it was.
  std::array<float, 4> poked(const Poke& poke, std::span<const int32_t> names = {}) {
    PokingBackend poking(naive);
    poking.set_pokes({&poke, 1});
    poking.set_spare_blocks(3, 1);
    poking.set_step(0, names);
    const auto out = attend(poking);
    report = poking.report(0);
    CHECK(storage->rows(0, RowKind::v).data<float>()[0] == 3.0f);
    return out;
  }

  NaiveBackend<float> naive;
  CacheSpec spec;
  std::unique_ptr<KvStorage> storage;
  StepPlan plan;
  PokeReport report;
};

Poke zero_v0(int32_t sequence) {
  return {.what = Poke::What::v, .action = Poke::Action::zero, .sequence = sequence};
}

using Out = std::array<float, 4>;

}  // namespace

TEST_CASE("by eye: a shared row poked now is seen by each sequence, or only by the one that is named") {
  Shared shared;
  CHECK(shared.attend(shared.naive) == Out{1, 1, 1, 1});
  CHECK(shared.poked(zero_v0(-1)) == Out{0, 1, 0, 1});
  CHECK(shared.report.changed == 1);  // one row, which both have
  CHECK(shared.report.reads == 2);
  CHECK(shared.poked(zero_v0(6)) == Out{1, 1, 0, 1});
  CHECK(shared.report.changed == 1);
  CHECK(shared.report.reads == 1);
  CHECK(shared.poked(zero_v0(5)) == Out{0, 1, 1, 1});
  CHECK(shared.poked(zero_v0(7)) == Out{1, 1, 1, 1});
  CHECK(shared.report.changed == 0);

  const std::array<int32_t, 2> names = {40, 7};  // of a session: its generations
  CHECK(shared.poked(zero_v0(7), names) == Out{1, 1, 0, 1});
  CHECK(shared.poked(zero_v0(5), names) == Out{1, 1, 1, 1});
}

TEST_CASE("scrambling a shared row once or for each sequence alone gives the same row") {
  Shared shared;
  Poke poke{.what = Poke::What::v, .seed = 3};
  const Out both = shared.poked(poke);
  CHECK(both[0] == both[2]);
  CHECK(both[1] == both[3]);
  for (const int32_t sequence : {5, 6}) {
    poke.sequence = sequence;
    const Out one = shared.poked(poke);
    const size_t meant = sequence == 5 ? 0 : 2, other = 2 - meant;
    CHECK(one[meant] == both[meant]);
    CHECK(one[meant + 1] == both[meant + 1]);
    CHECK(one[other] == 1);
    CHECK(one[other + 1] == 1);
  }
}

TEST_CASE("q, and k and v since: only the rows of the sequence that is named") {
  Shared shared;
  for (const Poke::What what : {Poke::What::q, Poke::What::k, Poke::What::v})
    for (const int32_t sequence : {-1, 5, 6, 7}) {
      PokingBackend poking(shared.naive);
      const Poke poke{.what = what, .position = 2, .when = Poke::When::since, .sequence = sequence};
      poking.set_pokes({&poke, 1});
      poking.set_step(0);
      (void)shared.attend(poking);
      CHECK(poking.report(0).changed == (sequence == -1 ? 2 : sequence == 7 ? 0 : 1));
      CHECK(poking.report(0).reads == (sequence == -1 ? 2 : sequence == 7 ? 0 : 1));
    }
}

TEST_CASE("a poke that needs a copy of a block says so if there is no spare block, and changes nothing") {
  Shared shared;
  PokingBackend poking(shared.naive);
  const Poke poke = zero_v0(6);
  poking.set_pokes({&poke, 1});
  CHECK_THROWS_WITH_AS(shared.attend(poking), doctest::Contains("0 spare blocks are not enough"), UsageError);
  shared.plan.block_tables = {0, 1, 3, 2};  // the sequences share no block: none is needed
  CHECK_NOTHROW((void)shared.attend(poking));
}

TEST_CASE("several pokes of one sequence in one block need one copy, and the trace shows it") {
  Shared shared;
  Recorder recorder;
  TracingBackend tracing(shared.naive, recorder);
  PokingBackend poking(tracing);
  std::vector<Poke> pokes = {zero_v0(6), zero_v0(6), zero_v0(-1)};
  pokes[1].position = 1;
  pokes[2].position = 1;
  poking.set_pokes(pokes);
  poking.set_spare_blocks(3, 1);
  CHECK(shared.attend(poking) == Out{1, 0, 0, 0});
  CHECK(recorder.plan(0).block_tables == std::vector<int32_t>{0, 1, 3, 2});
  CHECK(recorder.events(0)[0].op == kCopyBlocks);
  const auto v0_of = [&](int32_t i) {
    const StepTensors seen = recorder.tensors(0, i);
    return *static_cast<const float*>(seen.layers[0].v.raw());
  };
  CHECK(v0_of(0) == 3);
  CHECK(v0_of(1) == 0);
}
