// The commands that choose what to run: model, prompt, backend, cache, temperature and seed.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "model/model.h"
#include "registry/registry.h"
#include "session/session_cache.h"
#include "viewer/view_model/describe/sampling.h"
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
    return refuse("the name of a model is missing: give a name from the list, a file, or random:…");
  open_choices = ChoiceList::none;
  goal.model = c.name;
  want_goal();
  return "";
}

/// Throws if the model on the screen is the one that will run, and it cannot read the text. New sessions make
/// the same check later.
void Controller::Impl::require_readable(const std::string& prompt) const {
  if (current && current->setup->model_name == goal.model) current->setup->model->tokenizer().encode(prompt);
}

/// If the prompt box is open, it takes the text and says what is wrong with it.
std::string Controller::Impl::carry_out(const SetPrompt& c) {
  if (prompt_open) {
    carry_out(EditField{Field::prompt, c.text});
    return carry_out(RunPrompt{});
  }
  try {
    require_readable(c.text);
  } catch (const Error& e) {
    return refuse(e.what());
  }
  goal.prompt = c.text;
  want_goal();
  return "";
}

std::string Controller::Impl::carry_out(const SetTemperature& c) {
  if (!(c.temperature >= 0 && c.temperature <= kMostTemperature))
    return refuse(
        fmt::format("temperature {}: give a number from 0 (greedy) to {}", c.temperature, kMostTemperature));
  goal.sampling.temperature = c.temperature;
  want_goal();
  return "";
}

std::string Controller::Impl::carry_out(const SetSeed& c) {
  goal.sampling.seed = c.seed;
  want_goal();
  return "";
}

std::string Controller::Impl::carry_out(const SetBackend& c) {
  open_choices = ChoiceList::none;
  goal.backend = c.name;
  want_goal();
  return "";
}

/// With new positions each token of the prompt is a step of its own. So the same place in the text has another number.
void Controller::Impl::keep_place_under(const CacheOptions& cache) {
  if (!current || current->setup->model_name != goal.model || current->setup->prompt != goal.prompt) return;
  const int more_steps = current->setup->prompt_len - 1;
  if (uses_new_positions(cache) && !uses_new_positions(goal.cache)) goal.step += more_steps;
  if (!uses_new_positions(cache) && uses_new_positions(goal.cache))
    goal.step = std::max(0, goal.step - more_steps);
}

std::string Controller::Impl::carry_out(const SetCache& c) {
  CacheOptions cache;
  try {
    cache = cache_options(c.text);
    cache.dtype_k = goal.cache.dtype_k;
    cache.dtype_v = goal.cache.dtype_v;
    if (current && current->setup->model_name == goal.model)
      completed(cache, current->setup->config());  // throws if the model cannot have it
  } catch (const Error& e) {
    return refuse(e.what());
  }
  open_choices = ChoiceList::none;
  keep_place_under(cache);
  goal.cache = cache;
  cache_sizes = sizes_of(cache, cache_sizes);
  want_goal();
  return "";
}

/// The list stays open, so that the user can go on.
std::string Controller::Impl::carry_out(const ChangeCacheSize& c) {
  CacheSizeChoice sizes = cache_sizes;
  int& size = c.size == CacheSize::rows ? sizes.rows : sizes.sinks;
  constexpr int kMost = 4096;  // more than the list is good for; SetCache takes any number
  size = std::clamp(size + std::clamp(c.by, -kMost, kMost), 1, std::max(kMost, size));
  const CacheOptions cache = with_sizes(goal.cache, sizes);
  if (current && cache != goal.cache)
    if (const std::string reason = why_not(*current->setup, cache); !reason.empty()) return refuse(reason);
  cache_sizes = sizes;
  if (cache == goal.cache) return "";
  goal.cache = cache;
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
  goal.backend = next_name(names, without_kernel(goal.backend));
  want_goal();
  return "";
}

std::string Controller::Impl::carry_out(const CancelWork&) {
  worker.cancel();
  closes_when_done = false;
  if (!worker.busy()) want_what_is_there();  // it had not begun, so no outcome will say that it was cancelled
  return "";
}

}  // namespace lastrow::view
