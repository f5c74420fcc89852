// A function that can stop in the middle and go on later: one thread of the emulated GPU. In the emulator
// only fibers switch stacks.
//
//   Fiber fiber(run, &argument);   nothing runs yet
//   fiber.resume();                runs until it suspends or ends
//   Fiber::suspend();              inside: goes back to whoever resumed it
//
// * Another OS thread may resume a fiber only if its suspended code holds no address of a thread-local
//   variable. Kernel code does hold such addresses, so a block stays on one OS thread from its first line to
//   its last.
// * Let a fiber end before it is destroyed, even if it never began (this is checked): nothing else would
//   unwind its stack.
// * No exception may leave the function.
//
// Stacks come from mmap, each with a guard page below that stops an overflow. Boost.Context switches stacks,
// or ucontext where Boost is missing; ucontext is slower, because each switch is a system call. Either way
// the sanitizers are told about each switch.
#pragma once

#include <cstddef>
#include <memory>

namespace lastrow::simt {

class Fiber {
 public:
  Fiber(void (*function)(void*), void* argument);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void resume();
  bool ended() const;
  static void suspend();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// "Boost.Context" or "ucontext", for `lastrow info`.
const char* fiber_library();

}  // namespace lastrow::simt
