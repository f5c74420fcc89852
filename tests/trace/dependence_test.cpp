// Compares the row rules with the operations: each input row of each operation is changed alone, and exactly
// the rows whose rule names it must change.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "cache/contiguous_cache.h"
#include "cache/kv_channels.h"
#include "cache/make_cache.h"
#include "tests/trace/tiny.h"
#include "tests/trace/traced_model.h"
#include "trace/dependence.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

// An operation over host tensors (a naive backend's memory is the host's).
struct Case {
  std::vector<Tensor> inputs;  // the tensors whose rows the event reads, in its order
  std::vector<Tensor> outputs;
  std::function<void(Backend&, std::vector<Tensor>& inputs, std::vector<Tensor>& outputs)> run;
};

// Runs once for the event, then once for each input row with that row replaced.
void check_by_perturbation(const Case& c, const StepPlan& plan, KvStorage& storage) {
  NaiveBackend<float> naive;
  Recorder recorder;
  TracingBackend tracing(naive, recorder);
  tracing.begin_step(plan, storage);
  const auto clones = [](const std::vector<Tensor>& tensors) {
    std::vector<Tensor> copies;
    for (const Tensor& t : tensors) copies.push_back(t.clone());
    return copies;
  };
  std::vector<Tensor> in = clones(c.inputs), out = clones(c.outputs);
  c.run(tracing, in, out);
  const std::span<const Event> events = recorder.events(recorder.latest_step());
  REQUIRE(events.size() == 1);
  const Event& event = events[0];
  const std::vector<RowDependence> rules = row_dependence(event, plan);

  for (size_t i = 0; i < in.size(); ++i)
    for (int64_t r = 0; r < c.inputs[i].shape()[0]; ++r) {
      std::vector<Tensor> changed_in = clones(c.inputs), changed_out = clones(c.outputs);
      const TensorView row = changed_in[i].view().rows(r, 1);
      for (int64_t e = 0; e < row.size(); ++e)  // reversed and negated, so argmax changes too
        row.data<float>()[e] = -2.0f * c.inputs[i].view().rows(r, 1).data<float>()[row.size() - 1 - e];
      naive.begin_step(plan, storage);
      c.run(naive, changed_in, changed_out);
      const RowSpan& operand = event.reads[i];
      for (const RowDependence& rule : rules) {
        if (rule.written.space != RowSpace::tensor) continue;
        const auto w =
            std::ranges::find_if(event.writes, [&](const RowSpan& s) { return s.id == rule.written.id; });
        const auto o = static_cast<size_t>(w - event.writes.begin());
        const int64_t t = rule.written.row - w->first;
        // In place: the output is the input with the same id.
        const bool in_place = out.empty();
        const ConstTensorView before = in_place ? in.back().view() : out[o].view();
        const ConstTensorView after = in_place ? changed_in.back().view() : changed_out[o].view();
        const bool changed = !same_bits(before.rows(t, 1), after.rows(t, 1));
        const bool listed =
            std::ranges::count(rule.reads, Row{operand.space, operand.id, operand.first + r}) == 1;
        CAPTURE(event.name);
        CAPTURE(i);
        CAPTURE(r);
        CAPTURE(t);
        CHECK(changed == listed);
      }
    }
}

// Two sequences, of 3 and 2 new tokens. The second has 2 stored rows already.
struct TwoSequences {
  ContiguousCache cache{CacheSpec::contiguous(1, 2, 8, 8, 2)};
  std::unique_ptr<KvStorage> storage = NaiveBackend<float>().make_storage(cache.spec());
  StepPlan plan;
  TwoSequences() {
    const std::vector<int32_t> past{1, 2}, a{3, 4, 5}, b{6, 7};
    const SequenceInput first{1, past, LogitRows::none};
    cache.commit(cache.plan({&first, 1}));
    const std::array<SequenceInput, 2> inputs{SequenceInput{0, a, LogitRows::last},
                                              SequenceInput{1, b, LogitRows::all}};
    plan = cache.plan(inputs);
    NaiveBackend<float> naive;
    for (RowKind kind : {RowKind::k, RowKind::v}) {
      std::vector<int64_t> slots(16);
      for (int64_t s = 0; s < 16; ++s) slots[s] = s;
      naive.write_rows(*storage, 0, kind, slots, random_tensor({16, 2, 8}, 9, uint64_t(kind)).view());
    }
  }
};

template <typename... T>
std::vector<Tensor> list(T&&... t) {
  std::vector<Tensor> v;
  (v.push_back(std::move(t)), ...);
  return v;
}

}  // namespace

TEST_CASE("by eye: row 1 of a sequence of three attends to q[1] and to K and V of slots 0 and 1") {
  TracedModel m({}, 1);
  m.step({3, 1, 4});
  const Lineage lineage(m.recorder);
  const Event& attend = m.recorder.events(0)[lineage.find(0, 0, site::kAttend)];
  const int32_t q = attend.reads[0].id, out = attend.writes[0].id, lse = attend.writes[1].id;
  CHECK(rows_read(attend, m.recorder.plan(0), {RowSpace::tensor, out, 1}) ==
        std::vector<Row>{{RowSpace::tensor, q, 1},
                         {RowSpace::k, 0, 0},
                         {RowSpace::k, 0, 1},
                         {RowSpace::v, 0, 0},
                         {RowSpace::v, 0, 1}});
  CHECK(rows_read(attend, m.recorder.plan(0), {RowSpace::tensor, lse, 0}) ==
        std::vector<Row>{{RowSpace::tensor, q, 0}, {RowSpace::k, 0, 0}});
  CHECK_THROWS_AS(rows_read(attend, m.recorder.plan(0), {RowSpace::tensor, out, 3}), UsageError);
}

TEST_CASE("operations on tensors change exactly the rows that the rules list") {
  const TwoSequences s;
  const Tensor weight = random_tensor({8}, 1), matrix = random_tensor({6, 8}, 2);
  const auto check = [&](Case c) { check_by_perturbation(c, s.plan, *s.storage); };
  check({list(random_tensor({5, 8}, 3)), list(Tensor::host(DType::f32, {5, 8})),
         [&](Backend& b, auto& in, auto& out) {
           b.run(RmsNorm{{0, site::kAttnNorm}, in[0].view(), weight.view(), 1e-5f, out[0].view()});
         }});
  check({list(random_tensor({5, 8}, 3)), list(Tensor::host(DType::f32, {5, 8})),
         [&](Backend& b, auto& in, auto& out) {
           b.run(LayerNorm{{0, site::kAttnNorm}, in[0], weight, weight, 1e-5f, out[0]});
         }});
  check({list(random_tensor({5, 8}, 3)), list(Tensor::host(DType::f32, {5, 8})),
         [&](Backend& b, auto& in, auto& out) {
           b.run(Gelu{{0, site::kGelu}, in[0], out[0]});
         }});
  check({list(random_tensor({5, 8}, 3)), {}, [&](Backend& b, auto& in, auto&) {
           const Tensor table = random_tensor({16, 8}, 7);
           b.run(EmbedPositions{{-1, site::kEmbedPositions}, table, b.begin_step(s.plan, *s.storage), in[0]});
         }});
  check({list(random_tensor({5, 8}, 3)), list(Tensor::host(DType::f32, {5, 6})),
         [&](Backend& b, auto& in, auto& out) {
           b.run(Linear{{0, site::kQProj}, in[0].view(), matrix.view(), {}, out[0].view()});
         }});
  check({list(random_tensor({5, 8}, 3), random_tensor({5, 8}, 4)), list(Tensor::host(DType::f32, {5, 8})),
         [&](Backend& b, auto& in, auto& out) {
           b.run(Swiglu{{0, site::kSwiglu}, in[0].view(), in[1].view(), out[0].view()});
         }});
  check({list(random_tensor({5, 8}, 3), random_tensor({5, 8}, 4)), {}, [&](Backend& b, auto& in, auto&) {
           b.run(Add{{0, site::kAddFfn}, in[0].view(), in[1].view()});
         }});
  check({list(random_tensor({5, 2, 8}, 3)), {}, [&](Backend& b, auto& in, auto&) {
           const RopeTable table{random_tensor({8, 4}, 5), random_tensor({8, 4}, 6), false};
           b.run(Rope{{0, site::kRopeK}, table, b.begin_step(s.plan, *s.storage), in[0].view()});
         }});
  check({list(random_tensor({5, 8}, 3)), list(Tensor::host(DType::f32, {3, 8})),
         [&](Backend& b, auto& in, auto& out) {
           b.run(GatherRows{
               {-1, site::kGatherRows}, in[0].view(), b.begin_step(s.plan, *s.storage), out[0].view()});
         }});
  check({list(random_tensor({5, 7}, 3)), list(Tensor::host(DType::i32, {5})),
         [&](Backend& b, auto& in, auto& out) {
           b.run(Argmax{{-1, site::kArgmax}, in[0].view(), out[0].view()});
         }});
  Tensor lse = random_tensor({5, 4}, 4);
  for (int64_t i = 0; i < lse.size(); ++i) lse.data<float>()[i] += 6;  // so that no weight is cut at 1
  check(
      {list(random_tensor({5, 4, 8}, 3), std::move(lse)), list(Tensor::host(DType::f32, {2, 8})),
       [&](Backend& b, auto& in, auto& out) {
         b.run(ScoreMass{
             {0, site::kScoreMass}, in[0], in[1], *s.storage, b.begin_step(s.plan, *s.storage), {}, out[0]});
       }});
}

TEST_CASE("by eye: the mass of a sequence comes from all its queries, their lse, and K, but not V") {
  const TwoSequences s;
  NaiveBackend<float> naive;
  Recorder recorder;
  TracingBackend tracing(naive, recorder);
  const Tensor q = random_tensor({5, 4, 8}, 3), lse = random_tensor({5, 4}, 4);
  Tensor mass = Tensor::host(DType::f32, {2, 8});
  const Batch& batch = tracing.begin_step(s.plan, *s.storage);
  tracing.run(ScoreMass{{0, site::kScoreMass}, q, lse, *s.storage, batch, {}, mass});
  const Event& event = recorder.events(0)[0];
  const int32_t q_id = event.reads[0].id, lse_id = event.reads[1].id;
  std::vector<Row> expected{{RowSpace::tensor, q_id, 3},
                            {RowSpace::tensor, q_id, 4},
                            {RowSpace::tensor, lse_id, 3},
                            {RowSpace::tensor, lse_id, 4}};
  for (const int64_t slot : {8, 9, 10, 11}) expected.push_back({RowSpace::k, 0, slot});
  std::ranges::sort(expected);
  CHECK(rows_read(event, s.plan, {RowSpace::tensor, event.writes[0].id, 1}) == expected);
  CHECK(event.cost.cache_bytes_read == 7 * 2 * 8 * 4);  // 3 and 4 rows of K, 2 heads, 8 floats
  CHECK(event.cost.flop == 2 * 4 * 8 * (1 + 2 + 3 + 3 + 4));
}

TEST_CASE(
    "rotate_keys: each slot of the scratch follows the same slot of K, and only held rows are written") {
  const TwoSequences s;
  NaiveBackend<float> naive;
  Recorder recorder;
  TracingBackend tracing(naive, recorder);
  const RopeTable table{random_tensor({8, 4}, 5), random_tensor({8, 4}, 6), false};
  const RowLayout layout = s.cache.spec().layout();
  const auto rotate = [&](Backend& b) {
    Tensor keys = Tensor::host(DType::f32, {2, 2, 8, 8});
    b.run(RotateKeys{{0, site::kRotateKeys}, table, b.begin_step(s.plan, *s.storage), *s.storage, keys});
    return keys;
  };
  const Tensor before = rotate(tracing);
  const Event& event = recorder.events(0)[0];
  const std::vector<RowDependence> rules = row_dependence(event, s.plan);
  CHECK(rules.size() == 3 + 4);
  for (int64_t slot = 0; slot < 16; ++slot) {  // unused slots too
    Tensor row = Tensor::host(DType::f32, {1, 2, 8});
    naive.read_rows(*s.storage, 0, RowKind::k, {&slot, 1}, row.view());
    naive.write_rows(*s.storage, 0, RowKind::k, {&slot, 1}, random_tensor({1, 2, 8}, 77).view());
    const Tensor after = rotate(naive);
    naive.write_rows(*s.storage, 0, RowKind::k, {&slot, 1}, row.view());
    for (int64_t other = 0; other < 16; ++other) {
      bool changed = false;
      for (int32_t g = 0; g < 2; ++g)
        changed = changed || std::memcmp(before.data<float>() + row_offset(layout, other, g),
                                         after.data<float>() + row_offset(layout, other, g), 8 * 4) != 0;
      const bool listed = std::ranges::any_of(rules, [&](const RowDependence& rule) {
        return rule.written == Row{RowSpace::rotated, 0, other} &&
               rule.reads == std::vector<Row>{{RowSpace::k, 0, slot}};
      });
      CHECK(changed == listed);
    }
  }
}

TEST_CASE("seal_keys: each slot of a sealed block follows all slots of that block, and no other") {
  const auto cache =
      make_cache({.kind = "paged", .block_len = 3, .dtype_k = DType::i8_channel},
                 {.n_layers = 1, .n_kv_heads = 2, .head_dim = 8, .max_seq_len = 12, .longest_step = 3});
  NaiveBackend<float> naive;
  const auto storage = naive.make_storage(cache->spec());
  const std::vector<int32_t> tokens = {1, 2, 3};
  const SequenceInput input{0, tokens, LogitRows::last};
  const Tensor rows = random_tensor({3, 2, 8}, 5);
  const auto append = [&](const StepPlan& plan) {
    naive.run(Append{{0, site::kAppend}, rows, rows, naive.begin_step(plan, *storage), *storage});
  };
  const StepPlan& first = cache->plan({&input, 1});
  append(first);
  cache->commit(first);
  const StepPlan plan = cache->plan({&input, 1});
  append(plan);
  Recorder recorder;
  TracingBackend tracing(naive, recorder);
  // The codes of all blocks, as numbers, after sealing block 0.
  const auto seal = [&](Backend& b) {
    b.run(SealKeys{{0, site::kSealKeys}, b.begin_step(plan, *storage), *storage});
    std::vector<float> decoded;
    const auto* codes = std::as_const(*storage).rows(0, RowKind::k).data<Int8Channel>();
    const float* scales = std::as_const(*storage).scales(0, RowKind::k).data<float>();
    for (int64_t i = 0; i < 3 * 2 * 8; ++i)
      decoded.push_back(decode_channel(codes[i], scales[i / 24 * 8 + i % 8]));
    return decoded;
  };
  const std::vector<float> before = seal(tracing);
  const std::vector<RowDependence> rules = row_dependence(recorder.events(0)[0], plan);
  REQUIRE(rules.size() == 3);
  for (int64_t slot = 0; slot < 6; ++slot) {  // of the open block behind it, too
    Tensor row = Tensor::host(DType::f32, {1, 2, 8}), larger = row.clone();
    naive.read_rows(*storage, 0, RowKind::k, {&slot, 1}, row.view());
    for (int64_t i = 0; i < 16; ++i) larger.data<float>()[i] = 1000 + static_cast<float>(i);
    naive.write_rows(*storage, 0, RowKind::k, {&slot, 1}, larger.view());
    const std::vector<float> after = seal(naive);
    naive.write_rows(*storage, 0, RowKind::k, {&slot, 1}, row.view());
    for (int64_t other = 0; other < 3; ++other) {
      bool changed = false;
      for (int64_t g = 0; g < 2; ++g)
        for (int64_t d = 0; d < 8; ++d)
          changed = changed || before[static_cast<size_t>(g * 24 + other * 8 + d)] !=
                                   after[static_cast<size_t>(g * 24 + other * 8 + d)];
      const auto& reads = rules[static_cast<size_t>(other)].reads;
      CHECK(changed == (std::ranges::find(reads, Row{RowSpace::k, 0, slot}) != reads.end()));
    }
  }
}

TEST_CASE("embed: out[t] follows token t and no other") {
  TwoSequences s;
  NaiveBackend<float> naive;
  Recorder recorder;
  TracingBackend tracing(naive, recorder);
  const Tensor table = random_tensor({50, 8}, 1);
  const auto embed = [&](Backend& b, const StepPlan& plan) {
    Tensor out = Tensor::host(DType::f32, {5, 8});
    b.run(Embed{{-1, site::kEmbed}, table.view(), b.begin_step(plan, *s.storage), out.view()});
    return out;
  };
  const Tensor before = embed(tracing, s.plan);
  const std::vector<RowDependence> rules = row_dependence(recorder.events(0)[0], s.plan);
  REQUIRE(rules.size() == 5);
  for (int64_t r = 0; r < 5; ++r) {
    StepPlan changed = s.plan;
    changed.tokens[r] = 40;
    const Tensor after = embed(naive, changed);
    for (int64_t t = 0; t < 5; ++t) {
      CHECK(same_bits(before.view().rows(t, 1), after.view().rows(t, 1)) == (t != r));
      CHECK(rules[t].reads == std::vector<Row>{{RowSpace::token, 0, t}});
    }
  }
}

TEST_CASE("append: each slot follows its token's row; K from k, V from v") {
  TwoSequences s;
  NaiveBackend<float> naive;
  Recorder recorder;
  TracingBackend tracing(naive, recorder);
  const Tensor k = random_tensor({5, 2, 8}, 3), v = random_tensor({5, 2, 8}, 4);
  const auto stored = [&](RowKind kind) {
    Tensor rows = Tensor::host(DType::f32, {16, 2, 8});
    std::vector<int64_t> slots(16);
    for (int64_t i = 0; i < 16; ++i) slots[i] = i;
    naive.read_rows(*s.storage, 0, kind, slots, rows.view());
    return rows;
  };
  tracing.run(
      Append{{0, site::kAppend}, k.view(), v.view(), tracing.begin_step(s.plan, *s.storage), *s.storage});
  const Event& event = recorder.events(0)[0];
  const std::vector<RowDependence> rules = row_dependence(event, s.plan);
  CHECK(rules.size() == 10);
  const Tensor k_before = stored(RowKind::k), v_before = stored(RowKind::v);
  for (const size_t operand : {0, 1})
    for (int64_t r = 0; r < 5; ++r) {
      Tensor changed = (operand == 0 ? k : v).clone();
      changed.data<float>()[r * 16] += 1;
      naive.run(Append{{0, site::kAppend},
                       operand == 0 ? changed.view() : k.view(),
                       operand == 1 ? changed.view() : v.view(),
                       naive.begin_step(s.plan, *s.storage),
                       *s.storage});
      const Tensor k_after = stored(RowKind::k), v_after = stored(RowKind::v);
      for (const RowDependence& rule : rules) {
        const bool is_k = rule.written.space == RowSpace::k;
        const bool same = same_bits((is_k ? k_before : v_before).view().rows(rule.written.row, 1),
                                    (is_k ? k_after : v_after).view().rows(rule.written.row, 1));
        CHECK(same != (rule.reads == std::vector<Row>{{RowSpace::tensor, event.reads[operand].id, r}}));
      }
    }
}

TEST_CASE("append: of two tokens that go to one slot, the later one is what it holds") {
  NaiveBackend<float> naive;
  Recorder recorder;
  TracingBackend tracing(naive, recorder);
  const auto storage = naive.make_storage(CacheSpec::contiguous(1, 1, 4, 4));
  StepPlan plan;
  plan.tokens = {7, 8}, plan.positions = {0, 1}, plan.q_start = {0, 2}, plan.kv_len = {2};
  plan.append_slots = {0, 0}, plan.block_tables = {0}, plan.blocks_per_seq = 1, plan.block_len = 4;
  const Tensor k = random_tensor({2, 1, 4}, 3), v = random_tensor({2, 1, 4}, 4);
  tracing.run(Append{{0, site::kAppend}, k.view(), v.view(), tracing.begin_step(plan, *storage), *storage});
  Tensor held = Tensor::host(DType::f32, {1, 1, 4});
  const int64_t slot = 0;
  naive.read_rows(*storage, 0, RowKind::k, {&slot, 1}, held.view());
  CHECK(same_bits(held.view(), k.view().rows(1, 1)));
  const Event& event = recorder.events(0)[0];
  CHECK(rows_read(event, plan, {RowSpace::k, 0, 0}) ==
        std::vector<Row>{{RowSpace::tensor, event.reads[0].id, event.reads[0].first + 1}});
  CHECK(rows_read(event, plan, {RowSpace::v, 0, 0}) ==
        std::vector<Row>{{RowSpace::tensor, event.reads[1].id, event.reads[1].first + 1}});
}

TEST_CASE("attend changes exactly the rows that the rules list, for q, K and V, under every mask") {
  for (const MaskRule mask :
       {MaskRule{true, 0}, MaskRule{true, 2}, MaskRule{false, 0}, MaskRule{false, 3}, MaskRule{true, 1, 1}}) {
    TwoSequences s;
    NaiveBackend<float> naive;
    Recorder recorder;
    TracingBackend tracing(naive, recorder);
    const Tensor q = random_tensor({5, 4, 8}, 3);
    struct Out {
      Tensor out = Tensor::host(DType::f32, {5, 4, 8}), lse = Tensor::host(DType::f32, {5, 4});
    };
    const auto attend = [&](Backend& b, const Tensor& queries) {
      Out o;
      b.run(Attend{{0, site::kAttend},
                   queries.view(),
                   *s.storage,
                   b.begin_step(s.plan, *s.storage),
                   {{.scale = 0.4f}, mask},
                   o.out.view(),
                   o.lse.view()});
      return o;
    };
    const Out before = attend(tracing, q);
    const Event& event = recorder.events(0)[0];
    const std::vector<RowDependence> rules = row_dependence(event, s.plan);
    REQUIRE(rules.size() == 10);
    std::set<Row> listed_anywhere;
    const auto compare = [&](const Out& after, const Row& changed_row) {
      for (const RowDependence& rule : rules) {
        const bool is_out = rule.written.id == event.writes[0].id;
        const int64_t t = rule.written.row;
        const bool changed = is_out ? !same_bits(before.out.view().rows(t, 1), after.out.view().rows(t, 1))
                                    : !same_bits(before.lse.view().rows(t, 1), after.lse.view().rows(t, 1));
        bool listed = std::ranges::count(rule.reads, changed_row) == 1;
        listed_anywhere.insert(rule.reads.begin(), rule.reads.end());
        // A single visible key has weight 1 for any q and k, so only lse changes.
        const int64_t n_keys = std::ranges::count(rule.reads, RowSpace::k, &Row::space);
        if (is_out && n_keys == 1 && changed_row.space != RowSpace::v) listed = false;
        CAPTURE(int(changed_row.space));
        CAPTURE(changed_row.row);
        CAPTURE(t);
        CAPTURE(is_out);
        CHECK(changed == listed);
      }
    };
    for (int64_t r = 0; r < 5; ++r) {
      Tensor changed = q.clone();
      for (int64_t e = 0; e < 32; ++e) changed.data<float>()[r * 32 + e] *= -1.5f;
      compare(attend(naive, changed), {RowSpace::tensor, event.reads[0].id, r});
    }
    for (RowKind kind : {RowKind::k, RowKind::v})
      for (int64_t slot = 0; slot < 16; ++slot) {  // unused slots too
        Tensor row = Tensor::host(DType::f32, {1, 2, 8});
        naive.read_rows(*s.storage, 0, kind, {&slot, 1}, row.view());
        const Tensor changed = random_tensor({1, 2, 8}, 77, static_cast<uint64_t>(slot));
        naive.write_rows(*s.storage, 0, kind, {&slot, 1}, changed.view());
        compare(attend(naive, q), {kind == RowKind::k ? RowSpace::k : RowSpace::v, 0, slot});
        naive.write_rows(*s.storage, 0, kind, {&slot, 1}, row.view());
      }
    // The rows that the event reads are exactly the union of the rows that its written rows come from.
    int64_t n_read = 0;
    for (const RowSpan& r : event.reads) n_read += r.count;
    CHECK(n_read == static_cast<int64_t>(listed_anywhere.size()));
    for (const Row& row : listed_anywhere)
      CHECK(std::ranges::any_of(event.reads, [&](const RowSpan& r) { return r.contains(row); }));
  }
}

TEST_CASE("block copies: each slot follows the slot it was copied from") {
  NaiveBackend<float> naive;
  Recorder recorder;
  TracingBackend tracing(naive, recorder);
  CacheSpec spec = CacheSpec::contiguous(2, 1, 4, 3, 4);
  auto storage = tracing.make_storage(spec);
  ContiguousCache cache(spec);
  const std::vector<int32_t> tokens{1};
  const SequenceInput input{0, tokens, LogitRows::none};
  StepPlan plan = cache.plan({&input, 1});
  plan.block_copies = {{0, 2}, {1, 3}};
  tracing.begin_step(plan, *storage);
  const std::vector<RowDependence> rules = row_dependence(recorder.events(0)[0], plan);
  CHECK(rules.size() == 2 * 2 * 2 * 3);  // copies · layers · K and V · slots
  for (const RowDependence& rule : rules)
    CHECK(rule.reads == std::vector<Row>{{rule.written.space, rule.written.id, rule.written.row - 6}});
}
