// Sessions whose calls can be made to fail, or to be stopped, while they run; and all that a session shows.
#pragma once

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backend/eigen.h"
#include "session/session.h"
#include "session/session_cache.h"
#include "tests/session/texts.h"

namespace lastrow::test {

/// At an attend of the given layer, it calls `then` or fails. With layer = kLayers it calls `then` at the
/// download. With read_only, write_rows fails.
class Disturbance final : public ForwardingBackend {
 public:
  Disturbance() : ForwardingBackend(owned_) {}
  void run(const Op& op) override {
    const bool here = std::holds_alternative<Attend>(op) && site_of(op).layer == layer && skip-- <= 0;
    if (here && then) then();
    if (here && fails) throw CapacityError("out of memory in a test");
    ForwardingBackend::run(op);
  }
  void download(ConstTensorView from, TensorView host) override {
    if (layer == kLayers && then) then();
    ForwardingBackend::download(from, host);
  }
  void write_rows(KvStorage& storage, int32_t at, RowKind kind, std::span<const int64_t> slots,
                  ConstTensorView host) override {
    if (read_only || (n_writes >= 0 && n_writes-- == 0)) throw CapacityError("the device is gone in a test");
    ForwardingBackend::write_rows(storage, at, kind, slots, host);
  }

  int32_t layer = 1, skip = 0;  // the first `skip` attends of the layer run as usual
  std::function<void()> then;
  bool fails = false, read_only = false;
  int32_t n_writes = -1;  // write_rows fails after so many calls; −1: it does not

 private:
  EigenBackend owned_{2};
};

/// A session whose calls can be made to fail, or to be stopped, while they run.
struct Disturbed {
  explicit Disturbed(Mode mode, std::optional<RecordOptions> record = {}, int32_t chunk = 0,
                     CacheOptions cache = {}) {
    auto made = std::make_unique<Disturbance>();
    backend = made.get();
    const bool alternates = cache.kind == "window" && cache.window == 0;  // the window of the model
    session.emplace(load_model(std::string(kModel) + (alternates ? ",window=4,window_period=2" : "")),
                    std::move(made),
                    SessionOptions{.mode = mode,
                                   .sampling = {},
                                   .chunk = chunk,
                                   .record = std::move(record),
                                   .cache = std::move(cache),
                                   .stop = &stop});
    session->start(kPrompt);
  }
  /// Checks that the disturbed call throws.
  template <typename Call>
  void fails_in(bool by_stop, int32_t skip, Call call) {
    backend->skip = skip;
    backend->fails = !by_stop;
    backend->then = by_stop ? std::function<void()>([this] { stop = true; }) : nullptr;
    if (by_stop)
      CHECK_THROWS_AS(call(), Cancelled);
    else
      CHECK_THROWS_AS(call(), CapacityError);
    stop = false;
    backend->fails = false;
    backend->then = nullptr;
  }

  std::atomic<bool> stop = false;
  Disturbance* backend = nullptr;
  std::optional<DecodeSession> session;
};

/// Everything that a session returns for its current step.
struct Shown {
  std::vector<int64_t> numbers;
  std::vector<float> values;
  bool operator==(const Shown&) const = default;

  void add(ConstTensorView view) {
    std::vector<float> floats(static_cast<size_t>(view.size()));
    if (!view.empty()) convert(view, TensorView(floats.data(), view.shape()));
    values.insert(values.end(), floats.begin(), floats.end());
    numbers.push_back(view.size());
  }
};

inline void add_recording(Shown& shown, const Recorder& recorder) {
  for (const int32_t step : recorder.steps()) {
    shown.numbers.insert(shown.numbers.end(), {step, static_cast<int64_t>(recorder.events(step).size())});
    for (const Event& event : recorder.events(step))
      shown.values.push_back(static_cast<float>(event.start_us));
    for (const Recorder::Entry& entry : recorder.entries(step)) shown.add(entry.tensor.view());
    for (const LayerTensors& layer : recorder.tensors(step).layers) {
      shown.add(layer.k);
      shown.add(layer.v);
    }
  }
  shown.numbers.push_back(recorder.bytes());
}

inline Shown shown_by(const DecodeSession& s) {
  Shown shown;
  const StepRecord& r = s.record();
  shown.numbers = {s.current_step(), s.last_step(), s.next_token(), r.position, r.q_len, r.kv_len, r.flop};
  shown.numbers.insert(shown.numbers.end(), s.tokens().begin(), s.tokens().end());
  shown.values.assign(s.logits().begin(), s.logits().end());
  shown.values.push_back(static_cast<float>(r.wall_us));
  for (size_t i = 0; i < s.pokes().size(); ++i)
    shown.numbers.insert(shown.numbers.end(),
                         {s.pokes()[i].position, s.poke_report(i).changed, s.poke_report(i).reads});
  if (!forgets_rows(s.options().cache)) CHECK(s.kv_len() == s.n_tokens_at(s.current_step()));
  shown.numbers.push_back(s.cache().usage().rows_evicted);
  for (int32_t index = 0; index < s.kv_len(); ++index) {
    shown.numbers.insert(shown.numbers.end(), {s.slot(index), s.position_of(index)});
    if (s.mode() == Mode::recompute) continue;
    for (int32_t layer = 0; layer < kLayers; ++layer)
      for (const RowKind kind : {RowKind::k, RowKind::v}) {
        if (index >= s.cache().of_layer(layer).length(0)) continue;  // a windowed layer has forgotten some
        const Tensor row = s.stored_row(layer, kind, index);
        shown.add(row.view());
      }
  }
  CHECK_THROWS_AS((void)s.slot(s.kv_len()), UsageError);
  add_recording(shown, s.recorder());
  return shown;
}

inline Poke poke(Poke::What what, int32_t position, Poke::When when, int32_t step = 0) {
  return {.what = what, .layer = 1, .position = position, .seed = 7, .when = when, .step = step};
}

inline RecordOptions record(RecordOptions::Keep keep) {
  RecordOptions options;
  options.keep = keep;
  options.probe = true;
  return options;
}

}  // namespace lastrow::test
