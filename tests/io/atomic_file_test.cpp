// A file appears whole or not at all. After any failure, the old file is unchanged.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>

#include "io/atomic_file.h"
#include "io/npy.h"
#include "io/safetensors.h"
#include "tests/io/files.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

/// Until the end of the scope, no file can grow beyond n bytes, as on a full disk. Only for this process.
class FullDiskAfter {
 public:
  explicit FullDiskAfter(rlim_t n) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limited{n, old_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limited) == 0);
  }
  ~FullDiskAfter() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_{};
  void (*handler_)(int) = nullptr;
};

/// Until the end of the scope, the process is the user nobody instead of root,
/// because root may write anywhere.
class WithoutRoot {
 public:
  WithoutRoot() : was_root_(::geteuid() == 0) {
    if (was_root_) REQUIRE(::seteuid(65534) == 0);
  }
  ~WithoutRoot() {
    if (was_root_) static_cast<void>(!::seteuid(0));
  }

 private:
  bool was_root_;
};

}  // namespace

TEST_CASE("a file appears at commit, and nothing else with it") {
  TemporaryFolder folder;
  put(folder / "a", "old");
  {
    AtomicFile file(folder / "a");
    file.write("new ");
    file.write("text");
    CHECK(get(folder / "a") == "old");
    CHECK(folder.n_entries() == 2);
    file.commit();
  }
  CHECK(get(folder / "a") == "new text");
  CHECK(folder.n_entries() == 1);
}

TEST_CASE("without commit nothing changes") {
  TemporaryFolder folder;
  put(folder / "a", "old");
  {
    AtomicFile a(folder / "a"), b(folder / "b");
    a.write("half");
    b.write("half");
  }
  CHECK(get(folder / "a") == "old");
  CHECK(folder.n_entries() == 1);
}

TEST_CASE("two writers of one name do not mix") {
  TemporaryFolder folder;
  AtomicFile one(folder / "a"), two(folder / "a");
  one.write("one");
  two.write("two");
  one.commit();
  CHECK(get(folder / "a") == "one");
  two.commit();
  CHECK(get(folder / "a") == "two");
  CHECK(folder.n_entries() == 1);
}

TEST_CASE("a full disk leaves the old file and no temporary") {
  TemporaryFolder folder;
  const Tensor big = Tensor::host(DType::f32, {4096});
  SafetensorsWriter writer;
  writer.add("big", big.view());
  for (const char* name : {"old", "new"}) {
    CAPTURE(name);
    if (std::string_view(name) == "old") put(folder / name, "precious");
    const FullDiskAfter limit(4096);
    CHECK_FILE_ERROR(writer.write(folder / name), name, "cannot be written (File too large)", "make room");
    CHECK_FILE_ERROR(write_npy(folder / name, big.view()), name, "cannot be written", "make room");
    CHECK_FILE_ERROR(write_text_atomically(folder / name, std::string(5000, 'x')), name, "cannot be written");
  }
  CHECK(get(folder / "old") == "precious");
  CHECK(folder.n_entries() == 1);
}

TEST_CASE("a folder that cannot be written gives an error") {
  TemporaryFolder folder;
  put(folder / "file", "precious");
  CHECK_FILE_ERROR(write_text_atomically(folder / "none/a", "x"), "none/a: cannot be written (No such file",
                   "create the folder");
  CHECK_FILE_ERROR(write_text_atomically(folder / "file/a", "x"),
                   "file/a: cannot be written (Not a directory)");
  CHECK_FILE_ERROR(write_text_atomically(folder.path(), "x"), "is a folder");
  CHECK_FILE_ERROR(write_text_atomically("", "x"), "cannot be written");
  REQUIRE(::chmod((folder / "file").c_str(), 0666) == 0);  // now only the folder prevents writing
  REQUIRE(::chmod(folder.path().c_str(), 0555) == 0);
  {
    const WithoutRoot nobody;
    CHECK_FILE_ERROR(write_text_atomically(folder / "file", "x"),
                     "file: cannot be written (Permission denied)", "another folder");
  }
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  CHECK(get(folder / "file") == "precious");
  CHECK(folder.n_entries() == 1);
}

TEST_CASE("a replaced file keeps its permissions, a new one has the usual ones") {
  TemporaryFolder folder;
  const auto mode = [&](const char* name) {
    struct stat status {};
    REQUIRE(::stat((folder / name).c_str(), &status) == 0);
    return status.st_mode & 0777;
  };
  const mode_t mask = ::umask(022);
  put(folder / "private", "");
  REQUIRE(::chmod((folder / "private").c_str(), 0600) == 0);
  write_text_atomically(folder / "private", "x");
  write_text_atomically(folder / "new", "x");
  ::umask(mask);
  CHECK(mode("private") == 0600);
  CHECK(mode("new") == 0644);
}

TEST_CASE("through a link the file is replaced, not the link") {
  TemporaryFolder folder;
  put(folder / "file", "old");
  std::filesystem::create_symlink("file", folder / "link");
  write_text_atomically(folder / "link", "new");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(get(folder / "file") == "new");
  CHECK(folder.n_entries() == 2);
}

TEST_CASE("through a dangling link its target is made; a loop of links is an error that says so") {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "sub");
  std::filesystem::create_symlink("sub/middle", folder / "link");
  std::filesystem::create_symlink("target", folder / "sub/middle");  // a target relative to the link's folder
  write_text_atomically(folder / "link", "new");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(std::filesystem::is_symlink(folder / "sub/middle"));
  CHECK(get(folder / "sub/target") == "new");

  std::filesystem::create_symlink("two", folder / "one");
  std::filesystem::create_symlink("one", folder / "two");
  CHECK_FILE_ERROR(write_text_atomically(folder / "one", "x"), "one: cannot be written", "lead in a circle");
  std::filesystem::create_symlink("none/target", folder / "nowhere");
  CHECK_FILE_ERROR(write_text_atomically(folder / "nowhere", "x"), "none/target", "create the folder first");
  CHECK(folder.n_entries() == 5);  // sub, link, one, two, nowhere
}

TEST_CASE("a name may be as long as the file system allows") {
  TemporaryFolder folder;
  for (const size_t n : {size_t{249}, size_t{255}}) {
    write_text_atomically(folder / std::string(n, 'x'), "text");
    CHECK(get(folder / std::string(n, 'x')) == "text");
  }
  CHECK_FILE_ERROR(AtomicFile(folder / std::string(256, 'x')), "File name too long");
  CHECK(folder.n_entries() == 2);
}

TEST_CASE("a write-protected file is refused, even in a writable folder") {
  TemporaryFolder folder;
  put(folder / "kept", "precious");
  REQUIRE(::chmod((folder / "kept").c_str(), 0444) == 0);
  REQUIRE(::chmod(folder.path().c_str(), 0777) == 0);
  {
    const WithoutRoot nobody;
    CHECK_FILE_ERROR(AtomicFile(folder / "kept"), "kept: cannot be written (Permission denied)", "chmod u+w");
  }
  CHECK(get(folder / "kept") == "precious");
  CHECK(folder.n_entries() == 1);
}

TEST_CASE("several files appear together or not at all") {
  TemporaryFolder folder;
  put(folder / "a", "old");
  {
    AtomicFile a(folder / "a"), b(folder / "b"), c(folder / "c");
    for (AtomicFile* file : {&a, &b, &c}) file->write("new");
    std::filesystem::create_directory(folder / "c");  // makes the last renaming fail
    CHECK_FILE_ERROR(commit_all({&a, &b, &c}), "c: cannot be written (Is a directory)");
    CHECK(get(folder / "a") == "old");
    CHECK_FALSE(std::filesystem::exists(folder / "b"));
  }
  CHECK(folder.n_entries() == 2);  // a and the folder c
  std::filesystem::remove(folder / "c");
  {
    AtomicFile a(folder / "a"), b(folder / "b");
    for (AtomicFile* file : {&a, &b}) file->write("new");
    commit_all({&a, &b});
  }
  CHECK(get(folder / "a") == "new");
  CHECK(get(folder / "b") == "new");
  CHECK(folder.n_entries() == 2);
}

TEST_CASE("a pipe is opened by the first write, closed by finish(), and reports when its reader has ended") {
  TemporaryFolder folder;
  const std::string pipe = folder / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  AtomicFile{pipe};  // there is no reader, but this must not wait
  std::string found;
  std::thread reader([&] { found = get(pipe); });
  AtomicFile file(pipe);
  file.write("header ");
  file.write("data");
  file.finish();
  reader.join();
  CHECK(found == "header data");

  const int once = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  AtomicFile broken(pipe);
  broken.write("x");
  ::close(once);
  CHECK_FILE_ERROR(broken.write("y"), "pipe: cannot be written (Broken pipe)", "start it again");
}

TEST_CASE("pipes and devices are written, not replaced") {
  TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const int reader = ::open((folder / "pipe").c_str(), O_RDONLY | O_NONBLOCK);
  REQUIRE(reader >= 0);
  write_text_atomically(folder / "pipe", "text");
  char found[5] = {};
  CHECK(::read(reader, found, 5) == 4);
  CHECK(std::string(found) == "text");
  ::close(reader);
  REQUIRE(std::filesystem::is_fifo(folder / "pipe"));  // otherwise the next line would replace a device
  CHECK_FILE_ERROR(write_text_atomically("/dev/full", "x"),
                   "/dev/full: cannot be written (No space left on device)", "make room");
  CHECK(folder.n_entries() == 1);
}
