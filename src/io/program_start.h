// Prepares a program so that it leaves no broken or temporary files, however it ends.
//
//   start_program("lastrow");      first in main, before any file is opened or any thread is started
//
// It does three things:
// * A signal that ends the program first removes its temporary files. Then the program ends by the same
//   signal, so a shell sees 130 after Ctrl-C. These signals are SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM,
//   SIGTERM, SIGXCPU and SIGABRT. A signal that was ignored at the start, as by nohup or `&`, stays ignored.
// * Writing beyond the size limit of files (SIGXFSZ) fails with a message. It does not end the program.
// * A closed standard stream (`>&-`) gets a descriptor that can be neither read nor written. Otherwise the
//   next file to be opened would become standard output, and text would be printed into it.
//
// Only programs call this: a library must not change the signals of the program that uses it.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace lastrow {

void start_program(const char* name);

/// Prints "NAME: note: TEXT" on standard error. Prints nothing if start_program was not called, so a library
/// that uses this stays silent.
void say_note(std::string_view text);

/// As long as one exists, a signal that ends this program also ends the program that it started: the handler
/// sends SIGTERM and waits. So the temporary files of that program are removed too. Never have two at once.
class EndsWithThisProgram {
 public:
  explicit EndsWithThisProgram(pid_t started);
  ~EndsWithThisProgram();
  EndsWithThisProgram(const EndsWithThisProgram&) = delete;
  EndsWithThisProgram& operator=(const EndsWithThisProgram&) = delete;
};

}  // namespace lastrow
