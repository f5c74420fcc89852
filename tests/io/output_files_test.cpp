// An output must not be the same file as an input or another output, under any name.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/output_files.h"
#include "tests/io/files.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

std::string refusal(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs) {
  return message_of<UsageError>([&] { require_different_files(inputs, outputs); });
}

}  // namespace

TEST_CASE("an output that is an input is refused, under any of its names") {
  const TemporaryFolder folder;
  put(folder / "in", "precious");
  std::filesystem::create_hard_link(folder / "in", folder / "hard");
  std::filesystem::create_symlink("in", folder / "soft");
  std::filesystem::create_directory_symlink(folder.path(), folder / "here");
  for (const char* name : {"in", "./in", "hard", "soft", "here/in", "here/soft"}) {
    CAPTURE(name);
    const std::string message = refusal({{"--in", folder / "in"}}, {{"--out", folder / name}});
    CHECK(message.find("--in and --out are the same file") == 0);
    CHECK(message.find("write to another") != std::string::npos);
  }
  CHECK(refusal({{"--in", folder / "in"}}, {{"--out", folder / "out"}}) == "");
  CHECK(refusal({{"--in", folder / "in"}, {"--model", folder / "in"}}, {}) ==
        "");  // reading a file twice is harmless
}

TEST_CASE("two names of one file that does not exist yet are refused") {
  const TemporaryFolder folder;
  std::filesystem::create_symlink("new", folder / "dangling");
  std::filesystem::create_directory_symlink(folder.path(), folder / "here");
  for (const char* name : {"new", "./new", "dangling", "here/new", "here/dangling"}) {
    CAPTURE(name);
    CHECK(refusal({}, {{"--a", folder / "new"}, {"--b", folder / name}})
              .find("--a and --b are the same file") == 0);
  }
  CHECK(refusal({}, {{"--a", folder / "none/new"}, {"--b", folder / "none/new"}}) != "");
  CHECK(refusal({}, {{"--a", folder / "none/new"}, {"--b", folder / "none/other"}}) == "");
  CHECK(refusal({}, {{"--a", folder / "new"}, {"--b", folder / "other"}, {"--c", ""}, {"--d", ""}}) == "");

  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  CHECK(refusal({}, {{"--a", "new"}, {"--b", folder / "new"}}) != "");
  std::filesystem::current_path(here);
}

TEST_CASE("pipes count as files, but character devices do not") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(refusal({}, {{"--a", folder / "pipe"}, {"--b", folder / "pipe"}}) != "");
  CHECK(refusal({}, {{"--a", "/dev/null"}, {"--b", "/dev/null"}}) == "");
}

TEST_CASE("standard output counts as an output") {
  const TemporaryFolder folder;
  const int before = ::dup(STDOUT_FILENO), file = ::open((folder / "log").c_str(), O_WRONLY | O_CREAT, 0600);
  ::dup2(file, STDOUT_FILENO);
  const std::string message = refusal({}, {{"--out", folder / "log"}}),
                    other = refusal({}, {{"--out", folder / "x"}});
  ::dup2(before, STDOUT_FILENO);
  ::close(before);
  ::close(file);
  CHECK(message.find("is where standard output goes") != std::string::npos);
  CHECK(other == "");
}
