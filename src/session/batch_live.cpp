#include "session/batch_live.h"

#include <algorithm>

namespace lastrow {

BatchSession::Live::Live(const CacheOptions& options, const CacheSizes& sizes, Backend& backend,
                         int32_t n_spare_blocks)
    : cache(make_cache(options, sizes)),
      before(make_cache(options, sizes)),
      trial(make_cache(options, sizes)) {
  CacheSpec spec = cache->spec();
  spec.n_blocks += n_spare_blocks;
  storage = backend.make_storage(spec);
  running.reserve(static_cast<size_t>(sizes.n_seqs));
  record.sequences.reserve(static_cast<size_t>(sizes.n_seqs));
}

int32_t BatchSession::Live::free_sequence() const {
  for (int32_t sequence = 0; sequence < cache->n_seqs(); ++sequence)
    if (std::ranges::none_of(running, [&](int32_t id) { return at(id).sequence == sequence; }))
      return sequence;
  return -1;
}

void BatchSession::Live::add_waiting(const Generation& g) {
  generations.push_back({.id = g.id,
                         .parent = g.parent,
                         .prompt = g.prompt,
                         .n_tokens = g.n_tokens,
                         .seed = g.seed,
                         .queued_us = g.queued_us,
                         .first_token_us = g.first_token_us});
  if (g.parent >= 0)
    make_room(generations.back());
  else
    ++n_waiting;
}

void BatchSession::Live::make_room(Generation& g) const {
  g.tokens.reserve(static_cast<size_t>(g.n_tokens));
  g.logits.resize(static_cast<size_t>(vocab_size));
}

void BatchSession::Live::fork(int32_t parent, int32_t child, int32_t sequence) {
  const Generation& from = at(parent);
  cache->fork(from.sequence, sequence);
  Generation& to = at(child);
  to.state = Generation::State::running;
  to.tokens.assign(from.tokens.begin(), from.tokens.end());
  to.logits.assign(from.logits.begin(), from.logits.end());
  to.sequence = sequence;
  to.n_prefix = cache->n_seen(sequence);
  to.joined_step = step;
  running.push_back(child);
}

}  // namespace lastrow
