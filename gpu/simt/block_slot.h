// The threads of a block: what block.cpp and block_meetings.cpp share.
#pragma once

#include "gpu/simt/block.h"

namespace lastrow::simt {

/// Thrown in waiting threads after the launch has failed, to unwind them.
struct Abandoned {};

struct Block::Slot {
  explicit Slot(Block& block) : owner(block), fiber(&Slot::main, this) { thread.block = &block; }

  /// Runs the body once per launch, for as long as the block lives.
  static void main(void* slot) {
    auto& [owner, thread, fiber, begun] = *static_cast<Slot*>(slot);
    while (!owner.ending_) {
      begun = true;
      try {
        (*owner.body_)();
      } catch (const Abandoned&) {
      } catch (...) {
        if (!owner.failure_) owner.failure_ = std::current_exception();
      }
      thread.wait = Wait::returned;
      Fiber::suspend();
    }
  }

  Block& owner;
  Thread thread;
  Fiber fiber;
  bool begun = false;  // it has entered the body of the current block
};

inline Thread& Block::thread_of(int32_t rank) { return slots_[rank]->thread; }

}  // namespace lastrow::simt
