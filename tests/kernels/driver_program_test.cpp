// lastrow-kernels on a machine without a GPU: what it lists, checks, and refuses in one line.
#include <doctest/doctest.h>

#include <algorithm>

#include "support/program.h"

namespace lastrow::testing {
namespace {

Outcome kernels(const std::string& arguments) {
  const Folder folder("driver");
  return shell(folder, LASTROW_BIN_DIR "/lastrow-kernels " + arguments);
}

/// Expects exit status 2 and one line that has this text.
void expect_refused(const std::string& arguments, const std::string& why) {
  CAPTURE(arguments);
  const Outcome outcome = kernels(arguments);
  CAPTURE(outcome.err);
  CHECK(outcome.exit_code == 2);
  CHECK(outcome.err.starts_with("lastrow-kernels: "));
  CHECK(outcome.err.find(why) != std::string::npos);
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  CHECK(outcome.out.empty());
}

}  // namespace

TEST_CASE("the driver lists every rung and the types that it takes") {
  const Outcome outcome = kernels("--target emulated --list");
  CHECK(outcome.exit_code == 0);
  for (const char* rung : {"k01  ", "k09  ", "k12  ", "k12-rounded  "})
    CHECK(outcome.out.find(rung) != std::string::npos);
  CHECK(outcome.out.find("tiles multiplied on tensor cores") != std::string::npos);
}

TEST_CASE("the driver checks a part of a set") {
  const Outcome outcome = kernels("--target emulated --check --kernel k05 --every 40");
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.out.find("held") != std::string::npos);
  CHECK(outcome.out.find(" runs against naive-f64, 0 failed") != std::string::npos);
}

TEST_CASE("the driver's numbers are decimal") {
  const auto check = [](const std::string& every) {
    return kernels("--target emulated --check --kernel k05 --every " + every).out;
  };
  CHECK(check("0100") == check("100"));
  CHECK(check("0100") != check("64"));  // 0100 in octal is 64
  expect_refused("--check --every 0x40", "--every: '0x40' is not a whole number in decimal digits");
  expect_refused("--check --threads 0x2", "--threads: '0x2' is not a whole number in decimal digits");
}

TEST_CASE("a check that ran a rung on no problem fails, and so does one whose output is lost") {
  const Outcome none = kernels("--target emulated --check --set full --every 1000000 --kernel k12");
  CHECK(none.exit_code == 1);
  CHECK(none.out.find("k12  was not run: it takes none of these problems") != std::string::npos);
  CHECK(kernels("--target emulated --list >/dev/full").exit_code == 2);
  CHECK(kernels("--target emulated --list 2>/dev/full").exit_code == 0);
  CHECK(kernels("--bad-option 2>/dev/full").exit_code == 2);
}

TEST_CASE("a check continues with its own journal, and refuses another one") {
  const Folder folder("journal");
  const auto check = [&](const std::string& set) {
    return shell(folder, LASTROW_BIN_DIR
                             "/lastrow-kernels --target emulated --check --kernel k05,k06 --journal " +
                             (folder / "j").string() + set);
  };
  const Outcome first = check(" --every 40");
  CHECK(first.exit_code == 0);
  const std::string kept = read_text(folder / "j");
  const Outcome again = check(" --every 40");
  CHECK(again.out == first.out);
  CHECK(read_text(folder / "j") == kept);  // it has run nothing again
  const Outcome other = check(" --set full --every 1000000");
  CHECK(other.exit_code == 2);
  CHECK(other.err.find("name another file") != std::string::npos);
}

TEST_CASE("the driver refuses options that make no sense, in one line") {
  expect_refused("", "nothing to do");
  expect_refused("--target emulated --check --kernel k99", "unknown kernel 'k99'");
  expect_refused("--target emulated --time", "the emulator has no speed to measure");
  expect_refused("--check --every 0", "--every");
  expect_refused("--list --every 5", "--every needs --check");
  expect_refused("--list --table ''", "needs a value");
  expect_refused("--time --target emulated --json /nonexistent/x.json",
                 "/nonexistent/x.json: cannot be written");
  expect_refused("--list --seconds 5", "--seconds needs --check or --time");
  expect_refused("--list --journal x", "--journal needs --check or --time");
  expect_refused("--check --only prefill", "--only needs --time");
  expect_refused("--time --only b77", "no shape fits --only 'b77'");
  expect_refused("--target emulated --roofs", "--roofs needs --target cuda and an NVIDIA GPU");
  expect_refused("--target emulated --check --kernel k05,k99", "unknown kernel 'k99'");
  expect_refused("--target emulated --check --journal /nonexistent/j", "/nonexistent/j");
  expect_refused("--time --continue", "add --json FILE");
  expect_refused("--check --table x.md", "--table needs times");
  expect_refused("--time --table /nonexistent/page.md", "cannot be opened");
  expect_refused("--from /nonexistent/times.json", "/nonexistent/times.json");
}

}  // namespace lastrow::testing
