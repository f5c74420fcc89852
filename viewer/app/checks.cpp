#include "viewer/app/checks.h"

#include <fmt/format.h>

#include <filesystem>
#include <vector>

#include "core/error.h"
#include "io/output_files.h"
#include "model/model.h"

namespace lastrow::ui {

namespace fs = std::filesystem;

std::string row_picture(const std::string& prefix, int row) {
  return fmt::format("{}-{:02}.png", prefix, row);
}

void require_different_files(const AppOptions& options, const view::Script& script,
                             const std::string& row_prefix) {
  const fs::path out = options.out;
  std::vector<NamedFile> inputs = {{"--script", options.script},
                                   {"--model", model_file(options.controller.model)}},
                         outputs = {{"--watch", options.watch}};
  for (const view::ScriptLine& line : script.lines) {
    const std::string name = fmt::format("{}:{}: {}", script.name, line.number, line.text);
    if (const auto* shot = std::get_if<view::WriteShot>(&line.action))
      outputs.push_back({name, out / shot->name});
    else if (const auto* state = std::get_if<view::WriteState>(&line.action))
      outputs.push_back({name, out / state->name});
    else if (const auto* command = std::get_if<view::DoCommand>(&line.action))
      if (const auto* model = std::get_if<view::SetModel>(&command->command))
        inputs.push_back({name, model_file(model->name)});
  }
  if (!row_prefix.empty())
    for (int row = 1; row <= script.n_rows; ++row)
      outputs.push_back({fmt::format("the picture of sentence {}", row), out / row_picture(row_prefix, row)});
  lastrow::require_different_files(inputs, outputs);
}

void require_opened(const view::ViewState& first) {
  if (first.notice && first.notice->kind == view::NoticeKind::error)
    throw UsageError("{}", first.notice->text);
}

}  // namespace lastrow::ui
