// The name of a temporary file. No temporary file outlives its program, whatever ends the program.
//
//   TemporaryName name(folder);                   a descriptor of the folder; the name is random and not in use
//   const int fd = name.create(0666);             the file itself; −1 and errno if there can be none
//   ::renameat(folder, name.c_str(), …);          afterwards the name stands for nothing
//
// The destructor removes the file if there still is one of that name. A signal that ends the program runs no
// destructor: then remove_temporaries() does it, called by the handler of program_start.h.
//
// * The descriptor must stay open as long as the name lives.
// * After fork() the names stay the parent's: the child removes none of them.
// * SIGKILL and a power cut cannot be caught. They leave ".lastrow-….tmp" beside the output; it can be deleted.
//
// Invariant: a name is on the list from before its file is created until after the file is gone.
#pragma once

#include <sys/types.h>

namespace lastrow {

class TemporaryName {
 public:
  explicit TemporaryName(int folder);
  ~TemporaryName();
  TemporaryName(const TemporaryName&) = delete;
  TemporaryName& operator=(const TemporaryName&) = delete;

  /// 29 bytes, however long the name of the output is.
  const char* c_str() const;
  int create(mode_t mode);

  struct OnList;

 private:
  OnList* on_list_;
};

/// Removes every temporary file of this process, and lets no thread create another. Only for a process that is
/// about to end. Safe in a signal handler.
void remove_temporaries();

}  // namespace lastrow
