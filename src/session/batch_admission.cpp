// Who is in a new step of a batch: all that run, and as many of those that wait as have room.
#include <algorithm>

#include "session/batch_steps.h"

namespace lastrow {

int64_t most_blocks(const CacheSpec& spec, size_t prompt_len, int32_t n_tokens) {
  const int64_t n_tokens_fed = static_cast<int64_t>(prompt_len) + n_tokens - 1;
  const int64_t n_rows = std::min<int64_t>(n_tokens_fed, spec.max_kv_len());
  return (n_rows + spec.block_len - 1) / spec.block_len;
}

int64_t BatchSession::Steps::blocks_left(const Live& live) {
  const CacheSpec& spec = live.cache->spec();
  int64_t left = spec.n_blocks;
  for (const int32_t id : live.running)
    left -= most_blocks(spec, live.at(id).prompt.size(), live.at(id).n_tokens);
  return left;
}

/// Fills entries_. Those that join already hold the rows of their prefix.
void BatchSession::Steps::admit(Live& live) {
  entries_.clear();
  std::ranges::fill(taken_, uint8_t{0});
  next_free_ = 0;
  for (const int32_t id : live.running) {
    const int32_t sequence = live.at(id).sequence;
    entries_.push_back({id, sequence, false, 0});
    taken_[static_cast<size_t>(sequence)] = 1;
  }
  n_tokens_ = static_cast<int32_t>(live.running.size());  // if prompts are fed in chunks, all fit in any case
  int64_t left = blocks_left(live);
  const auto n_generations = static_cast<int32_t>(live.generations.size());
  for (int32_t id = live.next_to_join; id < n_generations; ++id) {
    const Generation& g = live.at(id);
    if (g.parent >= 0) continue;  // a branch joined when it was forked
    left -= most_blocks(live.cache->spec(), g.prompt.size(), g.n_tokens);
    if (left < 0 || finds_more_next_step(live, g) || !join(live, g)) return;
  }
}

/// Whether a prompt that joins in this step will store rows that this prompt could use if it waited.
bool BatchSession::Steps::finds_more_next_step(const Live& live, const Generation& g) const {
  if (!session_.options_.cache.share_prefix) return false;
  const int32_t block_len = live.cache->spec().block_len;
  return std::ranges::any_of(entries_, [&](const Entry& entry) {
    if (!entry.joins) return false;
    const std::vector<int32_t>& other = live.at(entry.generation).prompt;
    const auto n_equal = std::ranges::mismatch(other, g.prompt).in2 - g.prompt.begin();
    const auto n_usable = std::min<int64_t>(n_equal, static_cast<int64_t>(g.prompt.size()) - 1);
    return n_usable / block_len * block_len > entry.n_prefix;
  });
}

/// Lets a generation join the step if a sequence is free and the rest of its prompt fits in the step.
bool BatchSession::Steps::join(Live& live, const Generation& g) {
  while (next_free_ < live.cache->n_seqs() && taken_[static_cast<size_t>(next_free_)] != 0) ++next_free_;
  if (next_free_ == live.cache->n_seqs()) return false;
  const bool shares = session_.options_.cache.share_prefix;  // else nothing is found, and nothing to undo
  if (shares) live.trial->copy_from(*live.cache);
  const int32_t n_prefix = shares ? live.cache->adopt_prefix(next_free_, g.prompt) : 0;
  const int32_t n_fed = n_to_feed(g, n_prefix);
  if (n_tokens_ + n_fed > session_.workspace_.max_tokens()) {
    if (shares) live.cache->copy_from(*live.trial);
    return false;
  }
  entries_.push_back({g.id, next_free_++, true, n_prefix});
  n_tokens_ += n_fed;
  return true;
}

/// The tokens that the next step feeds to a generation that has seen n_seen: of its prompt, or the one it chose last.
int32_t BatchSession::Steps::n_to_feed(const Generation& g, int32_t n_seen) const {
  const int32_t n_left = std::max(1, static_cast<int32_t>(g.prompt.size()) - n_seen),
                chunk = session_.prompt_chunk();
  return chunk == 0 ? n_left : std::min(chunk, n_left);
}

/// Lets generations join as in the recorded step. If a step had failed before it, the cache may now find
/// more rows or fewer. More are not used, so that the step feeds the same tokens. If it finds fewer, the
/// step feeds more tokens.
void BatchSession::Steps::join_again(Live& live) {
  n_tokens_ = 0;
  for (Entry& entry : entries_) {
    if (!entry.joins) {
      ++n_tokens_;
      continue;
    }
    const std::vector<int32_t>& prompt = live.at(entry.generation).prompt;
    int32_t n_found = live.cache->adopt_prefix(entry.sequence, prompt);
    if (n_found > entry.n_prefix) {  // look again, for that many tokens and the one that must be fed
      live.cache->reset(entry.sequence);
      const auto n_wanted = static_cast<size_t>(entry.n_prefix) + 1;
      n_found = live.cache->adopt_prefix(entry.sequence, std::span(prompt).first(n_wanted));
    }
    entry.n_prefix = n_found;
    n_tokens_ += n_to_feed(live.at(entry.generation), entry.n_prefix);
  }
}

}  // namespace lastrow
