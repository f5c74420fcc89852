#include "viewer/view_model/run/open_model.h"

#include "core/error.h"
#include "io/safetensors.h"

namespace lastrow::view {

namespace {

bool is_trace(const std::string& path) {
  try {
    return SafetensorsFile::open(path).metadata().contains("lastrow.trace");
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::shared_ptr<const Model> open_model(const std::string& name) {
  try {
    return load_model(name);
  } catch (const FileError&) {
    if (!is_trace(name)) throw;
    throw FileError(
        "{}: this is the trace of a run. The viewer opens models and runs them itself: open the model of "
        "that run",
        name);
  }
}

}  // namespace lastrow::view
