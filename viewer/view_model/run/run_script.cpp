#include "viewer/view_model/run/run_script.h"

namespace lastrow::view {

int run_script(Controller& controller, const Script& script, ScriptHost& host, std::string& error) {
  controller.settle();
  controller.play(script, &host, true);
  for (double time = 1; controller.script_running(); time += 1) {
    controller.frame(time);
    if (controller.script_running()) controller.settle();
  }
  error = controller.script_error();
  return controller.script_exit_code();
}

}  // namespace lastrow::view
