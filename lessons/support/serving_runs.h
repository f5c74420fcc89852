// Runs that show what can go wrong when a cache is fed in chunks, or serves several texts.
//
//   RecordedRun healthy = run_for("batch", model, lesson.backend());
//   RecordedRun faulty = run_for("batch", model, with_fault("unread-prefix", lesson.backend(), 4));
//   compare(healthy.recorder(), faulty.recorder(), model->config())       support/evidence.h
//
// Each run has two steps.
//   "chunks"            text 1 is fed in two chunks
//   all other `needs`   step 0 feeds text 1. In step 1, text 1 decodes, and texts 2 and 3 join. The cache has
//                       blocks of 4 and shares prefixes. Text 2 begins with the first block of text 1. Text 3
//                       has the tokens of its second block, behind a first block of its own.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "session/batch_session.h"
#include "session/session.h"

namespace lastrow::lessons {

/// Text 1, 2 or 3.
std::string serving_text(const Model& model, int number);

/// A session that recorded everything: one of the two kinds.
struct RecordedRun {
  std::unique_ptr<DecodeSession> session;
  std::unique_ptr<BatchSession> batch;

  const Recorder& recorder() const { return batch ? batch->recorder() : session->recorder(); }
};

/// The run for faults with these Fault::needs, other than "".
RecordedRun run_for(std::string_view needs, const std::shared_ptr<const Model>& model,
                    std::unique_ptr<Backend> backend);

}  // namespace lastrow::lessons
