// A function that can stop in the middle and go on later: one thread of the emulated GPU. The only place in
// the emulator where stacks are switched.
//
//   Fiber fiber(run, &argument);   nothing runs yet
//   fiber.resume();                runs until it suspends or ends
//   Fiber::suspend();              inside: back to whoever resumed
//
// * Another OS thread may resume it only if the code that suspended holds no address of a thread-local
//   variable; kernel code does, so a block stays on one OS thread from its first line to its last.
// * Let it end before it is destroyed, even if it never began (checked): nothing else would unwind its stack.
// * An exception may not leave the function.
// Stacks come from mmap with a page below that traps an overflow. Switching is Boost.Context's, or ucontext's
// (slower, a system call each) where Boost is missing; either way the sanitizers are told of it.
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
