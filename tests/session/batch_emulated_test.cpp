// Batches on the emulated GPU: recorded steps serve other compositions of the batch, branches and pokes of
// shared rows work on device memory.
#include <doctest/doctest.h>

#include "tests/session/batch_texts.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

const char* const kTwoLayers = "random:layers=2,q_heads=4,kv_heads=2,head_dim=8,vocab=50,context=40,seed=2";

std::unique_ptr<Backend> on_two_threads() { return make_backend("cuda-emulated", 2); }

}  // namespace

TEST_CASE("a decode step that was recorded is replayed only for as many sequences, and changes no bit") {
  const auto model = load_model(kTwoLayers);
  // Steps with 3, 2 and 1 sequences, and then with 2 others.
  const std::vector<Request> requests = {
      {{3, 14, 15}, 10}, {{9, 26}, 7}, {{5}, 4}, {{8, 8, 8, 8}, 9}, {{1, 2}, 6}};
  BatchOptions options{.max_seqs = 3, .max_step_tokens = 5, .cache = cache_options("paged:block=4")};
  const auto run = [&](int64_t& n_replayed) {
    BatchSession batch(model, on_two_threads(), options);
    for (const Request& request : requests) batch.add(request.prompt, request.n_tokens);
    std::vector<Text> texts = run_to_end(batch);
    batch.go_to(0);
    batch.go_to(batch.last_step());  // in another storage
    CHECK(batch.generation(0).logits == texts[0].logits.back());
    CHECK(batch.generation(4).logits == texts[4].logits.back());
    n_replayed = batch.backend_info().n_replayed;
    return texts;
  };
  int64_t n_replayed = 0, n_watched = 0;
  const std::vector<Text> replayed = run(n_replayed);
  options.on_attend = [](Backend&, const Attend&) {};  // steps that are watched are not replayed
  const std::vector<Text> watched = run(n_watched);
  CHECK(n_replayed > 4);
  CHECK(n_watched == 0);
  CHECK(replayed == watched);
}

TEST_CASE("a branch on the device, and a poke of a row that it shares") {
  const auto model = load_model(kTwoLayers);
  const Request request{{3, 14, 15, 9, 26, 5}, 4};
  BatchSession batch(model, on_two_threads(), {.max_seqs = 2, .cache = cache_options("paged:block=4")});
  batch.add(request.prompt, request.n_tokens);
  batch.advance();
  const int32_t branch = batch.fork(0), forced = (batch.generation(0).tokens[0] + 1) % 50;
  batch.force(branch, forced);
  std::vector<Text> texts;
  while (batch.advance() != nullptr) add_step(batch, texts);
  std::vector<int32_t> prompt = request.prompt;
  prompt.push_back(forced);
  Text text = texts[1];
  text.tokens.erase(text.tokens.begin());
  expect_judged(*model, {prompt, 3}, text);

  batch.go_to(1);
  const std::vector<float> of_parent = batch.generation(0).logits,
                           of_branch = batch.generation(branch).logits;
  batch.set_pokes(
      {{.what = Poke::What::v, .layer = 0, .position = 2, .seed = 7, .step = 1, .sequence = branch}});
  CHECK(batch.generation(0).logits == of_parent);
  CHECK(batch.generation(branch).logits != of_branch);
  batch.set_pokes({});
  CHECK(batch.generation(branch).logits == of_branch);
}
