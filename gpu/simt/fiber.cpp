#include "gpu/simt/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include "core/error.h"

#if LASTROW_BOOST_CONTEXT
#include <boost/context/fiber.hpp>
#else
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define LASTROW_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LASTROW_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define LASTROW_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LASTROW_TSAN 1
#endif
#endif
#if LASTROW_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if LASTROW_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace lastrow::simt {
namespace {

#if LASTROW_ASAN || LASTROW_TSAN
constexpr size_t kStackBytes = 256 << 10;  // sanitizers make frames larger
#else
constexpr size_t kStackBytes = 64 << 10;
#endif

/// A stack with a guard page at its low end.
class Stack {
 public:
  Stack() {
    page_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void* memory = mmap(nullptr, page_ + kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      throw CapacityError("no memory for the stack of an emulated thread ({} bytes): use smaller blocks",
                          kStackBytes);
    memory_ = static_cast<char*>(memory);
    mprotect(memory_, page_, PROT_NONE);
  }
  ~Stack() {
#if LASTROW_ASAN
    // Frames that a fiber never returned from are still marked as poisoned. The next owner of these addresses
    // must not find those marks.
    __asan_unpoison_memory_region(low(), kStackBytes);
#endif
    munmap(memory_, page_ + kStackBytes);
  }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  void* low() const { return memory_ + page_; }
  void* high() const { return memory_ + page_ + kStackBytes; }

 private:
  size_t page_;
  char* memory_;
};

/// What the sanitizers must know about one side of a switch.
struct Side {
  void* fake_stack = nullptr;             // AddressSanitizer
  const void* bottom = nullptr;           // of the stack; for the scheduler known from the first switch on
  size_t bytes = 0;                       // of the stack
  [[maybe_unused]] void* tsan = nullptr;  // ThreadSanitizer's fiber
};

void leaving(Side& from, const Side& to, bool for_good) {
#if LASTROW_ASAN
  __sanitizer_start_switch_fiber(for_good ? nullptr : &from.fake_stack, to.bottom, to.bytes);
#endif
#if LASTROW_TSAN
  __tsan_switch_to_fiber(to.tsan, 0);
#endif
  (void)from, (void)to, (void)for_good;
}

void arrived(Side& at, Side& came_from) {
#if LASTROW_ASAN
  __sanitizer_finish_switch_fiber(at.fake_stack, &came_from.bottom, &came_from.bytes);
#endif
  (void)at, (void)came_from;
}

}  // namespace

struct Fiber::State {
  void (*function)(void*);
  void* argument;
  Stack stack;
  Side inside, outside;
  bool ended = false;
  State* resumed_by = nullptr;  // the fiber that was running, for fibers within fibers
#if LASTROW_BOOST_CONTEXT
  boost::context::fiber own, scheduler;
#else
  ucontext_t own, scheduler;
#endif

  State(void (*f)(void*), void* a) : function(f), argument(a) {
    inside.bottom = stack.low();
    inside.bytes = kStackBytes;
#if LASTROW_TSAN
    inside.tsan = __tsan_create_fiber(0);
#endif
  }
#if LASTROW_TSAN
  ~State() { __tsan_destroy_fiber(inside.tsan); }
#endif

  void run() {
    arrived(inside, outside);
    function(argument);
    ended = true;
    leaving(inside, outside, true);
  }
};

namespace {
constinit thread_local void* t_running = nullptr;  // Fiber::State of the fiber that runs on this OS thread

#if LASTROW_BOOST_CONTEXT
/// Gives Boost the stack that a State owns.
struct OwnStack {
  Stack* stack;
  boost::context::stack_context allocate() {
    boost::context::stack_context context;
    context.sp = stack->high();
    context.size = kStackBytes;
    return context;
  }
  void deallocate(boost::context::stack_context&) noexcept {}
};
#endif
}  // namespace

Fiber::Fiber(void (*function)(void*), void* argument) : state_(std::make_unique<State>(function, argument)) {
  State* s = state_.get();
#if LASTROW_BOOST_CONTEXT
  s->own = boost::context::fiber(std::allocator_arg, OwnStack{&s->stack}, [s](boost::context::fiber&& from) {
    s->scheduler = std::move(from);
    s->run();
    return std::move(s->scheduler);
  });
#else
  getcontext(&s->own);
  s->own.uc_stack.ss_sp = s->stack.low();
  s->own.uc_stack.ss_size = kStackBytes;
  s->own.uc_link = &s->scheduler;
  makecontext(&s->own, reinterpret_cast<void (*)()>(+[] { static_cast<State*>(t_running)->run(); }), 0);
#endif
}

Fiber::~Fiber() { LASTROW_CHECK(state_->ended, "a fiber was destroyed before it ended"); }

bool Fiber::ended() const { return state_->ended; }

void Fiber::resume() {
  State& s = *state_;
  LASTROW_CHECK(!s.ended, "a fiber that has ended was resumed");
  s.resumed_by = static_cast<State*>(t_running);
  t_running = &s;
#if LASTROW_TSAN
  s.outside.tsan = __tsan_get_current_fiber();
#endif
  leaving(s.outside, s.inside, false);
#if LASTROW_BOOST_CONTEXT
  s.own = std::move(s.own).resume();
#else
  swapcontext(&s.scheduler, &s.own);
#endif
  Side unused;
  arrived(s.outside, unused);
  t_running = s.resumed_by;
}

void Fiber::suspend() {
  State& s = *static_cast<State*>(t_running);
  leaving(s.inside, s.outside, false);
#if LASTROW_BOOST_CONTEXT
  s.scheduler = std::move(s.scheduler).resume();
#else
  swapcontext(&s.own, &s.scheduler);
#endif
  arrived(s.inside, s.outside);
}

const char* fiber_library() {
#if LASTROW_BOOST_CONTEXT
  return "Boost.Context";
#else
  return "ucontext";
#endif
}

}  // namespace lastrow::simt
