#include "gpu/driver/try_kernel/compiler.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <sstream>
#include <vector>

#include "gpu/driver/try_kernel/messages.h"
#include "io/atomic_file.h"
#include "io/program_start.h"

extern char** environ;

namespace lastrow::driver {
namespace {

using Words = std::vector<std::string>;

std::string from_environment(const char* name, const char* otherwise) {
  const char* const value = std::getenv(name);
  return value == nullptr || *value == '\0' ? otherwise : value;
}

Words split(const std::string& text, char at) {
  Words words;
  std::istringstream stream(text);
  for (std::string word; std::getline(stream, word, at);)
    if (!word.empty()) words.push_back(word);
  return words;
}

std::string source_folder() {
  if (LASTROW_BUILT_PORTABLE)
    throw NoCompiler(
        "this program was packed for other machines and cannot load a kernel: build lastrow here");
  const std::string folder = from_environment("LASTROW_SOURCE", LASTROW_BUILT_SOURCE);
  if (!std::filesystem::exists(folder + "/gpu/ladder/ladder.h"))
    throw NoCompiler(
        "a kernel of your own needs the sources of lastrow, which are not in {}: name their folder in "
        "LASTROW_SOURCE",
        folder);
  return folder;
}

Words command(const std::string& target, const std::string& wrapper, const std::string& library) {
  const bool cuda = target == "cuda";
  Words words = split(
      cuda ? from_environment("NVCC", LASTROW_BUILT_NVCC) : from_environment("CXX", LASTROW_BUILT_CXX), ' ');
  const auto add = [&](const Words& more) { words.insert(words.end(), more.begin(), more.end()); };
  // The library takes everything that its headers only declare from this program. But what it defines itself
  // comes first: a copy of a rung must not become the rung of that name.
  if (cuda)
    add({"-arch=native", "-O3", "-DNDEBUG", "--expt-relaxed-constexpr", "--cudart", "none", "-Xcompiler",
         "-fPIC,-Wall,-Wextra", "-Xlinker", "-Bsymbolic", "-x", "cu"});
  else
    add({"-O1", "-fPIC", "-Wall", "-Wextra", "-fdiagnostics-color=never", "-Wl,-Bsymbolic", "-x", "c++"});
  add({"-std=c++20", "-shared", "-DLASTROW_TARGET=" + target, "-I" + source_folder(),
       "-I" + source_folder() + "/src"});
  for (const std::string& definition : split(LASTROW_BUILT_DEFINITIONS, ':'))
    words.push_back("-D" + definition);
  // The two folders of the sources are above; /usr/include must stay the last one.
  const std::string known[] = {LASTROW_BUILT_SOURCE, LASTROW_BUILT_SOURCE "/src", "/usr/include"};
  for (const std::string& folder : split(LASTROW_BUILT_INCLUDES, ':'))
    if (std::find(std::begin(known), std::end(known), folder) == std::end(known)) add({"-isystem", folder});
  add({"-o", library, wrapper});
  return words;
}

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

struct CompilerRun {
  int status;  // −1 if a signal ended it
  std::string output;
};

/// Its messages are in English, so that first_message can find them.
CompilerRun run(const Words& words) {
  const std::unique_ptr<std::FILE, Close> out(std::tmpfile());
  if (!out) throw FileError("cannot make a temporary file ({}): check TMPDIR", std::strerror(errno));
  std::vector<char*> arguments, environment;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (!std::string_view(*variable).starts_with("LC_ALL=")) environment.push_back(*variable);
  environment.push_back(const_cast<char*>("LC_ALL=C"));
  environment.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int stream : {STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_adddup2(&actions, ::fileno(out.get()), stream);
  pid_t pid = 0;
  const int error =
      ::posix_spawnp(&pid, arguments.front(), &actions, nullptr, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0)
    throw NoCompiler("the compiler {} cannot be started ({}): name another one in {}", words.front(),
                     std::strerror(error), "CXX or NVCC");
  const EndsWithThisProgram together(pid);
  int state = 0;
  while (::waitpid(pid, &state, 0) < 0 && errno == EINTR) continue;

  std::string text;
  std::rewind(out.get());
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, out.get())) > 0;) text.append(buffer, n);
  return {WIFEXITED(state) ? WEXITSTATUS(state) : -1, text};
}

std::string keep_log(const OwnSource& source, const std::string& text) {
  const std::string log = source.file + ".log";
  try {
    write_text_atomically(log, text);
    return fmt::format("; the whole output of the compiler is in {}", log);
  } catch (const FileError&) {
    return "; the whole output of the compiler could not be kept beside it";
  }
}

}  // namespace

std::string compile(const OwnSource& source, const std::string& target, const std::string& wrapper,
                    const std::string& library) {
  const CompilerRun compiled = run(command(target, wrapper, library));
  if (compiled.status == 0) return first_message(compiled.output, "warning", source);
  std::string why = first_message(compiled.output, "error", source);
  if (why.empty()) why = fmt::format("{}: does not compile", source.file);
  if (why.find(std::filesystem::path(wrapper).filename().string()) != std::string::npos)
    why = fmt::format("{}: its rung {} is not defined in the namespace lastrow::LASTROW_TARGET", source.file,
                      source.rung);
  throw UsageError("{}{}", why, keep_log(source, compiled.output));
}

}  // namespace lastrow::driver
