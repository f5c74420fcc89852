// The same steps without the viewer, for tests that compare what it shows with a session.
#pragma once

#include <memory>
#include <string>

#include "model/model.h"
#include "registry/registry.h"
#include "session/twin.h"

namespace lastrow::view {

/// A twin at a decode step of the text that this prompt begins. The prompt is one step, as in the viewer.
inline std::unique_ptr<TwinSession> twin_at(const std::string& model_name, const std::string& prompt,
                                            const std::string& cache, int step) {
  const auto model = load_model(model_name);
  const std::vector<int32_t> tokens = model->tokenizer().encode(prompt);
  SessionOptions options;
  options.cache = cache_options(cache);
  options.chunk = static_cast<int32_t>(tokens.size());
  auto twin = std::make_unique<TwinSession>(model, make_backend("eigen"), make_backend("eigen"), options);
  twin->start(tokens);
  for (int i = 0; i <= step; ++i) twin->advance();
  return twin;
}

}  // namespace lastrow::view
