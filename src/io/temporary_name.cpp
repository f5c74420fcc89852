#include "io/temporary_name.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <random>

namespace lastrow {

/// One thread writes it, and a signal handler may read it at any time. Never freed, but reused.
struct TemporaryName::OnList {
  std::atomic<bool> taken{true}, valid{false};  // if valid, the members below may be read
  std::atomic<pid_t> owner{0};
  std::atomic<int> folder{-1};
  char name[32] = {};
  OnList* next = nullptr;
};

namespace {

std::atomic<TemporaryName::OnList*> g_list{nullptr};
std::atomic<bool> g_ending{false};
static_assert(std::atomic<TemporaryName::OnList*>::is_always_lock_free &&
                  std::atomic<pid_t>::is_always_lock_free,
              "a signal handler reads them");

TemporaryName::OnList* take_place() {
  for (auto* place = g_list.load(); place != nullptr; place = place->next)
    if (!place->taken.exchange(true)) return place;
  auto* place = new TemporaryName::OnList;
  place->next = g_list.load();
  while (!g_list.compare_exchange_weak(place->next, place)) continue;
  return place;
}

}  // namespace

TemporaryName::TemporaryName(int folder) : on_list_(take_place()) {
  std::random_device random;
  std::snprintf(on_list_->name, sizeof on_list_->name, ".lastrow-%08x%08x.tmp", random(), random());
  on_list_->owner = ::getpid();
  on_list_->folder = folder;
  on_list_->valid = true;
}

TemporaryName::~TemporaryName() {
  if (on_list_->owner == ::getpid()) ::unlinkat(on_list_->folder, on_list_->name, 0);
  on_list_->valid = false;
  on_list_->taken = false;
}

const char* TemporaryName::c_str() const { return on_list_->name; }

int TemporaryName::create(mode_t mode) {
  const int fd = ::openat(on_list_->folder, on_list_->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (g_ending) {  // a handler on another thread may have tried this name before the file existed
    ::unlinkat(on_list_->folder, on_list_->name, 0);
    while (true) ::pause();
  }
  return fd;
}

void remove_temporaries() {
  g_ending = true;
  for (const auto* place = g_list.load(); place != nullptr; place = place->next)
    if (place->valid && place->owner == ::getpid()) ::unlinkat(place->folder, place->name, 0);
}

}  // namespace lastrow
