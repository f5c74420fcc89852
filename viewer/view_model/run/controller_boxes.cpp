// The commands of what opens over the panes: the box for a prompt, the box for a file,
// and the lists of choices.
#include <fmt/format.h>

#include "core/error.h"
#include "viewer/view_model/describe/sampling.h"
#include "viewer/view_model/run/controller_impl.h"
#include "viewer/view_model/run/file_choices.h"

namespace lastrow::view {

namespace {

/// Whether carrying out the command opens something.
bool opens_something(const Command& command) {
  if (const auto* c = std::get_if<OpenPrompt>(&command)) return c->open;
  if (const auto* c = std::get_if<OpenFileBox>(&command)) return c->open;
  if (const auto* c = std::get_if<OpenChoices>(&command)) return c->list != ChoiceList::none;
  return std::holds_alternative<OpenPokeMenu>(command) || std::holds_alternative<PokeHere>(command) ||
         std::holds_alternative<ToggleHelp>(command) || std::holds_alternative<StartTour>(command);
}

}  // namespace

/// Only one thing is open at a time, so what opens closes the others.
void Controller::Impl::close_others(const Command& command) {
  if (!opens_something(command)) return;
  menu.reset();
  if (!std::holds_alternative<ToggleHelp>(command)) help_open = false;
  if (!std::holds_alternative<OpenPrompt>(command)) prompt_open = false;
  if (!std::holds_alternative<OpenFileBox>(command)) file_box.open = false;
  if (!std::holds_alternative<OpenChoices>(command)) open_choices = ChoiceList::none;
}

void Controller::Impl::close_boxes() {
  prompt_open = file_box.open = closes_when_done = false;
  open_choices = ChoiceList::none;
}

// ---- the prompt box

std::string Controller::Impl::carry_out(const OpenPrompt& c) {
  closes_when_done = false;
  if (c.open && !prompt_open)
    draft = {goal.prompt, temperature_text(goal.sampling.temperature), fmt::format("{}", goal.sampling.seed),
             draft.serial + 1, ""};
  prompt_open = c.open;
  return "";
}

std::string Controller::Impl::carry_out(const EditField& c) {
  closes_when_done = false;
  if (c.field == Field::path) {
    if (!file_box.open) return c.typed ? "" : refuse("the box for a file is not open");
    const uint64_t serial = file_box.serial + (c.typed ? 0 : 1);
    file_box = file_choices(c.text);
    file_box.serial = serial;
    return "";
  }
  // A closed field may still send the text that Esc has given back to it.
  if (!prompt_open) return c.typed ? "" : refuse("the box for a prompt is not open");
  draft.refused.clear();
  if (!c.typed) ++draft.serial;
  (c.field == Field::prompt ? draft.text : c.field == Field::seed ? draft.seed : draft.temperature) = c.text;
  return "";
}

std::string Controller::Impl::carry_out(const AppendWord& c) {
  const bool apart = !draft.text.empty() && draft.text.back() != ' ';
  return carry_out(EditField{Field::prompt, draft.text + (apart ? " " : "") + c.word + " ", false});
}

std::string Controller::Impl::carry_out(const ChangeTemperature& c) {
  float now = goal.sampling.temperature;
  try {
    now = sampling_from(draft.temperature, "0").temperature;
  } catch (const Error&) {  // a wrong text: go on from the temperature in use
  }
  return carry_out(EditField{Field::temperature, temperature_text(temperature_after(now, c.tenths)), false});
}

std::string Controller::Impl::carry_out(const RunPrompt&) {
  if (!prompt_open) return refuse("the box for a prompt is not open");
  try {
    const SamplingOptions sampling = sampling_from(draft.temperature, draft.seed);
    require_readable(draft.text);
    goal.sampling = sampling;
  } catch (const Error& e) {
    draft.refused = e.what();
    return draft.refused;
  }
  draft.refused.clear();
  goal.prompt = draft.text;
  closes_when_done = true;
  want_goal();
  return "";
}

// ---- the file box

std::string Controller::Impl::carry_out(const OpenFileBox& c) {
  closes_when_done = false;
  if (c.open && !file_box.open) {
    const uint64_t serial = file_box.serial + 1;
    const std::string file = model_file(goal.model);
    file_box = file_choices(file.substr(0, file.rfind('/') + 1));
    file_box.serial = serial;
  }
  file_box.open = c.open;
  return "";
}

std::string Controller::Impl::carry_out(const OpenPath& c) {
  if (c.path.empty()) {
    file_box.error = "type a path first, or click a file";
    return file_box.error;
  }
  const std::string path = with_home(c.path);
  if (is_folder(path)) return carry_out(EditField{Field::path, c.path + (c.path.ends_with('/') ? "" : "/")});
  file_box.error.clear();
  closes_when_done = true;
  goal.model = path;
  want_goal();
  return "";
}

// ---- the lists of models and backends

std::string Controller::Impl::carry_out(const OpenChoices& c) {
  open_choices = c.list == open_choices ? ChoiceList::none : c.list;
  return "";
}

}  // namespace lastrow::view
