// The commands that choose what to run: model, prompt, backend.
#include <algorithm>
#include <vector>

#include "core/error.h"
#include "model/model.h"
#include "registry/registry.h"
#include "viewer/view_model/run/controller_impl.h"

namespace lastrow::view {

namespace {

/// The name after `chosen`; after the last name comes the first.
std::string next_name(const std::vector<std::string>& names, const std::string& chosen) {
  const auto at = std::find(names.begin(), names.end(), chosen);
  return at == names.end() || at + 1 == names.end() ? names.front() : *(at + 1);
}

}  // namespace

std::string Controller::Impl::carry_out(const SetModel& c) {
  if (c.name.empty())
    return refuse("the name of a model is missing: give one of the list, a file, or random:…");
  goal.model = c.name;
  want_goal();
  return "";
}

std::string Controller::Impl::carry_out(const SetPrompt& c) {
  // Reports a text that the model cannot read at once. New sessions make the same check.
  if (current && current->setup->model_name == goal.model) {
    try {
      current->setup->model->tokenizer().encode(c.text);
    } catch (const Error& e) {
      if (!prompt_open) return refuse(e.what());
      prompt_error = e.what();
      return e.what();
    }
  }
  prompt_error.clear();
  goal.prompt = c.text;
  want_goal();
  return "";
}

std::string Controller::Impl::carry_out(const SetBackend& c) {
  goal.backend = c.name;
  want_goal();
  return "";
}

std::string Controller::Impl::carry_out(const NextModel&) {
  goal.model = next_name(builtin_model_names(), goal.model);
  want_goal();
  return "";
}

std::string Controller::Impl::carry_out(const NextBackend&) {
  std::vector<std::string> names;
  for (const BackendEntry& b : list_backends())
    if (b.usable) names.push_back(b.name);
  goal.backend = next_name(names, goal.backend);
  want_goal();
  return "";
}

std::string Controller::Impl::carry_out(const OpenPrompt& c) {
  prompt_open = c.open;
  prompt_error.clear();
  return "";
}

std::string Controller::Impl::carry_out(const CancelWork&) {
  worker.cancel();
  return "";
}

}  // namespace lastrow::view
