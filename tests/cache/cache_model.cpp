#include "cache/cache_model.h"

#include <algorithm>
#include <bitset>
#include <set>
#include <stdexcept>

namespace lastrow::testing {

void require(bool condition, const char* message) {
  if (!condition) throw std::runtime_error(message);
}

RowName next_row(RowName before, int32_t token) { return before * 4 + static_cast<RowName>(token) + 1; }

RowName name_of(std::span<const int32_t> tokens) {
  RowName row = 0;
  for (const int32_t token : tokens) row = next_row(row, token);
  return row;
}

Ints tokens_of(RowName row) {
  Ints tokens;
  for (; row != 0; row /= 4) tokens.insert(tokens.begin(), static_cast<int32_t>(row % 4) - 1);
  return tokens;
}

CacheModel::CacheModel(const CacheConfig& config) : config_(config) {
  state_.sequences.resize(config.n_seqs);
  state_.entries.resize(config.n_blocks);
  state_.times_written.resize(config.n_blocks, 0);
  stored_.resize(static_cast<size_t>(config.n_blocks) * config.block_len, 0);
  for (int32_t place = 0; place < kSaved; ++place) save(place);
}

Ints CacheModel::path_to(int32_t block) const {
  const Entry& entry = state_.entries[block];
  return entry.is_in_index ? tokens_of(entry.path) : Ints{};
}

int32_t CacheModel::holders(int32_t block) const {
  return static_cast<int32_t>(std::ranges::count_if(state_.sequences, [block](const Sequence& sequence) {
    return std::ranges::find(sequence.blocks, block) != sequence.blocks.end();
  }));
}

int32_t CacheModel::n_used() const {
  std::bitset<kMostBlocks> used;
  for (const Sequence& sequence : state_.sequences)
    for (const int32_t block : sequence.blocks) used.set(block);
  return static_cast<int32_t>(used.count());
}

/// The block that the next token of a sequence goes to, or −1 if it goes to a new one.
int32_t CacheModel::last_block_if_partial(int32_t sequence) const {
  return length(sequence) % config_.block_len == 0 ? -1 : state_.sequences[sequence].blocks.back();
}

/// If all holders of a block write to it, the first of those with the most rows keeps it. The others copy it.
bool CacheModel::keeps_shared_block(const Feed& feed, std::span<const Feed> step) const {
  const int32_t block = last_block_if_partial(feed.sequence);
  std::vector<const Feed*> writers;
  for (const Feed& other : step)
    if (!other.tokens.empty() && last_block_if_partial(other.sequence) == block) writers.push_back(&other);
  const auto keeper =
      std::ranges::max_element(writers, {}, [&](const Feed* writer) { return length(writer->sequence); });
  return static_cast<int32_t>(writers.size()) == holders(block) && *keeper == &feed;
}

bool CacheModel::is_too_large(std::span<const Feed> step) const {
  int32_t n_needed = 0;
  for (const Feed& feed : step) {
    if (feed.tokens.empty()) continue;
    const int32_t after = length(feed.sequence) + static_cast<int32_t>(feed.tokens.size());
    n_needed += (after + config_.block_len - 1) / config_.block_len;
    n_needed -= static_cast<int32_t>(state_.sequences[feed.sequence].blocks.size());
    const int32_t block = last_block_if_partial(feed.sequence);
    n_needed += block >= 0 && holders(block) > 1 && !keeps_shared_block(feed, step);  // it is copied
  }
  return n_needed > config_.n_blocks - n_used();
}

/// The blocks that a plan adds to tables, in the order of the tables.
Ints CacheModel::taken_blocks(const StepPlan& plan) const {
  Ints taken;
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    const Ints& blocks = state_.sequences[plan.sequences[i]].blocks;
    for (int32_t place = 0; place < plan.blocks_per_seq; ++place) {
      const int32_t block = plan.block_tables[i * plan.blocks_per_seq + place];
      const bool is_new = place >= static_cast<int32_t>(blocks.size()) || blocks[place] != block;
      if (block >= 0 && is_new) taken.push_back(block);
    }
  }
  return taken;
}

/// Free blocks come first, then the cached ones, the least recently used one first.
void CacheModel::check_new_blocks(const Ints& taken) const {
  const auto free = static_cast<size_t>(n_free());
  for (size_t i = 0; i < taken.size(); ++i) {
    require(holders(taken[i]) == 0, "a block that a sequence holds was given to another one");
    require(std::find(taken.begin(), taken.begin() + i, taken[i]) == taken.begin() + i,
            "one block was given twice");
    const bool is_idle = std::ranges::find(state_.idle, taken[i]) != state_.idle.end();
    if (i < free)
      require(!is_idle, "a cached block was taken while others were free");
    else
      require(state_.idle[i - free] == taken[i], "the block that was evicted is not the least recently used");
  }
}

void CacheModel::check(const StepPlan& plan, std::span<const Feed> step) const {
  require(plan.n_seqs() == static_cast<int32_t>(step.size()), "the plan has another number of sequences");
  require(plan.block_len == config_.block_len, "the plan has another block_len");
  check_new_blocks(taken_blocks(plan));
  size_t n_copies = 0;
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    const Feed& feed = step[i];
    const Ints& blocks = state_.sequences[feed.sequence].blocks;
    const int32_t* table = plan.block_tables.data() + i * plan.blocks_per_seq;
    const int32_t begin = length(feed.sequence), end = begin + plan.q_len(i);
    require(plan.q_len(i) == static_cast<int32_t>(feed.tokens.size()) && plan.kv_len[i] == end,
            "the plan has wrong lengths");
    for (int32_t index = begin; index < end; ++index) {
      const int32_t t = plan.q_start[i] + index - begin, block = table[index / config_.block_len];
      require(plan.tokens[t] == feed.tokens[index - begin], "the plan has wrong tokens");
      require(plan.positions[t] == index, "the plan has wrong positions");
      require(plan.append_slots[t] == int64_t{block} * config_.block_len + index % config_.block_len,
              "an append slot is not where the block table says");
    }
    for (int32_t place = 0; place < plan.blocks_per_seq; ++place) {
      const bool is_needed = place * config_.block_len < end;
      require((table[place] >= 0) == is_needed, "a block table has a wrong length");
      if (place >= static_cast<int32_t>(blocks.size())) continue;
      if (table[place] == blocks[place]) {
        const bool is_written = plan.q_len(i) > 0 && place == begin / config_.block_len;
        require(!is_written || holders(blocks[place]) == 1 || keeps_shared_block(feed, step),
                "a block that others hold is written");
        continue;
      }
      require(plan.q_len(i) > 0 && place == begin / config_.block_len, "a block was replaced for no reason");
      require(n_copies < plan.block_copies.size() &&
                  plan.block_copies[n_copies].from_block == blocks[place] &&
                  plan.block_copies[n_copies].to_block == table[place],
              "a block was replaced but not copied");
      ++n_copies;
    }
  }
  require(n_copies == plan.block_copies.size(), "a block was copied for no reason");
}

/// What a backend does with the plan: first the copies, then the rows of the new tokens.
void CacheModel::write(const StepPlan& plan) {
  const int32_t block_len = config_.block_len;
  for (const int32_t block : taken_blocks(plan)) {
    state_.counts.blocks_evicted += state_.entries[block].is_in_index;
    leave_index(block);
  }
  for (const BlockCopy& copy : plan.block_copies)
    std::copy_n(stored_.begin() + copy.from_block * block_len, block_len,
                stored_.begin() + copy.to_block * block_len);
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    RowName row = name_of(tokens(plan.sequences[i]));
    for (int32_t t = plan.q_start[i]; t < plan.q_start[i + 1]; ++t) {
      const auto block = static_cast<int32_t>(plan.append_slots[t] / block_len);
      leave_index(block);
      ++state_.times_written[block];
      row = next_row(row, plan.tokens[t]);
      stored_[plan.append_slots[t]] = row;
    }
  }
}

void CacheModel::commit(const StepPlan& plan, std::span<const Feed> step) {
  write(plan);
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    Sequence& sequence = state_.sequences[plan.sequences[i]];
    const auto table = plan.block_tables.begin() + i * plan.blocks_per_seq;
    sequence.blocks.assign(table, std::find(table, table + plan.blocks_per_seq, -1));
    sequence.tokens.insert(sequence.tokens.end(), step[i].tokens.begin(), step[i].tokens.end());
  }
  for (const Feed& feed : step) share_full_blocks(feed.sequence);
}

/// The step may have run to any point, and what it computed is worth nothing.
void CacheModel::abort(const StepPlan& plan) {
  write(plan);
  for (const int64_t slot : plan.append_slots) stored_[slot] = 0;
}

void CacheModel::share_full_blocks(int32_t sequence) {
  if (!config_.share_prefixes) return;
  const auto& [tokens, blocks] = state_.sequences[sequence];
  const int32_t block_len = config_.block_len, n_full = length(sequence) / block_len;
  for (int32_t place = 0; place < n_full; ++place) {
    Entry& entry = state_.entries[blocks[place]];
    if (entry.is_in_index) continue;
    entry = {.is_in_index = true,
             .parent = place == 0 ? -1 : blocks[place - 1],
             .path = name_of(std::span(tokens).first((place + 1) * block_len)),
             .added_at = ++state_.clock};
  }
}

/// With all blocks behind it.
void CacheModel::leave_index(int32_t block) {
  if (!state_.entries[block].is_in_index) return;
  for (int32_t child = 0; child < config_.n_blocks; ++child)
    if (state_.entries[child].is_in_index && state_.entries[child].parent == block) leave_index(child);
  state_.entries[block].is_in_index = false;
  std::erase(state_.idle, block);
}

void CacheModel::fork(int32_t from, int32_t to) { state_.sequences[to] = state_.sequences[from]; }

/// The blocks from n_kept on, the last one first.
void CacheModel::drop_blocks(int32_t sequence, size_t n_kept) {
  Ints& blocks = state_.sequences[sequence].blocks;
  for (; blocks.size() > n_kept; blocks.pop_back()) {
    const int32_t block = blocks.back();
    if (holders(block) == 1 && state_.entries[block].is_in_index) state_.idle.push_back(block);
  }
}

void CacheModel::reset(int32_t sequence) {
  drop_blocks(sequence, 0);
  state_.sequences[sequence].tokens.clear();
}

void CacheModel::truncate(int32_t sequence, int32_t n_tokens) {
  auto& [tokens, blocks] = state_.sequences[sequence];
  const auto n_kept = static_cast<size_t>((n_tokens + config_.block_len - 1) / config_.block_len);
  for (size_t place = n_kept; place < blocks.size(); ++place)
    if (holders(blocks[place]) == 1) leave_index(blocks[place]);
  drop_blocks(sequence, n_kept);
  tokens.resize(n_tokens);
}

int32_t CacheModel::adopt(int32_t sequence, std::span<const int32_t> text) {
  if (!config_.share_prefixes) return 0;
  auto& [tokens, blocks] = state_.sequences[sequence];
  const int32_t n_tokens = static_cast<int32_t>(text.size());
  for (int32_t end = config_.block_len; end < n_tokens; end += config_.block_len) {
    const int32_t parent = blocks.empty() ? -1 : blocks.back();
    int32_t found = -1;
    for (int32_t block = 0; block < config_.n_blocks; ++block) {
      const Entry& entry = state_.entries[block];
      if (!entry.is_in_index || entry.parent != parent || entry.path != name_of(text.first(end))) continue;
      if (found < 0 || entry.added_at > state_.entries[found].added_at) found = block;
    }
    if (found < 0) break;
    std::erase(state_.idle, found);
    blocks.push_back(found);
    tokens.assign(text.begin(), text.begin() + end);
  }
  ++state_.counts.n_lookups;
  state_.counts.n_hits += !blocks.empty();
  state_.counts.tokens_asked += n_tokens;
  state_.counts.tokens_found += length(sequence);
  return length(sequence);
}

void CacheModel::save(int32_t place) { saved_[place] = state_; }

void CacheModel::undo(int32_t place) {
  const std::vector<int64_t> times_written = state_.times_written;
  state_ = saved_[place];
  for (int32_t block = 0; block < config_.n_blocks; ++block) {
    if (times_written[block] == saved_[place].times_written[block]) continue;
    leave_index(block);
    state_.times_written[block] = times_written[block] + 1;
  }
  for (const auto& [tokens, blocks] : state_.sequences) {
    RowName row = 0;
    for (size_t index = 0; index < tokens.size(); ++index) {
      row = next_row(row, tokens[index]);
      stored_[blocks[index / config_.block_len] * config_.block_len + index % config_.block_len] = row;
    }
  }
}

void CacheModel::compare(const KvCache& cache) const {
  std::set<int64_t> slots;
  CacheUsage expected;
  for (int32_t sequence = 0; sequence < config_.n_seqs; ++sequence) {
    require(cache.length(sequence) == length(sequence), "a sequence has a wrong length");
    require(cache.n_seen(sequence) == length(sequence), "a sequence has seen a wrong number of tokens");
    RowName row = 0;
    for (int32_t index = 0; index < length(sequence); ++index) {
      const int64_t slot = cache.slot(sequence, index);
      row = next_row(row, tokens(sequence)[index]);
      require(cache.position_of(sequence, index) == index, "a row has a wrong position");
      require(slot / config_.block_len == state_.sequences[sequence].blocks[index / config_.block_len],
              "a sequence has another block than it was given");
      require(stored_[slot] == row, "a slot holds the row of other tokens");
      slots.insert(slot);
    }
    expected.rows_held += length(sequence);
  }
  for (int32_t block = 0; block < config_.n_blocks; ++block) {
    expected.blocks_used += holders(block) >= 1;
    expected.blocks_shared += holders(block) >= 2;
    const Entry& entry = state_.entries[block];
    if (!entry.is_in_index) continue;
    const Ints path = tokens_of(entry.path);
    for (int32_t place = 0; place < config_.block_len; ++place)
      require(stored_[block * config_.block_len + place] ==
                  name_of(std::span(path).first(path.size() - config_.block_len + place + 1)),
              "a block in the index holds the rows of other tokens");
  }
  expected.rows_stored = static_cast<int64_t>(slots.size());
  expected.rows_reserved = int64_t{expected.blocks_used} * config_.block_len;
  expected.blocks_cached = static_cast<int32_t>(state_.idle.size());
  expected.blocks_free = config_.n_blocks - expected.blocks_used - expected.blocks_cached;
  require(cache.usage() == expected, "the usage is wrong");
  require(cache.prefix_counts() == state_.counts, "the counts of prefixes are wrong");
}

}  // namespace lastrow::testing
