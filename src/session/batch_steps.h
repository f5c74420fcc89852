// Runs single steps of a BatchSession on a Live: new ones, in which generations may join, and recorded ones.
//
//   steps.take(live);      a new step, which is then recorded in the schedule
//   steps.repeat(live);    the recorded step behind live.step, with the same tokens
//   steps.finish(live);    after the last repeat()
//
// A step that throws leaves the Live and the schedule as they were, except cached blocks that it had begun to
// overwrite.
#pragma once

#include <vector>

#include "session/batch_live.h"
#include "session/batch_schedule.h"

namespace lastrow {

/// The blocks that a generation has at its longest. Its last token is not fed.
int64_t most_blocks(const CacheSpec& spec, size_t prompt_len, int32_t n_tokens);

class BatchSession::Steps {
 public:
  explicit Steps(BatchSession& session);

  void take(Live& live);
  void repeat(Live& live);
  /// At the last step, puts tokens that were forced in place of the chosen ones.
  void finish(Live& live) const;
  /// The blocks that are left if each running generation becomes as long as it can.
  static int64_t blocks_left(const Live& live);

 private:
  using Entry = Schedule::Entry;
  using Clock = Schedule::Clock;

  // batch_admission.cpp: who is in a new step
  void admit(Live& live);
  bool join(Live& live, const Generation& g);
  bool finds_more_next_step(const Live& live, const Generation& g) const;
  int32_t n_to_feed(const Generation& g, int32_t n_seen) const;

  // batch_steps.cpp
  void join_again(Live& live);
  void run(Live& live, Clock::time_point start);
  void set_inputs(const Live& live);
  void forward(const StepPlan& plan, Live& live);
  void undo(Live& live) const;

  // batch_results.cpp: what a step changes after it has run; nothing here throws
  void record(Live& live, const StepPlan& plan, double wall_us);
  SequenceStep sequence_step(const Live& live, const StepPlan& plan, int32_t i) const;
  void choose(Live& live, const Entry& entry, size_t i);
  void record_in_schedule(const Live& live);
  void note_times(Live& live, Clock::time_point start) const;
  void leave_and_fork(Live& live) const;

  BatchSession& session_;
  // The step that runs now. The memory is kept between steps.
  std::vector<Entry> entries_;         // in the order in which they are packed
  int32_t n_tokens_ = 0;               // that the entries feed
  std::vector<uint8_t> taken_;         // [max_seqs]  whether an entry has this sequence
  int32_t next_free_ = 0;              // no sequence with a smaller number is free
  std::vector<int32_t> next_tokens_;   // [max_seqs]  inputs of those that feed one token
  std::vector<SequenceInput> inputs_;  // of each entry
  std::vector<int32_t> names_;         // the generation of each entry
  std::vector<float> logits_;          // [max_seqs, vocab_size]
};

}  // namespace lastrow
