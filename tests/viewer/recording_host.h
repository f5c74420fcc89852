// The host of a script, without pixels: it remembers what it should show and write.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "viewer/view_model/run/run_script.h"
#include "viewer/view_model/script/parse_script.h"
#include "viewer/view_model/state/state_json.h"

namespace lastrow::view {

class RecordingHost : public ScriptHost {
 public:
  struct ShownRow {
    int row;
    std::shared_ptr<const ViewState> view;
  };
  void shot(const std::string& name, const ViewState& view) override { shots[name] = view; }
  void write_state(const std::string& name, const std::string& json) override { states[name] = json; }
  void resize(int w, int h) override {
    width = w;
    height = h;
  }
  void row_shown(int row, const ViewState& view) override {
    rows.push_back({row, std::make_shared<const ViewState>(view)});
  }

  std::vector<ShownRow> rows;
  std::map<std::string, ViewState> shots;
  std::map<std::string, std::string> states;
  int width = 0, height = 0;
};

/// Plays the text to its end. Returns the exit code and the error, which is one line.
inline std::pair<int, std::string> play(Controller& controller, const std::string& text, ScriptHost& host) {
  std::string error;
  const int code = run_script(controller, parse_script(text, "test"), host, error);
  return {code, error};
}

}  // namespace lastrow::view
