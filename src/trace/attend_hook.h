// A decorator that shows each attend to a function, right after it has run.
//
//   AttendHook hook(backend, [&](Backend& inner, const Attend& op) { inner.download(op.out, host); });
//
// The function may download operands, read stored rows, and probe through `inner`. It must copy what it needs
// later, because the next operations overwrite the operands. Unlike a Recorder, which keeps every result, it
// can reduce each large result at once. If it throws, the operation throws.
#pragma once

#include <functional>
#include <utility>

#include "trace/forwarding.h"

namespace lastrow {

class AttendHook final : public WatchingBackend {
 public:
  using Function = std::function<void(Backend& inner, const Attend& op)>;
  AttendHook(Backend& inner, Function seen) : WatchingBackend(inner), seen_(std::move(seen)) {}

  void run(const Op& op) override {
    inner().run(op);
    if (const auto* attend = std::get_if<Attend>(&op)) seen_(inner(), *attend);
  }

 private:
  Function seen_;
};

}  // namespace lastrow
