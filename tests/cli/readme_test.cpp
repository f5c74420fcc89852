// Runs the commands that README.md shows, exactly as they are written there.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <sstream>

#include "cli/lastrow_program.h"
#include "io/safetensors.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace {

/// The lines of the first block that begins with "```LANGUAGE" after `heading`.
std::vector<std::string> block_after(const std::string& heading, const std::string& language) {
  std::istringstream readme(read_text(LASTROW_SOURCE_DIR "/README.md"));
  std::vector<std::string> lines;
  std::string line;
  while (line != heading && std::getline(readme, line)) continue;
  while (line != "```" + language && std::getline(readme, line)) continue;
  while (std::getline(readme, line) && line != "```") lines.push_back(line);
  REQUIRE_FALSE(lines.empty());
  return lines;
}

/// Runs the command line in the folder; its output goes to the files out and err there.
int exit_code_in(const Folder& folder, const std::string& command) {
  return exit_code_of(
      std::system(("cd '" + folder.string() + "' && {\n" + command + "\n} >out 2>err </dev/null").c_str()));
}

}  // namespace

TEST_CASE("the README's commands for caches and batches work, in their order") {
  const Folder folder;
  int n_commands = 0;
  for (std::string line : block_after("## Blocks, turns and batches", "")) {
    CAPTURE(line);
    const std::string program = "build/bin/lastrow ";
    const bool ours = line.starts_with(program);
    if (ours) line.replace(0, program.size(), LASTROW_BIN_DIR "/lastrow ");
    n_commands += ours ? 1 : 0;
    const int exit_code = exit_code_in(folder, line);
    CAPTURE(read_text(folder.file("err")));
    CHECK(exit_code == 0);
    if (ours) CHECK_FALSE(read_text(folder.file("out")).empty());
  }
  CHECK(n_commands >= 8);
  CHECK(SafetensorsFile::open(folder.file("fox.safetensors")).tensor("k.0").shape()[1] == 8);
}

TEST_CASE("the README's commands about quality work, here with a single text") {
  const Folder folder;
  for (const std::string& line : block_after("## What a cache costs in quality", "")) {
    CAPTURE(line);
    const std::string program = "build/bin/lastrow ";
    REQUIRE(line.starts_with(program));
    const std::string command = line.substr(program.size(), line.find('#') - program.size());
    CHECK(exit_code_in(folder, LASTROW_BIN_DIR "/lastrow " + command + " --texts 1") == 0);
    CAPTURE(read_text(folder.file("err")));
    CHECK(read_text(folder.file("out")).find("int8") != std::string::npos);
  }
}

TEST_CASE("the commands of the README work, with the file that its Python program writes") {
  const Folder folder;
  std::string script;
  for (const std::string& line : block_after("## On the command line", "python")) script += line + "\n";
  write_text(folder.file("make.py"), script);
  const char* const named = std::getenv("LASTROW_PYTHON");
  const std::string python = named == nullptr ? "python3" : named;
  if (exit_code_in(folder, "'" + python + "' -c 'import numpy, safetensors.numpy'") == 0) {
    CHECK(exit_code_in(folder, "'" + python + "' make.py") == 0);
  } else {
    MESSAGE(
        "skipped: the README's Python needs the packages numpy and safetensors; the test makes the file "
        "itself");
    const Tensor q = Tensor::host(DType::f32, {1, 8, 64}), k = Tensor::host(DType::f32, {100, 2, 64});
    SafetensorsWriter writer;
    writer.add("q", q.view());
    writer.add("k", k.view());
    writer.add("v", k.view());
    writer.write(folder.file("qkv.safetensors"));
  }

  const std::string program = "build/bin/lastrow ";
  int n_commands = 0;
  for (const std::string& line : block_after("## On the command line", "")) {
    CAPTURE(line);
    REQUIRE(line.starts_with(program));
    ++n_commands;
    const int exit_code = exit_code_in(folder, LASTROW_BIN_DIR "/lastrow " + line.substr(program.size()));
    CAPTURE(read_text(folder.file("err")));
    CHECK(exit_code == 0);
    CHECK_FALSE(read_text(folder.file("out")).empty());
  }
  CHECK(n_commands >= 5);
  CHECK(SafetensorsFile::open(folder.file("out.safetensors")).tensor("out").shape() == Shape{1, 8, 64});
}
