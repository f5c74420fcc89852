// The files that `lastrow attend` reads and writes in the tests.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "io/safetensors.h"
#include "support/program.h"

namespace lastrow::testing {

using Named = std::vector<std::pair<std::string, ConstTensorView>>;
using Metadata = std::vector<std::pair<std::string, std::string>>;

inline void write(const std::string& path, const Named& tensors, const Metadata& metadata = {}) {
  SafetensorsWriter writer;
  for (const auto& [name, x] : tensors) writer.add(name, x);
  for (const auto& [key, value] : metadata) writer.metadata(key, value);
  writer.write(path);
}

/// The values of a tensor in the file "out" of the folder.
inline std::vector<float> result(const Folder& folder, const char* name) {
  const SafetensorsFile file = SafetensorsFile::open(folder.file("out"));
  const ConstTensorView x = file.tensor(name);
  return {x.data<float>(), x.data<float>() + x.size()};
}

}  // namespace lastrow::testing
