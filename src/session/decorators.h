// The decorators between a session's decoder and its backend.
//
// The order from the decoder inwards: counting, poking, tracing (if the session records), the backend. So the
// counts contain only the model's own calls, and a trace shows operands after the pokes changed them.
#pragma once

#include <memory>

#include "session/session.h"

namespace lastrow {

struct DecodeSession::Decorators {
  Decorators(Backend& backend, const SessionOptions& options)
      : recorder(options.record ? std::make_unique<Recorder>(*options.record) : nullptr),
        tracing(recorder ? std::make_unique<TracingBackend>(backend, *recorder) : nullptr),
        poking(tracing ? static_cast<Backend&>(*tracing) : backend),
        counting(poking) {}
  Backend& top() { return counting; }
  /// Call it before each step, with the number of the step in the session.
  void set_step(int32_t step) {
    counting.reset();
    poking.set_step(step);
    if (recorder) recorder->set_step(step);
  }

  std::unique_ptr<Recorder> recorder;
  std::unique_ptr<TracingBackend> tracing;
  PokingBackend poking;
  CountingBackend counting;
};

}  // namespace lastrow
