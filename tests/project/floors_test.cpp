#include "project/floors.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace lastrow::project;

namespace {

bool exists_in_repository(const std::string& path) {
  return std::filesystem::is_regular_file(in_repository(path));
}

/// Applies the rule to one made-up file. Every included name counts as existing.
size_t broken(const char* path, const std::string& text, const Floors& table = floors()) {
  const std::set<std::string> held = {"src/core/tensor.h",
                                      "src/io/safetensors.h",
                                      "src/cache/index.h",
                                      "src/model/decoder.h",
                                      "src/trace/events.h",
                                      "src/registry/registry.h",
                                      "gpu/cuda_backend.h",
                                      "gpu/simt/views.h",
                                      "gpu/target/target.h",
                                      "gpu/parts/softmax2.h",
                                      "gpu/ladder/ladder.h",
                                      "gpu/backend/runtime.h",
                                      "viewer/app/app.h",
                                      "viewer/panels/panel.h",
                                      "viewer/draw/canvas.h",
                                      "viewer/platform/image.h",
                                      "viewer/view_model/state/view_state.h",
                                      "viewer/view_model/describe/pane.h",
                                      "viewer/view_model/script/script.h",
                                      "viewer/view_model/run/controller.h"};
  return floor_complaints({path, text}, table, [&](const std::string& p) { return held.contains(p); }).size();
}

}  // namespace

TEST_CASE("the floors' rule, on files made up for it") {
  CHECK(broken("src/cache/a.h", "#include \"core/tensor.h\"\n#include \"cache/index.h\"\n") == 0);
  CHECK(broken("src/core/a.h", "#include \"cache/index.h\"\n") == 1);       // upwards
  CHECK(broken("src/cache/a.h", "#include \"io/safetensors.h\"\n") == 1);   // sideways
  CHECK(broken("src/trace/a.cpp", "#include \"model/decoder.h\"\n") == 1);  // sideways
  CHECK(broken("lessons/train/a.cpp", "#include \"registry/registry.h\"\n") == 0);
  CHECK(broken("lessons/train/a.cpp", "#include \"viewer/app/app.h\"\n") == 1);
  CHECK(broken("src/registry/a.cpp", "#include \"gpu/cuda_backend.h\"\n") == 0);
  CHECK(broken("src/io/a.cpp", "#include \"nlohmann/json.hpp\"\n") == 1);  // not ours: <nlohmann/json.hpp>
  CHECK(broken("src/io/a.cpp", "#include <nlohmann/json.hpp>\n") == 0);
}

TEST_CASE("the floors inside the viewer, on files made up for them") {
  const auto broken_in_viewer = [](const char* path, const std::string& included) {
    return broken(path, "#include \"" + included + "\"\n", viewer_floors());
  };
  const std::string model = "viewer/view_model/";
  CHECK(broken_in_viewer("viewer/view_model/state/a.h", model + "state/view_state.h") == 0);
  CHECK(broken_in_viewer("viewer/view_model/state/a.h", model + "describe/pane.h") == 1);  // upwards
  CHECK(broken_in_viewer("viewer/view_model/describe/a.h", model + "state/view_state.h") == 0);
  CHECK(broken_in_viewer("viewer/view_model/describe/a.h", model + "run/controller.h") == 1);
  CHECK(broken_in_viewer("viewer/view_model/script/a.h", model + "run/controller.h") == 1);
  CHECK(broken_in_viewer("viewer/view_model/run/a.h", model + "script/script.h") == 0);
  CHECK(broken_in_viewer("viewer/view_model/run/a.h", "viewer/panels/panel.h") == 1);
  CHECK(broken_in_viewer("viewer/draw/a.h", "viewer/platform/image.h") == 1);  // sideways
  CHECK(broken_in_viewer("viewer/panels/a.h", "viewer/platform/image.h") == 0);
  CHECK(broken_in_viewer("viewer/panels/a.h", "viewer/app/app.h") == 1);
  CHECK(broken_in_viewer("viewer/main.cpp", "viewer/app/app.h") == 0);
  CHECK(broken_in_viewer("viewer/view_model/state/a.h", "core/tensor.h") == 0);  // below the viewer
}

TEST_CASE("the floors inside gpu, on files made up for them") {
  const auto broken_in_gpu = [](const char* path, const std::string& included) {
    return broken(path, "#include \"" + included + "\"\n", gpu_floors());
  };
  CHECK(broken_in_gpu("gpu/simt/a.h", "gpu/target/target.h") == 1);  // upwards
  CHECK(broken_in_gpu("gpu/target/a.h", "gpu/simt/views.h") == 0);
  CHECK(broken_in_gpu("gpu/parts/a.h", "gpu/target/target.h") == 0);
  CHECK(broken_in_gpu("gpu/parts/a.h", "gpu/ladder/ladder.h") == 1);
  CHECK(broken_in_gpu("gpu/ladder/a.cu", "gpu/parts/softmax2.h") == 0);
  CHECK(broken_in_gpu("gpu/ops/a.cu", "gpu/ladder/ladder.h") == 1);  // sideways
  CHECK(broken_in_gpu("gpu/emulated_backend.h", "gpu/backend/runtime.h") == 1);
  CHECK(broken_in_gpu("gpu/backend/a.cpp", "gpu/ladder/ladder.h") == 0);
  CHECK(broken_in_gpu("gpu/driver/a.cpp", "gpu/backend/runtime.h") == 0);
  CHECK(broken_in_gpu("gpu/simt/a.h", "core/tensor.h") == 0);  // below gpu
}

TEST_CASE("the rules about window and device, on files made up for them") {
  const auto broken = [](const char* path, const char* text) {
    return window_and_device_complaints({path, text}).size();
  };
  CHECK(broken("viewer/panels/a.cpp", "#include <imgui.h>\n") == 0);
  CHECK(broken("viewer/view_model/run/a.cpp", "#include <imgui.h>\n") == 1);
  CHECK(broken("viewer/view_model/state/a.cpp", "#include <GLFW/glfw3.h>\n") == 1);
  CHECK(broken("viewer/panels/a.cpp", "#include \"viewer/view_model/state/view_state.h\"\n") == 0);
  CHECK(broken("viewer/panels/a.cpp", "#include \"viewer/view_model/run/controller.h\"\n") == 1);
  CHECK(broken("viewer/draw/a.cpp", "#include \"viewer/view_model/describe/text.h\"\n") == 1);
  CHECK(broken("src/session/a.cpp", "#include <GLFW/glfw3.h>\n") == 1);
  CHECK(broken("gpu/cuda_backend.cu", "#include <cuda_runtime.h>\n") == 0);
  CHECK(broken("gpu/cuda_backend.h", "#include <cuda_runtime.h>\n") == 1);
  CHECK(broken("src/registry/a.cpp", "#include \"gpu/cuda_backend.h\"\n") == 0);
  CHECK(broken("src/registry/a.h", "#include \"gpu/parts/attend_call.h\"\n") == 1);
  CHECK(broken("src/session/a.cpp", "#include \"gpu/cuda_backend.h\"\n") == 1);
}

TEST_CASE("panels may read the state and not change it, on lines made up for it") {
  const auto broken = [](const char* text) {
    return mutable_state_complaints({"viewer/panels/a.h", text}).size();
  };
  CHECK(broken("void draw(const ViewState& state);\n") == 0);
  CHECK(broken("void draw(const view::PaneState& pane, float width);\n") == 0);
  CHECK(broken("void draw(PanelState& scrolled);\n") == 0);  // the panel's own state
  CHECK(broken("std::vector<view::Command>& commands;\n") == 0);
  CHECK(broken("void draw(ViewState& state);\n") == 1);
  CHECK(broken("void draw(const ViewState& state, view::PaneState* pane);\n") == 1);
}

TEST_CASE("the repository keeps its floors") {
  std::vector<std::string> complaints;
  int n_files = 0;
  for (const SourceFile& file : sources()) {
    if (!file.is_cpp() || file.is_in("tests")) continue;
    ++n_files;
    CHECK_MESSAGE(floor_of(file.path, floors()) != nullptr, file.path << " is on no floor");
    for (const auto& found :
         {floor_complaints(file, floors(), exists_in_repository),
          floor_complaints(file, viewer_floors(), exists_in_repository),
          floor_complaints(file, gpu_floors(), exists_in_repository), window_and_device_complaints(file)})
      complaints.insert(complaints.end(), found.begin(), found.end());
    if (file.is_in("viewer/panels"))
      for (const std::string& found : mutable_state_complaints(file)) complaints.push_back(found);
  }
  CHECK(n_files >= 10);  // otherwise the repository was not found
  CHECK_MESSAGE(complaints.empty(), joined(complaints));
}

TEST_CASE("every folder of the viewer has a floor of its own") {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(in_repository("viewer"))) {
    if (!entry.is_directory() || entry.path().filename() == "pictures") continue;
    const bool has_rooms = entry.path().filename() == "view_model";
    const std::string folder = std::filesystem::relative(entry.path(), in_repository("")).generic_string();
    CHECK_MESSAGE((has_rooms || floor_of(folder + "/x.h", viewer_floors())->folder == folder), folder);
  }
}

TEST_CASE("every folder of src has a floor") {
  for (const auto& entry : std::filesystem::directory_iterator(in_repository("src"))) {
    if (!entry.is_directory()) continue;
    const std::string inside = "src/" + entry.path().filename().string() + "/x.h";
    CHECK_MESSAGE(floor_of(inside, floors()) != nullptr, inside);
  }
}
