// What a program does first in main, so that it leaves its outputs in order however it ends.
//
//   start_program("lastrow");      before any file is opened and any thread is started
//
// It does three things:
// * A signal that ends the program (SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGXCPU, SIGABRT) first
//   removes its temporary files. Then the program ends by that very signal, so a shell sees 130 after Ctrl-C.
//   A signal that was ignored at the start, as nohup and `&` do it, stays ignored.
// * A file beyond the size limit (SIGXFSZ) is a write that fails, with a message.
// * A standard stream that is closed (`>&-`) is taken by a descriptor that can be neither read nor written.
//   Otherwise the next file that is opened would become standard output, and text would be written into it.
//
// Only for programs: a library does not change the signals of the program that uses it.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace lastrow {

void start_program(const char* name);

/// "NAME: note: TEXT" on standard error, if start_program was called; a library says nothing by itself.
void say_note(std::string_view text);

/// While one lives, a signal that ends this program also ends another one that it started (SIGTERM), and waits
/// for its end: what that one was writing is removed as well. One at a time.
class EndsWithThisProgram {
 public:
  explicit EndsWithThisProgram(pid_t started);
  ~EndsWithThisProgram();
  EndsWithThisProgram(const EndsWithThisProgram&) = delete;
  EndsWithThisProgram& operator=(const EndsWithThisProgram&) = delete;
};

}  // namespace lastrow
