// The decorators between a session's decoder and its backend.
//
// The order from the decoder inwards: counting, poking, the hook (if the session has one), tracing (if it
// records), the backend. So the counts contain only the model's own calls, and hook and trace see operands
// after the pokes changed them.
#pragma once

#include <memory>

#include "session/session.h"

namespace lastrow {

struct DecodeSession::Decorators {
  Decorators(Backend& backend, const SessionOptions& options)
      : recorder(options.record ? std::make_unique<Recorder>(*options.record) : nullptr),
        tracing(recorder ? std::make_unique<TracingBackend>(backend, *recorder) : nullptr),
        hook(options.on_attend ? std::make_unique<AttendHook>(recorded(backend), options.on_attend)
                               : nullptr),
        poking(hook ? static_cast<Backend&>(*hook) : recorded(backend)),
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
  std::unique_ptr<AttendHook> hook;
  PokingBackend poking;
  CountingBackend counting;

 private:
  Backend& recorded(Backend& backend) { return tracing ? static_cast<Backend&>(*tracing) : backend; }
};

}  // namespace lastrow
