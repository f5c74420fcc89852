#include "trace/poke.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "cache/slots.h"
#include "core/random.h"
#include "trace/host_dtype.h"

namespace lastrow {
namespace {

// Each row has its own random stream, so that the noise depends only on the row. The bits of the stream's
// number: what (2), layer (15), head (15), position (32).
uint64_t noise_stream(const Poke& poke, int32_t head) {
  return uint64_t(poke.what) << 62 | (uint64_t(poke.layer) & 0x7FFF) << 47 | (uint64_t(head) & 0x7FFF) << 32 |
         uint64_t(static_cast<uint32_t>(poke.position));
}

double rms(std::span<const double> row) {
  double sum = 0;
  for (double x : row) sum += x * x;
  return row.empty() ? 0.0 : std::sqrt(sum / static_cast<double>(row.size()));
}

// The range [first, last) of poked heads in a row with n_heads.
std::pair<int32_t, int32_t> poked_heads(const Poke& poke, int64_t n_heads) {
  if (poke.head >= n_heads)
    throw ShapeError("poke of head {} of {}: choose a smaller one, or -1 for all", poke.head, n_heads);
  return poke.head < 0 ? std::pair{0, static_cast<int32_t>(n_heads)} : std::pair{poke.head, poke.head + 1};
}

template <typename T>
void poke_row(const Poke& poke, const T* original, T* row, int64_t n_heads, int64_t head_dim) {
  const auto [first, last] = poked_heads(poke, n_heads);
  std::vector<double> from(static_cast<size_t>(head_dim)), to(from.size());
  for (int32_t head = first; head < last; ++head) {
    const T* slice = original + head * head_dim;
    std::copy(slice, slice + head_dim, from.begin());
    apply_poke(poke, head, from, to);
    for (int64_t d = 0; d < head_dim; ++d)
      row[head * head_dim + d] = static_cast<T>(to[static_cast<size_t>(d)]);
  }
}

// Pokes row t of `changed` [n_rows, n_heads, head_dim]. Row t of `original` gives the scale of the noise.
void poke_row(const Poke& poke, const Tensor& original, Tensor& changed, int64_t t) {
  const int64_t n_heads = original.shape()[1], head_dim = original.shape()[2], at = t * n_heads * head_dim;
  if (original.dtype() == DType::f64)
    poke_row(poke, original.data<double>() + at, changed.data<double>() + at, n_heads, head_dim);
  else
    poke_row(poke, original.data<float>() + at, changed.data<float>() + at, n_heads, head_dim);
}

// Whether another sequence of the step uses the block in this entry of the block table.
bool is_shared(const StepPlan& plan, int32_t sequence, int32_t entry) {
  const int32_t block = block_table(plan, sequence).blocks[entry];
  for (int32_t other = 0; other < plan.n_seqs(); ++other) {
    const BlockTable table = block_table(plan, other);
    const int32_t n_used = entries_used(table, plan.kv_len[other]);
    if (other != sequence && std::find(table.blocks, table.blocks + n_used, block) != table.blocks + n_used)
      return true;
  }
  return false;
}

// The packed sequence that token t belongs to.
int32_t sequence_with(const StepPlan& plan, int32_t t) {
  const auto after = std::upper_bound(plan.q_start.begin(), plan.q_start.end(), t);
  return static_cast<int32_t>(after - plan.q_start.begin()) - 1;
}

}  // namespace

// Overwrites stored rows for one operation, and writes them back after it.
//
//   OverwrittenRows overwritten(backend, storage);
//   overwritten.overwrite(poke, slot);      any number of pokes and slots
//   …one operation…
//   overwritten.restore();                  after an exception the destructor does it, as far as it can
//
// Rows are restored in reverse order, so that a row that was poked twice gets its first value again.
class PokingBackend::OverwrittenRows {
 public:
  OverwrittenRows(Backend& backend, KvStorage& storage) : backend_(backend), storage_(storage) {}
  ~OverwrittenRows() {
    try {
      restore();
    } catch (const std::exception&) {
      // The step has already failed, and the caller should see that error.
    }
  }
  OverwrittenRows(const OverwrittenRows&) = delete;
  OverwrittenRows& operator=(const OverwrittenRows&) = delete;

  void restore() {
    while (!saved_.empty()) {
      const Saved saved = std::move(saved_.back());
      saved_.pop_back();
      backend_.write_rows(storage_, saved.layer, saved.kind, {&saved.slot, 1}, saved.original.view());
    }
  }

  void overwrite(const Poke& poke, int64_t slot) {
    const CacheSpec& spec = storage_.spec();
    const RowKind kind = poke.what == Poke::What::k ? RowKind::k : RowKind::v;
    Tensor original = Tensor::host(host_dtype(storage_.rows(poke.layer, kind).dtype()),
                                   {1, spec.n_kv_heads, spec.head_dim});
    backend_.read_rows(storage_, poke.layer, kind, {&slot, 1}, original.view());
    Tensor changed = original.clone();
    const auto same_row = [&](const Saved& saved) {
      return saved.layer == poke.layer && saved.kind == kind && saved.slot == slot;
    };
    const auto first = std::ranges::find_if(saved_, same_row);  // the row as it was before all pokes
    poke_row(poke, first == saved_.end() ? original : first->original, changed, 0);
    saved_.push_back({poke.layer, kind, slot, std::move(original)});
    backend_.write_rows(storage_, poke.layer, kind, {&slot, 1}, changed.view());
  }

 private:
  struct Saved {
    int32_t layer;
    RowKind kind;
    int64_t slot;
    Tensor original;  // [1, n_kv_heads, head_dim]
  };
  Backend& backend_;
  KvStorage& storage_;
  std::vector<Saved> saved_;
};

void apply_poke(const Poke& poke, int32_t head, std::span<const double> original, std::span<double> row) {
  if (poke.action == Poke::Action::zero) {
    std::ranges::fill(row, 0.0);
    return;
  }
  Random random(poke.seed, noise_stream(poke, head));
  for (double& x : row) x = random.normal();
  const double noise = rms(row);
  const double scale = noise > 0 ? rms(original) / noise : 0;
  for (double& x : row) x *= scale;
}

void PokingBackend::set_pokes(std::span<const Poke> pokes) {
  for (const Poke& p : pokes) {
    if (p.layer < 0 || p.position < 0 || p.head < -1)
      throw UsageError(
          "poke of layer {}, position {}, head {}: layer and position start at 0, head at -1 (all)", p.layer,
          p.position, p.head);
    if (p.sequence < -1) throw UsageError("poke of sequence {}: they start at 0; -1 means each", p.sequence);
  }
  pokes_.assign(pokes.begin(), pokes.end());
  reports_.assign(pokes_.size(), {});
}

void PokingBackend::set_step(int32_t step, std::span<const int32_t> names) {
  step_ = step;
  names_.assign(names.begin(), names.end());
  std::ranges::fill(reports_, PokeReport{});
}

void PokingBackend::set_spare_blocks(int32_t first, int32_t n) {
  first_spare_ = first;
  n_spare_ = n;
}

const Batch& PokingBackend::begin_step(const StepPlan& plan, KvStorage& storage) {
  storage_ = &storage;
  std::ranges::fill(reports_, PokeReport{});
  plan_ = &with_private_blocks(plan);
  return inner().begin_step(*plan_, storage);
}

// If a `now` poke names a sequence whose row is in a block that others use too, returns a plan in which the
// sequence has a copy of this block. Else returns the plan itself.
const StepPlan& PokingBackend::with_private_blocks(const StepPlan& plan) {
  int32_t n_used = 0;
  for (const Poke& poke : pokes_) {
    if (poke.sequence < 0 || poke.what == Poke::What::q || poke.when != Poke::When::now || !in_force(poke))
      continue;
    for (int32_t i = 0; i < plan.n_seqs(); ++i) {
      const std::optional<int32_t> index = plan.index_of(i, poke.position);
      if (!index || !means(poke, plan, i)) continue;
      if (n_used == 0) changed_plan_ = plan;
      const BlockTable table = block_table(plan, i);
      const int32_t entry = entry_of(plan.block_len, place_in_table(table, *index)),
                    block = table.blocks[entry];
      int32_t& own_block = changed_plan_.block_tables[i * plan.blocks_per_seq + entry];
      if (own_block != block || !is_shared(plan, i, entry)) continue;
      if (n_used == n_spare_)
        throw UsageError(
            "a poke of sequence {} in a block that others share: {} spare blocks are not enough for the "
            "copies",
            poke.sequence, n_spare_);
      own_block = first_spare_ + n_used++;
      changed_plan_.block_copies.push_back({block, own_block});
    }
  }
  return n_used > 0 ? changed_plan_ : plan;
}

void PokingBackend::replay(int64_t key, FunctionRef<void()> ops) {
  if (std::ranges::any_of(pokes_, [this](const Poke& poke) { return in_force(poke); })) return ops();
  inner().replay(key, ops);
}

bool PokingBackend::in_force(const Poke& poke) const {
  return poke.when == Poke::When::since || poke.step == step_;
}

bool PokingBackend::touches(const Poke& poke, int32_t layer) const {
  return poke.layer == layer && in_force(poke);
}

bool PokingBackend::means(const Poke& poke, const StepPlan& plan, int32_t sequence) const {
  return poke.sequence < 0 || poke.sequence == (names_.empty() ? plan.sequences[sequence] : names_[sequence]);
}

// If no poke changes these rows, returns the rows themselves; else a poked copy of them, in `copy`.
ConstTensorView PokingBackend::poked_rows(Poke::What what, int32_t layer, ConstTensorView rows,
                                          const StepPlan& plan, Tensor& copy, bool count) {
  std::optional<Tensor> original, changed;
  for (size_t i = 0; i < pokes_.size(); ++i) {
    const Poke& poke = pokes_[i];
    if (poke.what != what || !touches(poke, layer)) continue;
    if (what != Poke::What::q && poke.when == Poke::When::now) continue;  // with_poked_operands does it
    poked_heads(poke, rows.dim(1));
    for (int32_t t = 0; t < plan.n_tokens(); ++t) {
      if (plan.positions[t] != poke.position || !means(poke, plan, sequence_with(plan, t))) continue;
      if (!original) {
        original = Tensor::host(host_dtype(rows.dtype()), rows.shape());
        inner().download(rows, original->view());
        changed = original->clone();
      }
      poke_row(poke, *original, *changed, t);
      if (count) ++reports_[i].changed;
    }
  }
  if (!changed) return rows;
  if (copy.empty() || copy.dtype() != rows.dtype() ||
      copy.shape().with_rows(0) != rows.shape().with_rows(0) || copy.shape()[0] < rows.n_rows())
    copy = inner().make_tensor(rows.shape());
  const TensorView target = copy.view().rows(0, rows.n_rows());
  inner().write(changed->view(), target);
  return target;
}

void PokingBackend::run(const Op& op) {
  if (pokes_.empty()) return inner().run(op);
  if (const auto* appended = std::get_if<Append>(&op)) return append(*appended);
  if (const auto* probe = std::get_if<Probe>(&op)) return with_poked_operands(*probe, /*count=*/false);
  if (const auto* mass = std::get_if<ScoreMass>(&op)) return with_poked_operands(*mass, /*count=*/false);
  if (traits(kind(op)).rule == RowRule::rotated) return rotate_poked_keys(op);
  const auto* attend = std::get_if<Attend>(&op);
  if (attend == nullptr) return inner().run(op);
  with_poked_operands(*attend, /*count=*/true);
  count_reads(*attend);
}

void PokingBackend::append(Append op) {
  op.k = poked_rows(Poke::What::k, op.site.layer, op.k, *op.batch.plan, k_copy_, true);
  op.v = poked_rows(Poke::What::v, op.site.layer, op.v, *op.batch.plan, v_copy_, true);
  inner().run(op);
}

// Overwrites the stored rows of K, or of V, that a `now` poke changes in this layer.
void PokingBackend::overwrite(OverwrittenRows& rows, Poke::What what, int32_t layer, const StepPlan& plan,
                              bool count) {
  for (size_t i = 0; i < pokes_.size(); ++i) {
    const Poke& poke = pokes_[i];
    if (poke.what != what || poke.when != Poke::When::now || !touches(poke, layer)) continue;
    std::vector<int64_t> done;  // a slot that sequences share is overwritten once
    for (int32_t sequence = 0; sequence < plan.n_seqs(); ++sequence) {
      const std::optional<int32_t> index = plan.index_of(sequence, poke.position);
      if (!index || !means(poke, plan, sequence)) continue;
      const int64_t slot = slot_of(block_table(plan, sequence), *index);
      if (std::ranges::find(done, slot) != done.end()) continue;
      rows.overwrite(poke, slot);
      done.push_back(slot);
      if (count) ++reports_[i].changed;
    }
  }
}

// Runs an Attend, a Probe or a ScoreMass with poked operands.
template <typename Looking>
void PokingBackend::with_poked_operands(Looking op, bool count) {
  LASTROW_CHECK(&op.storage == storage_, "attend reads another storage than that of begin_step");
  const StepPlan& plan = *op.batch.plan;
  op.q = poked_rows(Poke::What::q, op.site.layer, op.q, plan, q_copy_, count);
  OverwrittenRows overwritten(inner(), *storage_);
  bool reads_stored_keys = true;  // else they were poked when they were rotated
  if constexpr (requires { op.keys; }) reads_stored_keys = op.keys.empty();
  if (reads_stored_keys) overwrite(overwritten, Poke::What::k, op.site.layer, plan, count);
  overwrite(overwritten, Poke::What::v, op.site.layer, plan, count);
  inner().run(op);
  overwritten.restore();
}

// Runs an operation that rotates the stored keys.
void PokingBackend::rotate_poked_keys(const Op& op) {
  LASTROW_CHECK(storage_of(op) == storage_, "keys of another storage than that of begin_step");
  OverwrittenRows overwritten(inner(), *storage_);
  const int32_t layer = site_of(op).layer;
  overwrite(overwritten, Poke::What::k, layer, plan_->of_layer(layer), /*count=*/true);
  inner().run(op);
  overwritten.restore();
}

// A poked row of q is read by its own query only. A poked row of K or V is read by each query that sees it.
void PokingBackend::count_reads(const Attend& op) {
  const StepPlan& plan = *op.batch.plan;
  for (size_t i = 0; i < pokes_.size(); ++i) {
    const Poke& poke = pokes_[i];
    if (!touches(poke, op.site.layer)) continue;
    for (int32_t s = 0; s < plan.n_seqs(); ++s) {
      if (!means(poke, plan, s)) continue;
      const std::optional<int32_t> index = plan.index_of(s, poke.position);
      for (int32_t t = 0; t < plan.q_len(s); ++t) {
        const VisibleKeys seen = visible_keys(op.spec.mask, plan.q_len(s), plan.kv_len[s], t);
        const bool reads = poke.what == Poke::What::q ? plan.positions[plan.q_start[s] + t] == poke.position
                                                      : index && seen.sees(*index);
        if (reads) ++reports_[i].reads;
      }
    }
  }
}

}  // namespace lastrow
