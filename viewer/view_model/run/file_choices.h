// What a user can choose while typing the path of a model file.
#pragma once

#include <string>

#include "viewer/view_model/state/program_state.h"

namespace lastrow::view {

/// The path with ~/ at its start replaced by the user's home folder.
std::string with_home(const std::string& path);
bool is_folder(const std::string& path);

/// The model files (*.safetensors) and folders that complete the typed path: files first, each in
/// alphabetical order, as many as the box has room for. Reads the folder. A folder that cannot be read gives
/// no entries and a line that says so.
FileBox file_choices(const std::string& typed);

}  // namespace lastrow::view
