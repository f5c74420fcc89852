// A small program with the installed package.
// It generates the same five tokens with and without the K/V cache.
#include <fmt/format.h>
#include <lastrow/registry/registry.h>
#include <lastrow/session/session.h>

#include <cstdlib>
#include <vector>

namespace {

std::vector<int32_t> generate(lastrow::Mode mode, int n_tokens) {
  auto model = lastrow::load_model("random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=64,seed=3");
  lastrow::DecodeSession session(model, lastrow::make_backend("naive"), {.mode = mode});
  session.start({1, 2, 3});
  std::vector<int32_t> tokens;
  for (int i = 0; i < n_tokens; ++i) {
    session.advance();
    tokens.push_back(session.next_token());
  }
  fmt::print("{:9}  tokens {}  rows of Q in the last step {}\n", name_of(mode), fmt::join(tokens, " "),
             session.record().q_rows);
  return tokens;
}

}  // namespace

int main() {
  const auto cached = generate(lastrow::Mode::cached, 5);
  const auto recomputed = generate(lastrow::Mode::recompute, 5);
  return cached == recomputed && cached.size() == 5 ? EXIT_SUCCESS : EXIT_FAILURE;
}
