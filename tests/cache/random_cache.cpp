#include "cache/random_cache.h"

#include <algorithm>
#include <new>
#include <optional>

#include "cache/allocations.h"
#include "core/error.h"

namespace lastrow::testing {

namespace {

uint64_t same_hash(uint64_t, std::span<const int32_t>) { return 1; }

PagedCache cache_of(const CacheConfig& config) {
  return {pages(config.max_seq_len, config.block_len, config.n_blocks), config.n_seqs,
          config.share_prefixes ? SharePrefixes::yes : SharePrefixes::no,
          config.hashes_collide ? same_hash : prefix_hash};
}

/// Few texts are more likely than many, so that texts begin alike.
Ints some_tokens(uint32_t bits, int32_t n) {
  Ints tokens;
  for (int32_t i = 0; i < n; ++i) tokens.push_back(static_cast<int32_t>(bits >> (2 * i % 32)) & 3);
  for (int32_t& token : tokens) token = token == 3 ? 0 : token;
  return tokens;
}

}  // namespace

CacheConfig random_config(Random& random) {
  CacheConfig config;
  config.max_seq_len = static_cast<int32_t>(1 + random.below(14));
  const int32_t block_lens[] = {1, 2, 3, 4, config.max_seq_len};
  config.block_len = std::min(block_lens[random.below(5)], config.max_seq_len);
  const int32_t longest = (config.max_seq_len + config.block_len - 1) / config.block_len;
  config.n_seqs = static_cast<int32_t>(1 + random.below(4));
  config.n_blocks = longest + static_cast<int32_t>(random.below(int64_t{longest} * config.n_seqs + 2));
  config.share_prefixes = random.below(4) > 0;
  config.hashes_collide = random.below(4) == 0;
  return config;
}

Operation random_operation(Random& random) {
  const uint32_t bits = random.next_u32();
  Operation operation{
      .action = kUsualActions[bits & 15], .who = bits >> 4 & 0xFF, .amount = bits >> 12 & 0xFF};
  operation.tokens = random.next_u32();
  operation.tokens &= random.next_u32();  // more zeros, so that texts begin alike
  if ((bits >> 20 & 7) == 0) operation.fail = 1 + (bits >> 23 & 3);
  return operation;
}

RandomCache::RandomCache(const CacheConfig& config)
    : config_(config), cache_(cache_of(config)), saved_{cache_of(config), cache_of(config)}, model_(config) {}

int32_t RandomCache::sequence_of(const Operation& operation) const {
  return static_cast<int32_t>(operation.who % static_cast<uint32_t>(config_.n_seqs));
}

void RandomCache::step(const std::vector<Feed>& feeds, End end, uint32_t fail) {
  std::vector<SequenceInput> inputs;
  for (const Feed& feed : feeds) inputs.push_back({feed.sequence, feed.tokens, LogitRows::last});
  const bool is_too_large = model_.is_too_large(feeds);
  const StepPlan* plan = nullptr;
  try {
    std::optional<FailingAllocation> failing;
    if (fail > 0) failing.emplace(fail);
    plan = &cache_.plan(inputs);
  } catch (const CapacityError&) {
    require(is_too_large, "a step was refused, but there are enough blocks for it");
    const int32_t longest = cache_.spec().max_blocks_per_seq();
    require(config_.n_blocks < config_.n_seqs * longest,
            "a step was refused, but all sequences fit at their longest");
    ++n_refused_;
    return;
  } catch (const std::bad_alloc&) {
    ++n_failed_allocations_;
    return;
  }
  require(!is_too_large, "a step was planned that needs more blocks than there are");
  model_.check(*plan, feeds);
  if (end == End::commit) {
    model_.commit(*plan, feeds);
    cache_.commit(*plan);
  } else {
    model_.abort(*plan);
    cache_.abort(*plan);
  }
}

void RandomCache::append(const Operation& operation, End end) {
  const int32_t sequence = sequence_of(operation);
  const auto n = static_cast<int32_t>(operation.amount % 6);
  step({{sequence, some_tokens(operation.tokens, std::min(n, room(sequence)))}}, end, operation.fail);
}

/// Several sequences, in any order; some get no token.
void RandomCache::step_all(const Operation& operation, End end) {
  std::vector<Feed> feeds;
  const int32_t first = sequence_of(operation);
  for (int32_t i = 0; i < config_.n_seqs; ++i) {
    const int32_t sequence = (first + i) % config_.n_seqs;
    if (i > 0 && (operation.amount >> (4 + i) & 1) == 0) continue;
    const auto n = static_cast<int32_t>((operation.amount >> i) % 4);
    feeds.push_back({sequence, some_tokens(operation.tokens >> i, std::min(n, room(sequence)))});
  }
  step(feeds, end, operation.fail);
}

/// The beginning of what another sequence holds, or of what the index knows, with other tokens behind it.
Ints RandomCache::text_of(const Operation& operation) const {
  Ints text;
  const uint32_t choice = operation.who >> 2;
  if (choice % 4 == 1)
    text = model_.path_to(static_cast<int32_t>(choice % static_cast<uint32_t>(config_.n_blocks)));
  if (choice % 4 == 2)
    text = model_.tokens(static_cast<int32_t>(choice % static_cast<uint32_t>(config_.n_seqs)));
  const Ints more = some_tokens(operation.tokens, static_cast<int32_t>(operation.amount % 6));
  text.insert(text.end(), more.begin(), more.end());
  text.resize(std::min<size_t>(text.size(), config_.max_seq_len));
  return text;
}

int32_t RandomCache::adopt(int32_t sequence, const Ints& text) {
  const int32_t expected = model_.adopt(sequence, text);
  const int32_t n_found = cache_.adopt_prefix(sequence, text);
  require(n_found == expected, "another number of tokens was found than the index knows");
  require(text.empty() || n_found < static_cast<int32_t>(text.size()), "no token is left to be fed");
  return n_found;
}

/// A new text: finds its prefix, then feeds the rest.
void RandomCache::start(const Operation& operation) {
  const int32_t sequence = sequence_of(operation);
  const Ints text = text_of(operation);
  model_.reset(sequence);
  cache_.reset(sequence);
  const int32_t n_found = adopt(sequence, text);
  step({{sequence, Ints(text.begin() + n_found, text.end())}}, End::commit, operation.fail);
}

void RandomCache::fork(const Operation& operation) {
  const int32_t from = sequence_of(operation);
  const auto to = static_cast<int32_t>((from + 1 + operation.amount) % static_cast<uint32_t>(config_.n_seqs));
  if (to == from) return;
  if (model_.length(to) > 0) {
    require_throws<UsageError>([&] { cache_.fork(from, to); }, "a sequence with rows became a fork");
    return;
  }
  model_.fork(from, to);
  cache_.fork(from, to);
}

void RandomCache::truncate(const Operation& operation) {
  const int32_t sequence = sequence_of(operation);
  const auto n = static_cast<int32_t>(operation.amount % static_cast<uint32_t>(model_.length(sequence) + 1));
  model_.truncate(sequence, n);
  cache_.truncate(sequence, n);
}

/// Requests that are wrong whatever the state is.
void RandomCache::refuse(const Operation& operation) {
  const int32_t sequence = sequence_of(operation);
  const Ints too_long(static_cast<size_t>(room(sequence)) + 1, 0), one{0};
  const SequenceInput longer{sequence, too_long, LogitRows::last}, known{sequence, one, LogitRows::last};
  const SequenceInput unknown{config_.n_seqs, one, LogitRows::last}, twice[] = {known, known};
  switch (operation.amount % 4) {
    case 0:
      return require_throws<CapacityError>([&] { cache_.plan({&longer, 1}); }, "a step was too long");
    case 1:
      return require_throws<UsageError>([&] { cache_.plan({&unknown, 1}); }, "there is no such sequence");
    case 2:
      return require_throws<Error>([&] { cache_.plan(twice); }, "a sequence came twice in a step");
    default:
      return require_throws<UsageError>([&] { cache_.fork(-1, sequence); }, "there is no sequence -1");
  }
}

void RandomCache::apply(const Operation& operation) {
  const auto place = static_cast<int32_t>(operation.who % kSaved);
  switch (operation.action) {
    case Action::append:
      return append(operation, End::commit);
    case Action::step_all:
      return step_all(operation, End::commit);
    case Action::start:
      return start(operation);
    case Action::adopt:
      if (model_.length(sequence_of(operation)) == 0) adopt(sequence_of(operation), text_of(operation));
      return;
    case Action::fork:
      return fork(operation);
    case Action::truncate:
      return truncate(operation);
    case Action::reset:
      model_.reset(sequence_of(operation));
      return cache_.reset(sequence_of(operation));
    case Action::abort:
      return operation.who % 2 == 0 ? append(operation, End::abort) : step_all(operation, End::abort);
    case Action::refuse:
      return refuse(operation);
    case Action::save:
      model_.save(place);
      return saved_[place].copy_from(cache_);
    case Action::undo:
      model_.undo(place);
      return cache_.copy_from(saved_[place]);
  }
}

}  // namespace lastrow::testing
