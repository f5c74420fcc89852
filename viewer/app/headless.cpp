#include "viewer/app/headless.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "core/error.h"
#include "io/checked.h"
#include "io/standard_output.h"
#include "viewer/app/checks.h"
#include "viewer/app/picture_writer.h"
#include "viewer/view_model/run/run_script.h"
#include "viewer/view_model/script/parse_script.h"
#include "viewer/view_model/script/tour.h"
#include "viewer/view_model/state/state_json.h"

namespace lastrow::ui {

namespace {

namespace fs = std::filesystem;

constexpr int kExpectFailed = 1;

}  // namespace

int run_headless(const AppOptions& options) {
  PictureWriter pictures(options.out, options.width, options.height);
  const view::Script script =
      options.script.empty() ? view::tour_script() : view::load_script(options.script);
  const bool asks = std::any_of(script.lines.begin(), script.lines.end(), [](const view::ScriptLine& line) {
    return std::holds_alternative<view::WriteShot>(line.action) ||
           std::holds_alternative<view::WriteState>(line.action);
  });
  if (!asks && script.n_rows == 0)
    throw UsageError("{}: writes nothing: add a line such as `shot NAME.png`, or lines that begin with `say`",
                     options.script);
  const std::string row_prefix = asks                     ? ""
                                 : options.script.empty() ? "tour"
                                                          : fs::path(options.script).stem().string();
  require_different_files(options, script, row_prefix);
  if (!options.watch.empty()) AtomicFile{options.watch};
  pictures.picture_each_row(row_prefix);
  pictures.hold();
  view::Controller controller(options.controller);
  const auto first = controller.settle();
  require_opened(*first);
  if (!first->ready) throw UsageError("no step could be run");
  std::string error;
  const int code = view::run_script(controller, script, pictures, error);
  if (code != 0 && code != kExpectFailed) throw UsageError("{}", error);
  if (!options.watch.empty()) pictures.write(options.watch, view::to_json(*controller.settle()));
  if (code != 0) fmt::print(stderr, "lastrow-viewer: {}\n", escaped(error));
  if (pictures.pictures() > 0)
    print(fmt::format("{} picture{} in {}\n", pictures.pictures(), pictures.pictures() == 1 ? "" : "s",
                      fs::absolute(options.out).lexically_normal().string()));
  pictures.commit();
  return code;
}

}  // namespace lastrow::ui
