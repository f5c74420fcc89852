// The name of a temporary file. The file is removed even if a signal ends the program.
//
//   TemporaryName name(folder);               folder is a descriptor; the name is random and not in use
//   const int fd = name.create(0666);         creates the file; −1 and errno if that fails
//   ::renameat(folder, name.c_str(), …);      afterwards there is no file of this name
//
// The destructor removes the file if it still exists. A signal that ends the program runs no destructor. Then
// the signal handler (program_start.h) calls remove_temporaries().
//
// * The descriptor must stay open as long as the name exists.
// * After fork() the names belong to the parent. The child removes none of them.
// * SIGKILL and a power cut cannot be caught. They leave ".lastrow-….tmp" beside the output; the user can
//   delete it.
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

  /// Always 29 bytes, however long the name of the output is.
  const char* c_str() const;
  int create(mode_t mode);

  struct OnList;

 private:
  OnList* on_list_;
};

/// Removes all temporary files of this process, and stops every thread that would create another. Only for a
/// process that is about to end. A signal handler may call it.
void remove_temporaries();

}  // namespace lastrow
