#include "lessons/support/serving_runs.h"

#include <utility>

#include "lessons/support/evidence.h"

namespace lastrow::lessons {
namespace {

constexpr int32_t kBlock = 4, kChunk = 5;

}  // namespace

std::string serving_text(const Model& model, int number) {
  const bool numbered = model.tokenizer().is_numbered();
  switch (number) {
    case 1:
      return numbered ? "t1 t2 t3 t4 t5 t6 t7 t8 t9" : "the quick brown fox jumps over the lazy dog";
    case 2:
      return numbered ? "t1 t2 t3 t4 t9 t8" : "the quick brown fox runs over";
    default:
      return numbered ? "t9 t8 t7 t6 t5 t6 t7 t8 t1" : "a small old frog jumps over the lazy fox";
  }
}

RecordedRun run_for(std::string_view needs, const std::shared_ptr<const Model>& model,
                    std::unique_ptr<Backend> backend) {
  RecordedRun run;
  const auto text = [&](int number) { return model->tokenizer().encode(serving_text(*model, number)); };
  if (needs == "chunks") {
    run.session = std::make_unique<DecodeSession>(model, std::move(backend),
                                                  SessionOptions{.chunk = kChunk, .record = everything()});
    run.session->start(text(1));
    for (int step = 0; step < 2; ++step) run.session->advance();
    return run;
  }
  const CacheOptions cache{.kind = "paged", .block_len = kBlock, .share_prefix = true};
  run.batch = std::make_unique<BatchSession>(
      model, std::move(backend), BatchOptions{.max_seqs = 3, .cache = cache, .record = everything()});
  run.batch->add(text(1), /*n_tokens=*/3);  // text 2 waits for its rows, and text 3 behind it
  for (const int number : {2, 3}) run.batch->add(text(number), /*n_tokens=*/2);
  for (int step = 0; step < 2; ++step) run.batch->advance();
  return run;
}

}  // namespace lastrow::lessons
