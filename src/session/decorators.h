// The decorators between a session's decoder and its backend. DecodeSession and BatchSession have the same.
//
// The order from the decoder inwards: counting, poking, the hook (if the session has one), tracing (if it
// records), saturation (if the type of K or V can saturate, and the backend can count it), the backend. So
// the counts contain only the model's own calls, and the others see operands after the pokes changed them.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "trace/attend_hook.h"
#include "trace/counting.h"
#include "trace/poke.h"
#include "trace/recorder.h"
#include "trace/saturation.h"
#include "trace/tracing.h"

namespace lastrow {

struct Decorators {
  /// `dtypes`: the types in which the session stores K and V.
  Decorators(Backend& backend, const std::optional<RecordOptions>& record, AttendHook::Function on_attend,
             KvDtypes dtypes)
      : may_saturate(SaturationBackend::can_saturate(dtypes)),
        saturation(SaturationBackend::can_count(backend, dtypes)
                       ? std::make_unique<SaturationBackend>(backend)
                       : nullptr),
        recorder(record ? std::make_unique<Recorder>(*record) : nullptr),
        tracing(recorder ? std::make_unique<TracingBackend>(counted(backend), *recorder) : nullptr),
        hook(on_attend ? std::make_unique<AttendHook>(recorded(backend), std::move(on_attend)) : nullptr),
        poking(hook ? static_cast<Backend&>(*hook) : recorded(backend)),
        counting(poking) {}
  Backend& top() { return counting; }
  /// Call it before each step. step: its number in the session. sequence_names: the number that pokes use for
  /// each sequence of the step. If it is empty, pokes use the number in the cache.
  void set_step(int32_t step, std::span<const int32_t> sequence_names = {}) {
    counting.reset();
    if (saturation) saturation->reset();
    poking.set_step(step, sequence_names);
    if (recorder) recorder->set_step(step);
  }

  /// The elements of K and V of the step that their types could not hold; −1: not counted (trace/saturation.h).
  int64_t n_saturated() const { return saturation ? saturation->n_saturated() : may_saturate ? -1 : 0; }

  bool may_saturate;
  std::unique_ptr<SaturationBackend> saturation;
  std::unique_ptr<Recorder> recorder;
  std::unique_ptr<TracingBackend> tracing;
  std::unique_ptr<AttendHook> hook;
  PokingBackend poking;
  CountingBackend counting;

 private:
  Backend& counted(Backend& backend) { return saturation ? static_cast<Backend&>(*saturation) : backend; }
  Backend& recorded(Backend& backend) { return tracing ? static_cast<Backend&>(*tracing) : counted(backend); }
};

}  // namespace lastrow
