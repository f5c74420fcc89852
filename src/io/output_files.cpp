#include "io/output_files.h"

#include <unistd.h>

#include "core/error.h"
#include "io/output_place.h"

namespace lastrow {
namespace {

struct Known {
  std::string name;
  FileIdentity identity;
};

const Known* find(const std::vector<Known>& all, const FileIdentity& identity) {
  for (const Known& known : all)
    if (known.identity == identity) return &known;
  return nullptr;
}

}  // namespace

void require_different_files(const std::vector<NamedFile>& inputs, const std::vector<NamedFile>& outputs) {
  std::vector<Known> known, streams;
  const auto add = [&](const NamedFile& file) {
    if (const auto identity = identity_of(file.path)) known.push_back({file.name, *identity});
  };
  for (const NamedFile& input : inputs)
    if (!input.path.empty()) add(input);
  for (const auto& [name, fd] :
       {std::pair{"standard output", STDOUT_FILENO}, {"standard error", STDERR_FILENO}})
    if (const auto identity = identity_of_descriptor(fd)) streams.push_back({name, *identity});

  for (const NamedFile& output : outputs) {
    const auto identity = output.path.empty() ? std::nullopt : identity_of(output.path);
    if (!identity) continue;
    if (const Known* same = find(known, *identity))
      throw UsageError("{} and {} are the same file ({}): write to another file", same->name, output.name,
                       output.path.string());
    if (const Known* stream = find(streams, *identity))
      throw UsageError("{} ({}) is where {} goes: send one of them elsewhere", output.name,
                       output.path.string(), stream->name);
    add(output);
  }
}

}  // namespace lastrow
