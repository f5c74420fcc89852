// The promises of all programs about the files that they write. Each test checks one promise of the README
// ("What a program leaves when something goes wrong") on every program.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <vector>

#include "core/tensor.h"
#include "io/safetensors.h"
#include "support/program.h"

using namespace lastrow::testing;
namespace fs = std::filesystem;

extern char** environ;

namespace {

const std::string kBin = LASTROW_BIN_DIR "/";
const std::string kFox = " --prompt 'the quick brown fox' --tokens 2 --json";

/// A program that writes a file. In its arguments, IN stands for the file that it reads, OUT for the file
/// that it writes, and FOLDER for the folder of OUT.
struct Writer {
  std::string name, arguments;
  std::string ending{};  // the name of OUT must end with it
  std::function<void(const fs::path& in, const fs::path& out)> prepare{};

  std::string command(const fs::path& in, const fs::path& out) const {
    if (prepare) prepare(in, out);
    std::string all = kBin + arguments;
    const auto put = [&](const std::string& word, const std::string& value) {
      for (size_t at; (at = all.find(word)) != std::string::npos;) all.replace(at, word.size(), value);
    };
    put("FOLDER", out.parent_path().string());
    put("OUT", out.string());
    put("IN", in.string());
    return all;
  }
};

void write_qkv(const fs::path& in, const fs::path&) {
  if (fs::exists(in)) return;
  const auto q = lastrow::Tensor::host(lastrow::DType::f32, {1, 2, 8});
  lastrow::SafetensorsWriter writer;
  for (const char* name : {"q", "k", "v"}) writer.add(name, q.view());
  writer.write(in);
}

void copy_model(const fs::path& in, const fs::path&) {
  if (!fs::exists(in)) fs::copy_file(LASTROW_SOURCE_DIR "/src/model/builtin/fable-mqa.safetensors", in);
}

std::vector<Writer> writers() {
  std::vector<Writer> all = {
      {"attend", "lastrow attend --in IN --out OUT", "", write_qkv},
      {"trace", "lastrow generate --model IN" + kFox + " --trace OUT", "", copy_model},
      {"chrome trace", "lastrow generate --model IN" + kFox + " --chrome-trace OUT", "", copy_model},
      {"saved cache", "lastrow generate --model IN" + kFox + " --save-cache OUT", "", copy_model},
      {"lesson", "lesson_01_attention_by_hand --json --model IN --trace OUT", "", copy_model},
      {"trainer", "train_fable --model fable-mqa --steps 1 --batch 1 --out OUT", "", copy_model},
  };
#ifdef LASTROW_WITH_VIEWER
  const auto script = [](const std::string& command) {
    return [command](const fs::path& in, const fs::path& out) {
      if (!fs::exists(in)) std::ofstream(in) << command << " " << out.filename().string() << "\n";
    };
  };
  all.push_back(
      {"state", "lastrow-viewer --headless --script IN --out FOLDER", ".json", script("shot x.png\nstate")});
  all.push_back({"picture", "lastrow-viewer --headless --script IN --out FOLDER", ".png", script("shot")});
#endif
  return all;
}

std::string listing(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  std::string all;
  for (const std::string& name : names) all += name + " ";
  return all;
}

void put(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

/// Checks that the exit status is 2 and that standard error contains these words.
void check_refused(const Outcome& o, const std::string& words) {
  CAPTURE(o.err);
  CHECK(o.exit_code == 2);
  CHECK(o.err.find(words) != std::string::npos);
}

/// Runs `test` for each writer, with one folder for its inputs and messages, and another for its output.
void for_each_writer(
    const std::function<void(const Writer&, const Folder&, const fs::path&, const fs::path&)>& test) {
  for (const Writer& writer : writers()) {
    CAPTURE(writer.name);
    const Folder folder("promises"), out_folder("promises_out");
    test(writer, folder, folder / "in", out_folder / ("out" + writer.ending));
  }
}

/// Starts a program whose standard output is a full pipe, so that its last print never returns. Sends the
/// signal when started() is true. Returns how the program ended.
int state_after_signal(const std::string& command, int signal, const std::function<bool()>& started) {
  int full[2];
  REQUIRE(::pipe2(full, O_NONBLOCK | O_CLOEXEC) == 0);
  while (::write(full[1], "xxxxxxxx", 8) > 0) continue;
  ::fcntl(full[1], F_SETFL, 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, full[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  const std::string line = "exec " + command;
  const char* argv[] = {"/bin/sh", "-c", line.c_str(), nullptr};
  pid_t pid = 0;
  REQUIRE(::posix_spawn(&pid, "/bin/sh", &actions, nullptr, const_cast<char**>(argv), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
  bool has_started = false;
  for (int i = 0; i < 3000 && !(has_started = started()); ++i) ::usleep(10'000);
  CHECK(has_started);
  ::kill(pid, signal);
  int state = 0;
  ::waitpid(pid, &state, 0);
  ::close(full[0]);
  ::close(full[1]);
  return state;
}

bool holds_temporary(const fs::path& folder) {
  return listing(folder).find(".lastrow-") != std::string::npos;
}

}  // namespace

TEST_CASE("an output that is the input, under any name, is refused, and the input stays unchanged") {
  for_each_writer([](const Writer& writer, const Folder& folder, const fs::path& in, const fs::path& out) {
    std::string command = writer.command(in, out);  // this makes the input
    if (writer.name == "trainer") command += " --evaluate " + in.string();
    const std::string before = read_text(in);
    for (const std::string kind : {"hard", "symbolic"}) {
      CAPTURE(kind);
      kind == "hard" ? fs::create_hard_link(in, out) : fs::create_symlink(in, out);
      check_refused(shell(folder, command), "are the same file");
      CHECK((read_text(in) == before));
      fs::remove(out);
    }
  });
}

TEST_CASE("two outputs that are the same file are refused, also if it does not exist yet") {
  const Folder folder("promises_two");
  const std::string a = (folder / "a").string(), b = (folder / "./a").string();
  check_refused(shell(folder, kBin + "lastrow generate" + kFox + " --trace " + a + " --chrome-trace " + b),
                "same file");
  check_refused(
      shell(folder, kBin + "lastrow-kernels --time --target emulated --json " + a + " --journal " + b),
      "--json and --journal are the same file");
  check_refused(
      shell(folder, "cd " + folder.string() + " && " + kBin + "lastrow generate" + kFox + " --trace stdout"),
      "is where standard output goes");
#ifdef LASTROW_WITH_VIEWER
  put(folder / "script", "state a.json\nstate a.json\n");
  const std::string viewer = kBin + "lastrow-viewer --headless --out " + folder.string() + " --script ";
  check_refused(shell(folder, viewer + (folder / "script").string()), "same file");
  put(folder / "script", "state a.json\n");
  check_refused(shell(folder, viewer + (folder / "script").string() + " --watch " + a + ".json"),
                "same file");
#endif
  CHECK_FALSE(fs::exists(a));
}

TEST_CASE("lastrow-kernels refuses to write a table into the file that it reads") {
  const Folder folder("promises_table");
  put(folder / "times", "{}");
  fs::create_hard_link(folder / "times", folder / "page");
  check_refused(shell(folder, kBin + "lastrow-kernels --from " + (folder / "times").string() + " --table " +
                                  (folder / "page").string()),
                "--from and --table are the same file");
}

TEST_CASE("if standard output is full or closed, the exit status is 2 and the output stays unchanged") {
  for_each_writer([](const Writer& writer, const Folder& folder, const fs::path& in, const fs::path& out) {
    const std::string command = writer.command(in, out);
    for (const std::string stream : {" >/dev/full", " >&-"}) {
      CAPTURE(stream);
      if (writer.name == "state" || writer.name == "picture") fs::remove(out.parent_path() / "x.png");
      put(out, "precious");
      const Outcome o = shell(folder, command + stream);
      CHECK_MESSAGE(o.exit_code == 2, o.err);
      CHECK(std::count(o.err.begin(), o.err.end(), '\n') == 1);
      CHECK(read_text(out) == "precious");
      CHECK(listing(out.parent_path()) == out.filename().string() + " ");
    }
  });
}

TEST_CASE("help that cannot be printed is an error too") {
  const Folder folder("promises_help");
  for (const std::string program :
       {"lastrow", "lastrow generate", "lastrow-kernels", "train_fable", "lesson_01_attention_by_hand"
#ifdef LASTROW_WITH_VIEWER
        ,
        "lastrow-viewer"
#endif
       }) {
    CAPTURE(program);
    CHECK(shell(folder, kBin + program + " --help >/dev/full").exit_code == 2);
    CHECK(shell(folder, kBin + program + " --help").exit_code == 0);
  }
  CHECK(shell(folder, kBin + "lastrow --version >/dev/full").exit_code == 2);
}

TEST_CASE("if the second of two outputs cannot be written, the first stays unchanged") {
  const Folder folder("promises_second");
  put(folder / "a", "precious");
  const std::string command = kBin + "lastrow generate" + kFox + " --trace " + (folder / "a").string();
  check_refused(shell(folder, command + " --chrome-trace /dev/full"), "make room");
  CHECK(read_text(folder / "a") == "precious");
  CHECK(listing(folder.string()) == "a stderr stdout ");
}

TEST_CASE("a named pipe: its reader gets the file, and a writer without one says that it waits") {
  for_each_writer([](const Writer& writer, const Folder& folder, const fs::path& in, const fs::path& out) {
    const std::string command = writer.command(in, out), got = (folder / "got").string();
    REQUIRE(::mkfifo(out.c_str(), 0600) == 0);
    const Outcome read = shell(
        folder, "cat " + out.string() + " > " + got + " & timeout 60 " + command + "; r=$?; wait; exit $r");
    CHECK_MESSAGE(read.exit_code == 0, read.err);
    CHECK(fs::file_size(got) > 100);
    if (writer.name == "attend") {
      const fs::path file = out.parent_path() / "file";
      CHECK(shell(folder, writer.command(in, file)).exit_code == 0);
      CHECK((read_text(got) == read_text(file)));
    }
    if (writer.name == "trainer") return;
    const Outcome waits = shell(folder, "timeout 4 " + command);
    CHECK(waits.exit_code == 124);
    CHECK_MESSAGE(
        waits.err.find("note: waiting until something reads the pipe " + out.string()) != std::string::npos,
        waits.err);
  });
}

TEST_CASE("a signal while files are written leaves no temporary file, and the old file unchanged") {
  for_each_writer([](const Writer& writer, const Folder&, const fs::path& in, const fs::path& out) {
    std::string command = writer.command(in, out);
    if (writer.name == "trainer") command += " >/dev/null";  // it prints before it writes
    if (writer.name == "state") return;                      // the same as for the picture
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      CAPTURE(signal);
      put(out, "precious");
      const int state =
          state_after_signal(command, signal, [&] { return holds_temporary(out.parent_path()); });
      CHECK(WIFSIGNALED(state));
      CHECK(WTERMSIG(state) == signal);
      CHECK(read_text(out) == "precious");
      CHECK(listing(out.parent_path()) == out.filename().string() + " ");
    }
  });
}

TEST_CASE("through a dangling link its target is made; through a loop of links an error says so") {
  for_each_writer([](const Writer& writer, const Folder& folder, const fs::path& in, const fs::path& out) {
    const std::string command = writer.command(in, out);
    fs::create_symlink("target", out);
    const Outcome o = shell(folder, command);
    CHECK_MESSAGE(o.exit_code == 0, o.err);
    CHECK(fs::is_symlink(out));
    CHECK(fs::file_size(out.parent_path() / "target") > 100);
    fs::remove(out);
    fs::create_symlink(out.filename(), out);
    check_refused(shell(folder, command), "lead in a circle");
  });
}

TEST_CASE("an output name of 249 bytes is written") {
  for_each_writer([](const Writer& writer, const Folder& folder, const fs::path& in, const fs::path& out) {
    const fs::path long_out =
        out.parent_path() / (std::string(249 - writer.ending.size(), 'n') + writer.ending);
    const Outcome o = shell(folder, writer.command(in, long_out));
    CHECK_MESSAGE(o.exit_code == 0, o.err);
    CHECK(fs::file_size(long_out) > 100);
  });
}

TEST_CASE("a write-protected file is refused, even in a writable folder") {
  const bool is_root = ::geteuid() == 0;
  const std::string nobody = is_root ? "setpriv --reuid=65534 --regid=65534 --clear-groups " : "";
  const Folder probe("promises_nobody");
  if (shell(probe, nobody + kBin + "lastrow --version").exit_code != 0) {
    MESSAGE("skipped: setpriv is missing, or another user cannot run the programs in " << kBin);
    return;
  }
  for_each_writer([&](const Writer& writer, const Folder& folder, const fs::path& in, const fs::path& out) {
    const std::string command = writer.command(in, out);
    put(out, "precious");
    REQUIRE(::chmod(out.c_str(), 0444) == 0);
    REQUIRE(::chmod(out.parent_path().c_str(), 0777) == 0);
    check_refused(shell(folder, nobody + command), "cannot be written (Permission denied); allow it");
    CHECK(read_text(out) == "precious");
    CHECK(listing(out.parent_path()) == out.filename().string() + " ");
  });
  const Folder pages("promises_page");
  const std::string page = (pages / "page").string(), times = (pages / "times").string();
  put(page, "<!-- table: begin -->\n<!-- table: end -->\n");
  put(times, R"({"device": "d", "driver": "1", "toolkit": "1", "date": "d", "read_gbps": 1, "copy_gbps": 1,
                 "shapes": [], "results": [], "lost": [], "rivals": []})");
  REQUIRE(::chmod(page.c_str(), 0444) == 0);
  REQUIRE(::chmod(pages.string().c_str(), 0777) == 0);
  check_refused(shell(pages, nobody + kBin + "lastrow-kernels --from " + times + " --table " + page),
                "cannot be written (Permission denied); allow it");
}

TEST_CASE(
    "lastrow-kernels refuses pipes and loops for the files that it updates, and leaves none half written") {
  const Folder folder("promises_journal");
  const std::string journal = (folder / "j").string(), pipe = (folder / "pipe").string(),
                    loop = (folder / "loop").string();
  const std::string check =
      kBin + "lastrow-kernels --target emulated --check --kernel k05 --every 3 --journal ";
  const std::string time = kBin + "lastrow-kernels --target emulated --time --json ";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  fs::create_symlink("loop", loop);
  for (const std::string& command : {check, time}) {
    check_refused(shell(folder, command + pipe), "name a file");
    check_refused(shell(folder, command + loop), "lead in a circle");
  }
  const Outcome full = shell(folder, "ulimit -f 1; " + check + journal);
  check_refused(full, "make room");
  CHECK(read_text(journal).ends_with("\n"));
  CHECK(shell(folder, check + journal).exit_code == 0);  // it continues with the journal
}

TEST_CASE("a signal to the ledger also ends the lesson that it runs, and leaves no temporary file") {
  const Folder folder("promises_ledger");
  const fs::path out = folder / "trace";
  put(out, "precious");
  const int state = state_after_signal(kBin + "lesson_00_ledger --json --trace " + out.string(), SIGTERM,
                                       [&] { return holds_temporary(folder.string()); });
  CHECK(WIFSIGNALED(state));
  CHECK(WTERMSIG(state) == SIGTERM);
  CHECK(read_text(out) == "precious");
  CHECK(listing(folder.string()) == "trace ");
}
